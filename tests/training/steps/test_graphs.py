"""CUDA graphs: without a GPU, by a capture that calls the function; with one, by real ones."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_gym import InvalidSettings, TrainingSettings, load_dataset
from nas_gym.data.dataset import Dataset
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ChildNetwork
from nas_gym.training import loop as training_loop
from nas_gym.training.final import train_final
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.steps import compiling, graphs
from nas_gym.training.steps import training as training_steps
from nas_gym.training.steps.graphs import Graph, NotCaptured, capture, undone, worthwhile
from nas_gym.training.steps.optimizers import make_optimizer
from nas_gym.training.tasks import images as image_task
from nas_gym.training.trainer import Trainer
from tests.training.test_trainer import CONV, NETWORK, QUICK, small

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 1)
FEW = replace(QUICK, batch_size=64, epochs=2, data_fraction=0.4, learning_rate=0.01)
Function = Callable[[], Any]


def called(function: Function, device: torch.device, generators: object) -> Function:
    """Warm up as `capture` does, and call the function where a graph would be replayed."""
    for _ in range(graphs.WARM_UP):
        function()
    return function


def refused(function: Function, device: torch.device, generators: object) -> Function:
    function()
    raise NotCaptured("cuda_graphs: left out, which is slower: it is no graph")


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Have every step that could be captured be captured, by a call."""
    monkeypatch.setattr(graphs, "capture", called)
    for module in (training_loop, image_task):
        monkeypatch.setattr(module, "worthwhile", lambda asked, *_: bool(asked))
    return monkeypatch


@pytest.mark.parametrize(
    ("asked", "device", "calls", "part", "expected"),
    [
        ("auto", CUDA, 20, nn.Linear(1, 1), True),
        ("auto", CUDA, 19, nn.Linear(1, 1), False),
        ("auto", CPU, 1000, nn.Linear(1, 1), False),
        ("auto", CUDA, 1000, nn.Sequential(type("Own", (nn.ReLU,), {})()), False),
        ("auto", CUDA, 1000, SimpleNamespace(), False),
        (True, CUDA, 1, SimpleNamespace(), True),
        (False, CUDA, 1000, nn.Linear(1, 1), False),
    ],
)
def test_graphs_are_made_where_they_pay(
    asked: object, device: torch.device, calls: int, part: object, expected: bool
) -> None:
    assert worthwhile(asked, device, calls, part) == expected


def test_inputs_are_copied_into_the_memory_that_was_captured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(graphs, "capture", called)
    seen: list[Tensor] = []

    def doubled(x: Tensor) -> Tensor:
        seen.append(x)
        return 2 * x

    graph = Graph(doubled, CPU)
    assert [graph(torch.tensor([float(i)])).item() for i in range(3)] == [0, 2, 4]
    assert len(seen) == graphs.WARM_UP + 3
    assert len({x.data_ptr() for x in seen}) == 1
    with pytest.raises(RuntimeError):
        graph(torch.zeros(2))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_steps_that_are_undone_leave_no_trace(optimizer: Any) -> None:
    network, scaler = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)), torch.amp.GradScaler("cpu")
    rate = torch.tensor(0.1)
    made = make_optimizer(network.parameters(), replace(QUICK, optimizer=optimizer), rate)

    def step() -> None:
        scaler.scale(network(torch.randn(4, 2)).square().sum()).backward()
        scaler.step(made)
        scaler.update()
        made.zero_grad()

    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for _ in range(2):  # without state of the optimizer, and with
        with undone(network, made, scaler):
            scaler.load_state_dict({**scaler.state_dict(), "scale": 8.0})
            step()
        assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())
        assert scaler.get_scale() == 65536
        states = [t for s in made.state.values() for t in s.values() if isinstance(t, Tensor)]
        assert states
        assert not any(state.any() for state in states)
    with undone(network, torch.optim.SGD([torch.zeros(1)], 0.1), None):
        network(torch.randn(4, 2)).sum().backward()  # the optimizer's are others in a fused network
    assert all(each.grad is None for each in network.parameters())


@pytest.mark.parametrize(
    "changes",
    [
        {"crop_padding": 1, "cutout": 2, "gradient_clip": 1.0},
        {"optimizer": "adamw", "ema_decay": 0.9},
        {"mixup": 0.2},
    ],
)
def test_a_graph_trains_as_the_step_itself(
    changes: dict[str, Any], digits: Dataset, always: pytest.MonkeyPatch
) -> None:
    settings = replace(FEW, network=replace(NETWORK, auxiliary_head=True), **changes)
    curves, networks = [], []
    for graphed in (True, False):
        evaluation, network = Trainer(digits, settings, "cpu").train_one(small())
        assert (evaluation.status, evaluation.message) == ("ok", "")
        assert network is not None
        curves.append(evaluation.curve)
        networks.append(network)
        if graphed:
            always.undo()
    assert curves[0] == pytest.approx(curves[1], abs=0.01)
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


