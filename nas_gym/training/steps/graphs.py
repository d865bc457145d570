"""CUDA graphs: a function of tensors is captured once, and is then one launch.

A small child's step is a thousand kernels of a few microseconds each, which Python takes longer to
launch than the device to run. The warm-up that a capture needs is undone: network, optimizer and
random numbers are then as they were before.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from itertools import chain
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

T = TypeVar("T")
Generators = Iterable[torch.Generator]

WARM_UP = 3
"""Calls before a capture, in which libraries choose their kernels and set up."""
WORTHWHILE = 20
"""Calls from which on a graph pays: warm-up and capture take the time of about five."""


class NotCaptured(UserWarning):
    """A function is called without a CUDA graph, since it cannot be captured."""


def worthwhile(asked: object, device: torch.device, calls: int, *parts: object) -> bool:
    """Return True if a function of so many calls is captured under a setting "auto", True or False.

    "auto" takes none with ``parts`` that are not nas_gym's or torch's own: a graph repeats what
    Python decided at its capture.
    """
    if device.type != "cuda" or (asked is not True and calls < WORTHWHILE):
        return False
    modules = chain.from_iterable(
        part.modules() if isinstance(part, nn.Module) else [part] for part in parts
    )
    known = all(type(each).__module__.startswith(("torch.nn.", "nas_gym.")) for each in modules)
    return asked is True or (asked == "auto" and known)


class Graph(Generic[T]):
    """A function of tensors, captured at its first call and replayed from then on.

    Where it cannot be captured, there is one warning, `NotCaptured`, and it is called as it is.

    Args:
        function: Tensors on the device in, which keep their shapes; tensors out, which the next
            call overwrites. It does not read a tensor's value in Python: the capture makes
            constants of numbers.
        device: Where it computes.
        generators: Its random numbers beside torch's global ones.
        undone: The context in which the warm-up leaves no trace but in random numbers.
    """

    def __init__(
        self,
        function: Callable[..., T],
        device: torch.device,
        generators: Generators = (),
        undone: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._function: Callable[..., T] | None = function
        self._undone = undone
        self._device, self._generators = device, tuple(generators)
        self._inputs: list[Tensor] = []
        self._replay: Callable[[], T] | None = None

    def __call__(self, *inputs: Tensor) -> T:
        """Call the function."""
        if self._replay is None:
            assert self._function is not None
            self._inputs = [each.clone(memory_format=torch.preserve_format) for each in inputs]
            self._replay = self._captured(partial(self._function, *self._inputs))
            self._function = None  # it may hold the graph, whose memory then outlived its owner
        for mine, given in zip(self._inputs, inputs, strict=True):
            mine.copy_(given)
        return self._replay()

    def _captured(self, function: Callable[[], T]) -> Callable[[], T]:
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices), _restored(self._generators), self._undone():
            try:
                return capture(function, self._device, self._generators)
            except NotCaptured as reason:
                warnings.warn(reason, stacklevel=3)
                return function


def capture(
    function: Callable[[], T], device: torch.device, generators: Generators
) -> Callable[[], T]:
    """Call a function to warm up, and return what replays it, on a CUDA device.

    Graphs that live at the same time, of a child's step and of its validation, share their memory:
    they are replayed in turns, by one thread, and what each returns is read before the next turn.

    Raises:
        NotCaptured: it does what no graph can hold.
    """
    with torch.cuda.device(device):
        index = torch.cuda.current_device()
        stream, pool = _stream(index), _pool(index)
        stream.wait_stream(torch.cuda.current_stream(device))
        try:
            with torch.cuda.stream(stream), warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*capturable=True")  # Adam's, without a graph
                for _ in range(WARM_UP - 1):
                    function()
                with _waiting_refused():
                    function()
        finally:  # of a step that fails, too: what it changed is restored after it, and not before
            torch.cuda.current_stream(device).wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph, pool, stream, capture_error_mode="thread_local"):
                output = function()
        except RuntimeError as error:
            raise _not_captured(error) from error
        _newest[index] = weakref.ref(graph)

    def replay() -> T:
        graph.replay()
        return output

    return replay


_newest: dict[int, weakref.ref[torch.cuda.CUDAGraph]] = {}
"""By the device's number."""


def _pool(index: int) -> Any:
    """Return the memory of the newest graph on a device, if it lives; None for new memory."""
    newest = _newest[index]() if index in _newest else None
    return None if newest is None else newest.pool()


@cache
def _stream(index: int) -> torch.cuda.Stream:
    """Return the one stream of all captures on a device.

    torch's own stays on the device of the process's first capture, and cuBLAS keeps a workspace, 32
    MiB on an H100, for every stream that it was ever called on.
    """
    return torch.cuda.Stream(index)


@contextmanager
def _waiting_refused() -> Iterator[None]:
    """Raise `NotCaptured` where Python waits for the device within it, which no graph can hold.

    A capture would fail there, too, but would leave torch's allocator, and before 2.12 its
    generators, as if it went on.
    """
    mode = torch.cuda.get_sync_debug_mode()
    warnings.filterwarnings("ignore", "Synchronization debug mode is a prototype")
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    except RuntimeError as error:
        if "synchronizing CUDA operation" not in str(error):
            raise
        raise _not_captured(error) from error
    finally:
        torch.cuda.set_sync_debug_mode(mode)


def _not_captured(error: RuntimeError) -> NotCaptured:
    reason = str(error).partition("\n")[0]
    return NotCaptured(f"cuda_graphs: left out, which is slower: {reason}")


@contextmanager
def _restored(generators: Generators) -> Iterator[None]:
    """Give generators back as they were."""
    states = [(generator, generator.get_state()) for generator in generators]
    try:
        yield
    finally:
        for generator, state in states:
            generator.set_state(state)


@contextmanager
def undone(
    network: nn.Module, optimizer: torch.optim.Optimizer, scaler: GradScaler | None
) -> Iterator[None]:
    """Give everything back as it was before the steps within it, in the same memory.

    State that the optimizer did not have yet becomes 0.
    """
    of_network = [*network.parameters(), *network.buffers()]
    before = {id(each): each.detach().clone() for each in (*of_network, *_state(optimizer))}
    scale = None if scaler is None else scaler.state_dict()
    try:
        yield
    finally:
        optimizer.zero_grad()  # of a step that failed in the middle
        network.zero_grad()  # a fused one's are not the optimizer's
        with torch.no_grad():
            for each in (*of_network, *_state(optimizer)):
                each.copy_(before.get(id(each), torch.zeros_like(each)))
        if scaler is not None and scale is not None:
            scaler.load_state_dict(scale)


def _state(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """Return the tensors of an optimizer's state."""
    states: Iterable[dict[str, Any]] = optimizer.state.values()
    values = chain.from_iterable(state.values() for state in states)
    return [value for value in values if isinstance(value, Tensor)]


def generators_of(network: nn.Module) -> set[torch.Generator]:
    """Return the generators of the random numbers in a network beside torch's global one."""
    held = (getattr(module, "generators", ()) for module in network.modules())
    return {generator for each in held for generator in each if generator is not None}
