"""The rules by which `nas-gym auto` chooses: image size, search space, children, final training.

Times are measured on this machine, with the data: a few steps of a network of each size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import Any

from nas_agents.auto import rules
from nas_agents.auto.image_size import image_size_of
from nas_agents.auto.speed import Pace, epoch_seconds
from nas_agents.catalogue.environments import make_environment
from nas_gym import load_dataset, published
from nas_gym.data import Dataset
from nas_gym.errors import counted
from nas_gym.models.exporting import num_compared
from nas_gym.networks import ImageShape, measure_cost
from nas_gym.networks.devices import cpu_threads, resolve_device
from nas_gym.outside.processes import available_cpus


@dataclass(frozen=True)
class Choice:
    """A size of networks, with the time that it takes."""

    place: int
    """Place in `rules.SKELETONS` of the search space."""
    epoch_seconds: float
    epochs: int


@dataclass(frozen=True)
class Plan:
    """Subject and sizes of a search."""

    env_id: str
    data: dict[str, Any]
    """Data set, image size and device, as arguments of the environment."""
    child: Choice
    workers: int | None
    search_seconds: float
    """Time of the search with its finalists; 0 for none."""
    finalists: int
    training: dict[str, Any]
    """Settings of the children's training, and of the final one unless it has others."""
    target: int
    """Multiply-adds of `rules.KNOWN` in the children's size, which the reward weighs."""
    reasons: tuple[str, ...]
    """What was chosen, and why, a line each."""
    busy: float = 1.0
    """`Pace.busy` when the plan was made."""
    end_epochs: float = 0.0
    """Epochs of the final training that take as long as its test and the export's comparison."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> Plan:
        """Return the plan of a `to_dict`, which may be a stranger's.

        Raises:
            KeyError, IndexError, TypeError, NASGymError: it is none.
        """
        child, held = Choice(**given["child"]), given["data"]
        rules.SKELETONS[given["env_id"]][child.place]
        data = {name: held[name] for name in ("dataset", "image_size", "device") if name in held}
        parts = {"child": child, "data": data, "reasons": tuple(given["reasons"])}
        return cls(**{**given, **parts})

    def dataset(self) -> Dataset:
        """Return the data set, which this process has loaded."""
        return load_dataset(self.data["dataset"], self.data.get("image_size"))

    @property
    def env_arguments(self) -> dict[str, Any]:
        """Arguments of the search's environment."""
        skeleton = rules.SKELETONS[self.env_id][self.child.place]
        reward = {"name": "mnasnet", "cost": "multiply_adds", "target": self.target}
        own = {**self.training, "epochs": self.child.epochs, "reward": reward}
        return {**self.data, **skeleton, **own}

    @property
    def children(self) -> int:
        """Expected number of children."""
        among = self.search_seconds * (1 - rules.FINALISTS) * (self.workers or 1)
        return max(1, int(among / _cost(self.child)))


def make_plan(
    dataset: str, seconds: float, device: str, say: Callable[[str], None] = lambda _: None
) -> Plan:
    """Return the plan for a data set and a time.

    Args:
        dataset: A name, an ``.npz`` file, a folder of images, or a list of them.
        seconds: Time for everything.
        device: "auto", "cpu", "cuda", ...
        say: Called with each choice, a line of text, as soon as it is made.

    Raises:
        NASGymError: the data or the device cannot be had.
    """
    reasons: list[str] = []

    def chosen(line: str) -> None:
        reasons.append(line)
        say(line)

    size, why = image_size_of(dataset)
    chosen(why)
    height = load_dataset(dataset).images.shape[1] if size is None else size
    is_large = height >= rules.LARGE
    env_id = rules.LARGE_SPACE if is_large else rules.SMALL_SPACE
    chosen(f"search space: {env_id}, for {'large' if is_large else 'small'} images")
    given = {"dataset": dataset, "image_size": size, "device": str(resolve_device(device))}
    data = {name: value for name, value in given.items() if value is not None}
    plan = _sized(env_id, data, seconds)
    chosen(_about_children(plan))
    return replace(plan, reasons=tuple(reasons))