def test_a_final_training_goes_on_with_a_compiled_network(
    digits: Dataset, always: pytest.MonkeyPatch
) -> None:
    """Here from its 52nd step on; the choice itself is the clock's."""
    forwards: list[bool] = []

    def compiled(network: nn.Module) -> Callable[[Tensor], Tensor]:
        def forward(images: Tensor) -> Any:
            forwards.append(True)
            return network(images)

        return forward

    always.setattr(torch, "compile", compiled)
    always.setattr(compiling, "LEAST_SECONDS", 0.0)
    settings = replace(FEW, batch_size=16, epochs=1)
    steps = NetworkTrainer(digits, settings, "cpu", final=True).task.steps_per_epoch
    results = [train_final(small(), digits, settings, "cpu")]
    assert len(forwards) == steps - 51 + graphs.WARM_UP
    always.undo()
    results.append(train_final(small(), digits, settings, "cpu"))
    for one, other in zip(*(each.network.parameters() for each in results), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)


def test_trainings_as_one_have_graphs(digits: Dataset, always: pytest.MonkeyPatch) -> None:
    settings = replace(FEW, fused=2)
    graphed = Trainer(digits, settings, "cpu").evaluate_repeats(small(), [0, 1])
    always.undo()
    plain = Trainer(digits, settings, "cpu").evaluate_repeats(small(), [0, 1])
    assert len({evaluation.curve for evaluation in graphed}) == 2
    for one, other in zip(graphed, plain, strict=True):
        assert one.curve == pytest.approx(other.curve, abs=0.01)


def test_the_last_batch_of_validation_is_filled_up(
    digits: Dataset, always: pytest.MonkeyPatch
) -> None:
    always.setattr(image_task, "EVALUATION_PIXELS", 1)
    trainer = Trainer(digits, replace(FEW, batch_size=250), "cpu")
    with trainer.isolated(0):
        network = trainer.build(small())
    shapes: list[int] = []
    network.register_forward_pre_hook(lambda _, given: shapes.append(len(given[0])))
    graphed = trainer.task.validation_of(network)()
    assert set(shapes) == {250}
    always.undo()
    assert len(digits.validation) % 250
    assert graphed == trainer.task.value(network, "validation")


def test_what_cannot_be_captured_is_trained_all_the_same(
    digits: Dataset, always: pytest.MonkeyPatch
) -> None:
    always.setattr(graphs, "capture", refused)
    trainer = Trainer(digits, FEW, "cpu")
    with pytest.warns(NotCaptured, match="left out, which is slower: it is no graph") as warned:
        evaluation = trainer.evaluate_one(small())
    assert len(warned) == 2  # training and validation
    always.undo()
    assert evaluation.status == "ok"
    assert evaluation.curve == pytest.approx(trainer.evaluate_one(small()).curve, abs=0.01)


@pytest.mark.parametrize("captures", [True, False])
def test_a_training_leaves_the_memory_of_its_graphs_at_once(
    captures: bool, digits: Dataset, always: pytest.MonkeyPatch
) -> None:
    """That of the compiled step, too; a GPU's is not seen by Python, which collects it late."""
    made: list[Any] = []

    def captured(function: Function, device: torch.device, generators: object) -> Function:
        if not captures:
            raise NotCaptured("cuda_graphs: left out, which is slower: it is no graph")
        output = function()
        return lambda: output

    def noted(*given: Any, **named: Any) -> Graph[Any]:
        graph: Graph[Any] = Graph(*given, **named)
        made.append(weakref.ref(graph))
        return graph

    always.setattr(graphs, "capture", captured)
    for module in (training_steps, image_task):
        always.setattr(module, "Graph", noted)
    always.setattr(torch, "compile", lambda network: network)
    settings = replace(FEW, epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotCaptured)  # to record it would keep its traceback
        train_final(small(), digits, settings, "cpu")  # the first one imports what it needs
        gc.collect()
        gc.disable()
        try:
            train_final(small(), digits, settings, "cpu")
            Trainer(digits, settings, "cpu").evaluate_one(small())
            assert [graph() for graph in made] == [None] * (3 + 3 + 2)
        finally:
            gc.enable()


