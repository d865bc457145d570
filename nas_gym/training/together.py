"""Trains a child under several seeds as one `nas_gym.networks.fused.Fused` network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.evaluation.evaluator import partial_fingerprint
from nas_gym.networks import ChildNetwork
from nas_gym.networks.fused import CannotFuse, Fused
from nas_gym.training.checkpoint import Checkpoint, restore_children
from nas_gym.training.failures import Attempt, Diverged, is_out_of_memory
from nas_gym.training.loop import TrainingLoop
from nas_gym.training.seeds import global_generator

if TYPE_CHECKING:
    from nas_gym.training.trainer import Trainer

Trained = tuple[Evaluation, ChildNetwork | None]
"""An evaluation, and the trained network unless the child failed."""


class TrainedSeparately(UserWarning):
    """Trainings that were to be computed as one network are made one after the other."""


@dataclass
class _Member:
    """One of the trainings, as far as it got."""

    repeat: int
    seed: int
    child: Attempt
    network: ChildNetwork | None = None
    generator: torch.Generator | None = None
    failure: Exception | None = None

    def give_up(self) -> None:
        """Raise the failure, if there is one, and forget it.

        It holds all that was on the stack where it was raised, networks and graphs, in a circle.
        """
        failure, self.failure = self.failure, None
        try:
            if failure is not None:
                raise failure
        finally:
            del failure


def train_together(
    trainer: Trainer, architecture: Architecture, repeats: Sequence[int], epochs: int | None = None
) -> list[Trained]:
    """Return the evaluations and networks of repeats that are trained as one network.

    A repeat whose training diverges leaves the others as they are; any other failure is that of all
    of them. Seconds are shared out evenly. A training in parts (``epochs``, see
    `Trainer.evaluate_one`) goes on from the states of all repeats, as one or apart before.
    `CannotFuse` if the network, its precision or the task has no fused form, or there is no memory
    for all.
    """
    if not trainer.task.fuses:
        raise CannotFuse(f"{type(trainer.task).__name__} does not train fused networks")
    if trainer.task.autocast_dtype == torch.float16:
        raise CannotFuse("float16 has one scale of losses for all networks")
    members = [_built(trainer, architecture, repeat) for repeat in repeats]
    fingerprint = partial_fingerprint(trainer.fingerprint, epochs)
    if all(member.network is not None for member in members):
        try:
            _train(trainer, members, trainer.kept(architecture, repeats), epochs)
        except CannotFuse:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise CannotFuse("there is no memory for all of them at a time") from error
            for member in members:
                member.failure = member.failure or error
        return _trained(trainer, members, fingerprint)
    return [  # one that cannot be built, or costs too much, is not trained
        trainer.train_one(architecture, member.repeat, epochs)
        if member.network is not None
        else (member.child.evaluation(member.seed, fingerprint), None)
        for member in members
    ]


def _built(trainer: Trainer, architecture: Architecture, repeat: int) -> _Member:
    seed, child = trainer.seed_of(architecture, repeat), Attempt(metric=trainer.task.metric)
    member = _Member(repeat, seed, child)
    with trainer.isolated(seed), child.recorded():
        member.network = trainer.built(child, architecture)
        member.generator = global_generator(trainer.device)
    return member


def _train(
    trainer: Trainer, members: Sequence[_Member], kept: Sequence[Checkpoint], epochs: int | None
) -> None:
    """Train the members to the end or an epoch, or until all of them have diverged."""
    networks = [member.network for member in members if member.network is not None]
    generators = [member.generator for member in members]
    measures = [trainer.task.validation_of(network) for network in networks]
    with trainer.isolated(members[0].seed), trainer.undisturbing():
        fused = Fused(networks, generators, [member.seed for member in members])
        fused.check(trainer.task.input_shape.batch(2, trainer.device))
        loop, last = trainer.task.loop(fused), epochs or trainer.settings.epochs
        for member, facts in zip(members, restore_children(kept, loop, last), strict=False):
            member.child.go_on_from(facts)
        for losses in _epochs(loop, last):
            for member, measure, loss in zip(members, measures, losses.tolist(), strict=True):
                try:
                    if member.failure is None and not math.isfinite(loss):
                        raise Diverged(f"the loss is {loss}")
                    if member.failure is None:
                        member.child.add(measure())
                except Diverged as error:
                    member.failure = error
            if all(member.failure for member in members):
                return
        states = loop.states() if kept else []
        for member, file, state in zip(members, kept, states, strict=False):
            if member.failure is None:
                file.keep_child(state, epochs is not None, **member.child.progress)
        loop.finish()


def _epochs(loop: TrainingLoop, last: int) -> Iterator[Tensor]:
    """Train up to an epoch; yield each one's sums of losses, (K,), with the weights to evaluate."""
    while loop.epoch < last:
        losses = loop.train_epoch()
        with loop.evaluating():
            yield losses


def _trained(trainer: Trainer, members: Sequence[_Member], fingerprint: str) -> list[Trained]:
    trained: list[Trained] = []
    for member in members:
        child = member.child
        child.status = "crashed"
        with trainer.isolated(member.seed), child.recorded():
            member.give_up()
            assert member.network is not None
            trainer.time(child, member.network)
        evaluation = child.evaluation(member.seed, fingerprint)
        trained.append((evaluation, member.network if evaluation.status == "ok" else None))
    seconds = trained[0][0].seconds / len(trained)  # the first child began before the others
    return [(replace(evaluation, seconds=seconds), network) for evaluation, network in trained]