def _sized(env_id: str, data: dict[str, Any], seconds: float) -> Plan:
    """Return the plan with its children, their number and that of finalists."""
    on_cpu = data["device"] == "cpu"
    cores = available_cpus() if on_cpu else 2
    workers = cores if seconds >= rules.WORKERS_FROM and cores > 1 else None
    searching = rules.SEARCH * seconds
    load_dataset(data["dataset"], data.get("image_size"))  # by threads, which hide the pace
    pace = Pace()
    with cpu_threads(1):
        training = {"batch_size": rules.BATCH_ON_CPU} if on_cpu else {}
        among = searching * (1 - rules.FINALISTS) * (workers or 1)
        plan = _with_child(env_id, data, training, among)
    plan = replace(plan, busy=pace.busy if on_cpu else 1.0)
    if plan.child.epochs < rules.CHILD_EPOCHS[0]:  # a search would not pay
        return replace(plan, child=replace(plan.child, epochs=1))
    affordable = int(rules.FINALISTS * searching * (workers or 1) / _cost(plan.child))
    finalists = min(10, affordable) if affordable > 1 else 0
    return replace(plan, workers=workers, search_seconds=searching, finalists=finalists)


def _about_children(plan: Plan) -> str:
    """Return the line that says what children there are."""
    child, epoch = plan.child, f"of about {plan.child.epoch_seconds:.2g} s each"
    if not plan.search_seconds:
        return (
            f"search: none, there is no time for {rules.CHILDREN[0]} children of "
            f"{rules.CHILD_EPOCHS[0]} epochs {epoch}; {rules.KNOWN[plan.env_id]} has all of it"
        )
    skeleton, processes = rules.SKELETONS[plan.env_id][child.place], plan.workers or 1
    shown = ("cells", "filters", "width")
    size = ", ".join(f"{name} {skeleton[name]}" for name in shown if name in skeleton)
    return (
        f"children: networks of {size}, {child.epochs} epochs {epoch}; time for about "
        f"{plan.children} of them on {processes} process{'es' if processes > 1 else ''}, and for "
        f"{counted(plan.finalists, 'finalist')}"
    )


def _cost(child: Choice) -> float:
    """Return the seconds of a child's training."""
    return child.epochs * child.epoch_seconds * rules.SLOWER


def _with_child(env_id: str, data: dict[str, Any], training: dict[str, Any], budget: float) -> Plan:
    """Return a plan without a search whose child has the largest network for a budget."""
    fewest, most = rules.CHILD_EPOCHS
    known = published(rules.KNOWN[env_id])
    best: Choice | None = None
    target = 0
    for place, skeleton in enumerate(rules.SKELETONS[env_id]):
        with closing(make_environment(env_id, {**data, **training, **skeleton})) as env:
            trainer: Any = env.memory.evaluator
            seconds = epoch_seconds(trainer, known)
        few, many = (int(budget / (number * seconds * rules.SLOWER)) for number in rules.CHILDREN)
        if best is None or many >= fewest:
            best = Choice(place, seconds, max(min(fewest, few), min(most, many)))
            cost = measure_cost(known, trainer.task.input_shape, trainer.settings.network)
            target = cost.multiply_adds
        if many < fewest:
            break
    assert best is not None
    shape = trainer.task.input_shape
    side = min(shape.height, shape.width)
    training = {**training, "crop_padding": side // rules.PADDING_SHORT}
    end = _end_epochs(shape, trainer.dataset)
    return Plan(env_id, data, best, None, 0.0, 0, training, target, (), end_epochs=end)


def _end_epochs(shape: ImageShape, dataset: Any) -> float:
    """Return the `Plan.end_epochs`: a pass forward takes a third of a step.

    The test images are tested, and then judged for the report.
    """
    passes = 2 * num_compared(shape) + 2 * len(dataset.test)
    return passes / 3 / (len(dataset.train) + len(dataset.validation))