def test_a_training_on_several_devices_has_no_graph(
    digits: Dataset, always: pytest.MonkeyPatch
) -> None:
    """Its network is put into another one that averages gradients, which a graph would miss."""
    always.setattr(graphs, "capture", refused)
    task = NetworkTrainer(digits, FEW, "cpu", final=True).task
    task.take_share(0, 2)
    loop = task.loop(NetworkTrainer(digits, FEW, "cpu", final=True).build(small()))
    assert loop.train_epoch().isfinite()
    asked = NetworkTrainer(digits, FEW, "cpu").task
    asked.settings = replace(FEW, cuda_graphs=True)
    with pytest.raises(InvalidSettings, match="cuda_graphs: a training on several devices"):
        asked.take_share(0, 2)


class FakeGraph:
    """A graph in its own memory, or in that of another one."""

    memory: object = None

    def __init__(self, cuda: FakeCuda) -> None:
        self.register_generator_state = cuda.notes.append
        self.replay = partial(cuda.notes.append, "replay")

    def pool(self) -> object:
        return self.memory


class FakeCuda:
    """What `capture` uses of torch.cuda; notes on which device, and on which stream."""

    def __init__(self, error: str = "") -> None:
        self.device_now, self.error, self.mode, self.waits = "cuda:0", error, "default", 0
        self.notes: list[object] = []
        self.current_stream = self.Stream
        self.get_sync_debug_mode = lambda: self.mode
        self.pools: list[object] = []
        self.CUDAGraph = lambda: FakeGraph(self)

    def Stream(self, device: object) -> SimpleNamespace:  # noqa: N802
        name = f"cuda:{device}" if isinstance(device, int) else str(device)
        return SimpleNamespace(device=name, wait_stream=self.wait)

    def wait(self, other: SimpleNamespace) -> None:
        assert other.device == self.device_now
        self.waits += 1

    def current_device(self) -> int:
        return int(self.device_now[-1])

    def set_sync_debug_mode(self, mode: str) -> None:
        self.mode = mode

    def read(self) -> None:
        """Read a tensor's value in Python, for which it waits."""
        if self.mode == "error":
            raise RuntimeError("called a synchronizing CUDA operation")

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        before, self.device_now = self.device_now, str(device)
        yield
        self.device_now = before

    @contextmanager
    def stream(self, stream: SimpleNamespace) -> Iterator[None]:
        assert stream.device == self.device_now
        yield

    @contextmanager
    def graph(
        self, graph: FakeGraph, pool: object, stream: SimpleNamespace, **how: str
    ) -> Iterator[None]:
        assert stream.device == self.device_now
        self.notes.append("capture")
        self.pools.append(pool)
        graph.memory = pool or object()
        yield
        if self.error:
            raise RuntimeError(self.error)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCuda]:
    fake = FakeCuda()
    monkeypatch.setattr(torch, "cuda", fake)
    monkeypatch.setattr(graphs, "_newest", {})
    graphs._stream.cache_clear()
    yield fake
    graphs._stream.cache_clear()


def test_a_capture_is_on_the_devices_own_stream(cuda: FakeCuda) -> None:
    generator = torch.Generator()

    def function() -> int:
        cuda.notes.append(cuda.device_now)
        return 5

    replay = capture(function, CUDA, [generator])
    assert cuda.notes == [*["cuda:1"] * graphs.WARM_UP, generator, "capture", "cuda:1"]
    assert (replay(), cuda.notes[-1], cuda.device_now) == (5, "replay", "cuda:0")
    stream = graphs._stream(1)
    other = capture(function, CUDA, [generator])
    assert graphs._stream(1) is stream
    del replay  # the newest still lives
    last = capture(function, CUDA, [generator])
    assert cuda.pools[0] is None
    assert cuda.pools[1] is cuda.pools[2] is not None
    del other, last
    capture(function, CUDA, [])
    assert cuda.pools[3] is None


def test_only_the_capture_itself_is_given_up(cuda: FakeCuda) -> None:
    cuda.error = "operation not permitted\nmore"
    with pytest.raises(NotCaptured, match=r"slower: operation not permitted$"):
        capture(lambda: None, CUDA, [])
    for calls in (0, graphs.WARM_UP - 1):  # of the step, in the warm-up
        left = iter(range(calls))

        def failing(left: Iterator[int] = left) -> int:
            if next(left, None) is None:
                raise RuntimeError("a mistake")
            return 0

        waits = cuda.waits
        with pytest.raises(RuntimeError, match=r"^a mistake$"):
            capture(failing, CUDA, [])
        assert cuda.waits - waits == 2  # what is restored afterwards is so when the step has ended


