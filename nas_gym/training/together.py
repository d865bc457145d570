"""Trains a child under several seeds as one `nas_gym.networks.fused.Fused` network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.networks import ChildNetwork
from nas_gym.networks.fused import CannotFuse, Fused
from nas_gym.training.failures import Attempt, Diverged
from nas_gym.training.seeds import global_generator

if TYPE_CHECKING:
    from nas_gym.training.trainer import Trainer

Trained = tuple[Evaluation, ChildNetwork | None]
"""An evaluation, and the trained network unless the child failed."""


def train_together(
    trainer: Trainer, architecture: Architecture, repeats: Sequence[int]
) -> list[Trained]:
    """Return the evaluations and networks of repeats that are trained as one network.

    A repeat whose training diverges leaves the others as they are. Seconds are shared out evenly.

    Raises:
        CannotFuse: the network or the task has no fused form.
        Exception: building or training failed, for all of them.
    """
    if not trainer.task.fuses:
        raise CannotFuse(f"{type(trainer.task).__name__} does not train fused networks")
    seeds = [trainer.seed_of(architecture, repeat) for repeat in repeats]
    children = [Attempt(metric=trainer.task.metric) for _ in seeds]
    members, generators = [], []
    for child, seed in zip(children, seeds, strict=True):
        with trainer.isolated(seed):
            members.append(trainer.built(child, architecture))
            generators.append(global_generator(trainer.device))
    with trainer.isolated(seeds[0]):
        fused = Fused(members, generators, seeds)
        fused.check(trainer.task.input_shape.batch(2, trainer.device))
        measures = [trainer.task.validation_of(member) for member in members]
        failures: list[Diverged | None] = [None] * len(seeds)
        for losses in _epochs(trainer, fused):
            for place, (child, measure) in enumerate(zip(children, measures, strict=True)):
                try:
                    if failures[place] is None:
                        child.add(_value(measure, losses[place]))
                except Diverged as error:
                    failures[place] = error
            if all(failures):
                break
    return _trained(trainer, seeds, children, members, failures)


def _epochs(trainer: Trainer, fused: Fused) -> Iterator[Tensor]:
    """Train for all epochs; yield each one's sums of losses, (K,), with the weights to evaluate."""
    loop = trainer.task.loop(fused)
    while loop.epoch < trainer.settings.epochs:
        losses = loop.train_epoch()
        with loop.evaluating():
            yield losses
    loop.finish()


def _value(measure: Callable[[], float], loss: Tensor) -> float:
    if not math.isfinite(loss.item()):
        raise Diverged(f"the loss is {loss.item()}")
    return measure()


def _trained(
    trainer: Trainer,
    seeds: Sequence[int],
    children: Sequence[Attempt],
    members: Sequence[ChildNetwork],
    failures: Sequence[Diverged | None],
) -> list[Trained]:
    trained: list[Trained] = []
    for seed, child, member, failure in zip(seeds, children, members, failures, strict=True):
        with child.recorded():
            if failure is not None:
                raise failure
        evaluation = child.evaluation(seed, trainer.fingerprint)
        trained.append((evaluation, None if failure else member))
    seconds = trained[0][0].seconds / len(trained)  # the first child began before the others
    return [(replace(evaluation, seconds=seconds), network) for evaluation, network in trained]
