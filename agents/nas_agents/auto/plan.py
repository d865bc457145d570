"""The rules by which `nas-gym auto` chooses: image size, search space, children, final training.

Times are measured on this machine, with the data: a few steps of a network of each size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError

from nas_agents.auto.speed import Pace, epoch_seconds
from nas_agents.catalogue.environments import make_environment
from nas_gym import Architecture, published
from nas_gym.data.decoding import available_cpus
from nas_gym.data.folder import image_files
from nas_gym.networks import measure_cost
from nas_gym.networks.devices import cpu_threads, resolve_device
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.presets import final_settings
from nas_gym.training.settings import LearningSettings

SEARCH, FINAL, RESERVE = 0.25, 0.6, 0.02
"""Shares of the time: of the search with its finalists, of the final training at least, which has
all that the others leave, and at the end for export and report, at least `LEAST_RESERVE` seconds.
"""
LEAST_RESERVE, MOST_RESERVE = 15.0, 0.5
"""The least seconds at the end; and the largest share of the time, on a machine that is busy."""
FINALISTS = 0.2
"""Share of the search's time for further trainings of its best children."""
CHILDREN, CHILD_EPOCHS = (15, 40), (3, 12)
"""Number of children of the fewest epochs from which on a search pays, and that a larger network
must leave time for; and the fewest and the most epochs of a child."""
FINAL_EPOCHS = (50, 300)
"""Epochs of the final training that a larger network must leave time for, and the most epochs."""
PADDING, PADDING_SHORT = 8, 16
"""The part of the height, 1 in so many, by which images are padded for random crops; and that of
children and of a final training of fewer epochs, which a strong augmentation would only delay."""
BATCH_ON_CPU = 32
"""Images a step on a CPU, where a small step costs little more an image, and there are more."""
SIZES = (32, 48, 64, 96, 128)
"""Heights and widths to which image files are scaled."""
LARGE = 96
"""Height from which images are large: there mobile networks halve it early."""
SLOWER = 1.25
"""Factor by which a training beside others, with its validation, is slower than bare steps."""
WORKERS_FROM = 300.0
"""Seconds from which on starting a process for each core pays."""

Sizes = tuple[dict[str, Any], ...]
SMALL_SPACE = "nas_gym/NASBench201-v0"
LARGE_SPACE = "nas_gym/MnasNet-v0"
SKELETONS: dict[str, Sizes] = {
    SMALL_SPACE: tuple(
        {"cells": cells, "filters": filters}
        for cells, filters in ((1, 8), (1, 16), (2, 16), (3, 16), (3, 32), (5, 32), (5, 64))
    ),
    LARGE_SPACE: tuple(
        {"width": width, "head_filters": head, "divisor": 8, "halvings": 5}
        for width, head in ((0.25, 320), (0.5, 640), (0.75, 960), (1.0, 1280))
    ),
}
"""Settings of networks by search space, the smallest first."""
KNOWN = {SMALL_SPACE: "NAS-Bench-201-ResNet", LARGE_SPACE: "MobileNetV2"}
"""Published architecture of each search space that is the first child, and the only one where there
is no time for a search: that has to find a better one."""


@dataclass(frozen=True)
class Choice:
    """A size of networks, with the time that it takes."""

    place: int
    """Place in `SKELETONS` of the search space."""
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
    """Multiply-adds of the network of `KNOWN` in the children's size, which the reward weighs."""
    reasons: tuple[str, ...]
    """What was chosen, and why, a line each."""
    busy: float = 1.0
    """`Pace.busy` when the plan was made."""

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
        SKELETONS[given["env_id"]][child.place]
        data = {name: held[name] for name in ("dataset", "image_size", "device") if name in held}
        parts = {"child": child, "data": data, "reasons": tuple(given["reasons"])}
        return cls(**{**given, **parts})

    @property
    def env_arguments(self) -> dict[str, Any]:
        """Arguments of the search's environment."""
        skeleton = SKELETONS[self.env_id][self.child.place]
        reward = {"name": "mnasnet", "cost": "multiply_adds", "target": self.target}
        own = {**self.training, "epochs": self.child.epochs, "reward": reward}
        return {**self.data, **skeleton, **own}

    @property
    def children(self) -> int:
        """Expected number of children."""
        among = self.search_seconds * (1 - FINALISTS) * (self.workers or 1)
        return max(1, int(among / _cost(self.child)))


def image_size_of(dataset: str) -> tuple[int | None, str]:
    """Return the size to which images are scaled, None for as they are, and why.

    It is the largest of `SIZES` that is at most the median of the shorter sides of 200 images.
    """
    folder = Path(dataset).expanduser()
    if not folder.is_dir():
        return None, "image size: as in the data"
    files = image_files(folder)
    chosen = np.random.default_rng(0).permutation(len(files))[:200]
    sides = [side for side in (_shorter_side(files[place]) for place in chosen) if side]
    middle = int(median(sides)) if sides else SIZES[0]
    size = max((each for each in SIZES if each <= middle), default=SIZES[0])
    return size, f"image size: {size} pixels; half of the images have a shorter side of {middle}"


def _shorter_side(path: Path) -> int | None:
    try:
        with Image.open(path) as image:
            return min(image.size)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError):
        return None  # the reading of the data names it