def test_what_waits_for_the_device_is_not_even_tried(cuda: FakeCuda) -> None:
    """A capture that fails harms those after it."""
    with pytest.raises(NotCaptured, match="slower: called a synchronizing CUDA operation"):
        capture(cuda.read, CUDA, [])
    assert (cuda.notes, cuda.mode, cuda.waits) == ([], "default", 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize(("precision", "optimizer"), [("float32", "adamw"), ("float16", "sgd")])
@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_graphs_train_as_the_step_itself_on_a_gpu(
    device: str, precision: Any, optimizer: Any, digits: Dataset
) -> None:
    """From the augmentation to the optimizer, and validated; on the second device, too."""
    if int(device[-1]) >= torch.cuda.device_count():
        pytest.skip("no second CUDA device here")
    settings = TrainingSettings(
        CellNetworkSettings(cells=1, filters=4), epochs=3, batch_size=64, precision=precision,
        optimizer=optimizer, crop_padding=1, cutout=2, gradient_clip=5.0, learning_rate=0.01,
    )  # fmt: skip
    losses: list[Tensor] = []
    curves = []
    for graphed in (True, False):
        trainer = Trainer(digits, replace(settings, cuda_graphs=graphed), device)
        with warnings.catch_warnings():
            warnings.simplefilter("error", NotCaptured)
            evaluation = trainer.evaluate_one(small())
        assert (evaluation.status, evaluation.message) == ("ok", "")
        curves.append(evaluation.curve)
        losses.append(epoch_losses(trainer))
    torch.testing.assert_close(*losses, rtol=2e-2, atol=1e-2)
    assert losses[0][-1] < 0.8 * losses[0][0]
    assert curves[0] == pytest.approx(curves[1], abs=0.1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_network_that_reads_a_value_is_trained_without_a_graph(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next child, which could not be captured if that had been tried, has one."""
    build = Trainer.build

    def reading(self: Trainer, architecture: Any) -> ChildNetwork:
        network = build(self, architecture)
        network.register_forward_hook(lambda *given: given[-1].sum().item() and None)
        return network

    trainer = Trainer(digits, replace(FEW, crop_padding=1, cuda_graphs=True), "cuda")
    with monkeypatch.context() as patched:
        patched.setattr(Trainer, "build", reading)
        with pytest.warns(NotCaptured, match="called a synchronizing CUDA operation"):
            assert trainer.evaluate_one(small()).status == "ok"
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotCaptured)
        assert trainer.evaluate_one(small()).status == "ok"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_what_a_step_that_fails_has_queued_ends_before_it_is_undone() -> None:
    """The step changes a weight long after Python has gone on: 1e8 of the GPU's cycles."""
    network = nn.Linear(1, 1, bias=False).cuda()
    optimizer = torch.optim.SGD(network.parameters(), 0.1)

    def step() -> None:
        network.weight.sum().item()
        torch.cuda._sleep(100_000_000)
        with torch.no_grad():
            network.weight.fill_(9.0)

    before = network.weight.detach().clone()
    left = partial(undone, network, optimizer, None)
    graph = Graph(step, torch.device("cuda"), undone=left)
    with pytest.warns(NotCaptured):
        graph._captured(step)
    assert torch.equal(network.weight, before)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_trainings_as_one_are_those_by_themselves_on_a_gpu(digits: Dataset) -> None:
    trainer = Trainer(digits, replace(FEW, fused=2, cuda_graphs=True), "cuda")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = trainer.evaluate_repeats(small(), [0, 1])
    for repeat, made in enumerate(together):
        assert (made.status, made.message) == ("ok", "")
        assert made.curve == pytest.approx(trainer.evaluate_one(small(), repeat).curve, abs=0.15)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_deterministic_training_repeats_to_the_bit_on_a_gpu(digits: Dataset) -> None:
    settings = replace(QUICK, deterministic=True, crop_padding=1, epochs=2)
    trainer = Trainer(digits, settings, "cuda")
    (first, one), (second, other) = (trainer.train_one(small(CONV)) for _ in range(2))
    assert (first.status, first.message, first.curve) == ("ok", "", second.curve)
    assert one is not None
    assert other is not None
    assert all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def epoch_losses(trainer: Trainer) -> Tensor:
    """Return the losses of three epochs."""
    with trainer.isolated(0):
        network: ChildNetwork = trainer.build(small())
        loop = trainer.task.loop(network)
        return torch.stack([loop.train_epoch().cpu() for _ in range(3)])