def make_plan(
    dataset: str, seconds: float, device: str, say: Callable[[str], None] = lambda _: None
) -> Plan:
    """Return the plan for a data set and a time.

    Args:
        dataset: A name, an ``.npz`` file, or a folder of images.
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
    env_id = SMALL_SPACE if size is None or size < LARGE else LARGE_SPACE
    chosen(f"search space: {env_id}, for {'large' if env_id == LARGE_SPACE else 'small'} images")
    plan = _sized(env_id, dataset, size, seconds, resolve_device(device))
    chosen(_about_children(plan))
    return replace(plan, reasons=tuple(reasons))


def _sized(
    env_id: str, dataset: str, size: int | None, seconds: float, device: torch.device
) -> Plan:
    """Return the plan with its children, their number and that of finalists."""
    data: dict[str, Any] = {"dataset": dataset, "device": str(device)}
    if size is not None:
        data["image_size"] = size
    on_cpu = device.type == "cpu"
    cores = available_cpus() if on_cpu else 2
    workers = cores if seconds >= WORKERS_FROM and cores > 1 else None
    searching = SEARCH * seconds
    budget = searching * (1 - FINALISTS) * (workers or 1)
    pace = Pace()
    with cpu_threads(1):
        training = {"batch_size": BATCH_ON_CPU} if on_cpu else {}
        training, child, target = _child(env_id, data, training, budget)
    finalists = 0
    if child.epochs < CHILD_EPOCHS[0]:  # a search would not pay
        child, workers, searching = replace(child, epochs=1), None, 0.0
    else:
        affordable = min(10, int(FINALISTS * searching * (workers or 1) / _cost(child)))
        finalists = affordable if affordable > 1 else 0
    busy = pace.busy if on_cpu else 1.0
    return Plan(env_id, data, child, workers, searching, finalists, training, target, (), busy)


def _about_children(plan: Plan) -> str:
    """Return the line that says what children there are."""
    child, epoch = plan.child, f"of about {plan.child.epoch_seconds:.2g} s each"
    if not plan.search_seconds:
        return (
            f"search: none, there is no time for {CHILDREN[0]} children of {CHILD_EPOCHS[0]} "
            f"epochs {epoch}; {KNOWN[plan.env_id]} has all of it"
        )
    skeleton, processes = SKELETONS[plan.env_id][child.place], plan.workers or 1
    return (
        f"children: networks of {_text(skeleton)}, {child.epochs} epochs {epoch}; time for about "
        f"{plan.children} of them on {processes} process{'es' if processes > 1 else ''}, and for "
        f"{plan.finalists} finalists"
    )


def _cost(child: Choice) -> float:
    """Return the seconds of a child's training."""
    return child.epochs * child.epoch_seconds * SLOWER


def _text(skeleton: Mapping[str, Any]) -> str:
    shown = ("cells", "filters", "width")
    return ", ".join(f"{name} {skeleton[name]}" for name in shown if name in skeleton)


def _child(
    env_id: str, data: Mapping[str, Any], training: Mapping[str, Any], budget: float
) -> tuple[dict[str, Any], Choice, int]:
    """Return settings and size of children for a budget of seconds, and the known one's cost."""
    fewest, most = CHILD_EPOCHS
    known = published(KNOWN[env_id])
    best: Choice | None = None
    target = 0
    for place, skeleton in enumerate(SKELETONS[env_id]):
        with closing(make_environment(env_id, {**data, **training, **skeleton})) as env:
            trainer: Any = env.memory.evaluator
            seconds = epoch_seconds(trainer, known)
        few, many = (int(budget / (number * seconds * SLOWER)) for number in CHILDREN)
        if best is None or many >= fewest:
            best = Choice(place, seconds, max(min(fewest, few), min(most, many)))
            cost = measure_cost(known, trainer.task.input_shape, trainer.settings.network)
            target = cost.multiply_adds
        if many < fewest:
            break
    assert best is not None
    padding = trainer.task.input_shape.height // PADDING_SHORT
    return {**training, "crop_padding": padding}, best, target


def final_choice(
    plan: Plan, architecture: Architecture, child: LearningSettings, dataset: Any, seconds: float
) -> tuple[dict[str, Any], Choice]:
    """Return the arguments of the final training that takes a number of seconds.

    It is the largest network, from the children's on, with time for `FINAL_EPOCHS`.

    Args:
        plan: The plan of the search.
        architecture: The best architecture.
        child: Settings of the children.
        dataset: The data set.
        seconds: Time of the final training.
    """
    fewest, most = FINAL_EPOCHS
    best: Choice | None = None
    for place in range(plan.child.place, len(SKELETONS[plan.env_id])):
        given = {**SKELETONS[plan.env_id][place], "epochs": 1}
        settings = final_settings(child, given)
        trainer = NetworkTrainer(dataset, settings, plan.data["device"], final=True)
        each = epoch_seconds(trainer, architecture)
        if best is not None and fewest * each * SLOWER > seconds:
            break
        best = Choice(place, each, max(1, min(most, int(seconds / (each * SLOWER)))))
    assert best is not None
    given = {**SKELETONS[plan.env_id][best.place], "epochs": best.epochs}
    if best.epochs >= fewest:
        given["crop_padding"] = dataset.images.shape[1] // PADDING
    return given, best
