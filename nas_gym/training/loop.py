"""`TrainingLoop`: the training of one network, whose state between two epochs can be kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from nas_gym.networks import ChildNetwork
from nas_gym.networks.devices import synchronize
from nas_gym.networks.fused import Fused
from nas_gym.outside.quiet import give_way
from nas_gym.training.seeds import random_states, set_random_states
from nas_gym.training.steps.graphs import worthwhile
from nas_gym.training.steps.optimizers import group_states, set_group_states
from nas_gym.training.steps.training import TrainingSteps

if TYPE_CHECKING:
    from nas_gym.training.tasks.task import Task


class WeightAverage:
    """A running average of networks' weights, and of their batch normalization's statistics."""

    def __init__(self, *networks: nn.Module) -> None:
        self.networks = networks
        self.tensors = [tensor.clone() for tensor in self._own()]
        """Those of the first network, then of the next: of networks alike, equal numbers."""

    def _own(self) -> list[Tensor]:
        state = [(*each.parameters(), *each.buffers()) for each in self.networks]
        return [tensor.detach() for tensor in chain(*state) if tensor.is_floating_point()]

    def update(self, share: float) -> None:
        """Take the network's weights, as they are now, into the average with a share of it."""
        torch._foreach_lerp_(self.tensors, self._own(), share)

    def restore(self, tensors: list[Tensor]) -> None:
        """Set the average."""
        for tensor, value in zip(self.tensors, tensors, strict=True):
            tensor.copy_(value)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the networks the average within it, and afterwards their own weights again."""
        own = [weight.clone() for weight in self._own()]
        self.apply()
        try:
            yield
        finally:
            for weight, value in zip(self._own(), own, strict=True):
                weight.copy_(value)

    def apply(self) -> None:
        """Give the networks the average."""
        for weight, mean in zip(self._own(), self.tensors, strict=True):
            weight.copy_(mean)


class TrainingLoop(ABC):
    """Trains a network epoch by epoch, with random numbers that follow from torch's seed.

    A subclass trains one epoch in `run_epoch`, has ``optimizer``, and may keep an ``average`` of
    the weights: then that is what is evaluated, and what stays at the end.
    """

    optimizer: torch.optim.Optimizer

    def __init__(self, network: ChildNetwork, device: torch.device) -> None:
        self.network, self.device = network, device
        self.networks: tuple[ChildNetwork, ...] = (network,)
        """The network, or the members of a `Fused` one."""
        seeds: Sequence[int] = (torch.initial_seed(),)
        if isinstance(network, Fused):
            self.networks, seeds = network.members, network.seeds
        self.generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
        """The random numbers of each network's batches."""
        self.epoch = 0
        """Number of finished epochs."""
        self.ends: int | None = None
        """Number of epochs in all, where it is not that of the settings; see `end_after`."""
        self.average: WeightAverage | None = None
        self.scaler: GradScaler | None = None

    @abstractmethod
    def run_epoch(self) -> Tensor:
        """Train for an epoch, in training mode; return the sum of its batches' losses, ().

        Of a `Fused` network of K members, the losses are (K,).
        """

    def end_after(self, epochs: int) -> None:
        """Have the training end after another number of epochs in all."""
        self.ends = epochs

    def train_epoch(self) -> Tensor:
        """Train for the next epoch; return the sum of its batches' losses, ()."""
        self.network.train()
        total = self.run_epoch()
        self.epoch += 1
        return total

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Give the network the weights within it that are to be evaluated."""
        if self.average is None:
            yield
        else:
            with self.average.applied():
                yield

    def finish(self) -> None:
        """Give the network the weights that stay; it cannot go on from them."""
        if self.average is not None:
            self.average.apply()

    def states(self) -> list[dict[str, Any]]:
        """Return all that changes of each network's training, torch's global random numbers too.

        A member of a `Fused` network has the state that it would have if it were trained alone.
        """
        average = None if self.average is None else self.average.tensors
        share = len(average or ()) // len(self.networks)
        scaler = None if self.scaler is None else self.scaler.state_dict()
        return [
            {
                **{"epoch": self.epoch, "ends": self.ends, "scaler": scaler},
                # Copies: a member's weights are a part of all members' memory.
                "network": {name: each.clone() for name, each in network.state_dict().items()},
                "optimizer": optimizer,
                "average": average and average[n * share : (n + 1) * share],
                "generator": generator.get_state(),
                "random": self._random_states(n),
            }
            for n, (network, optimizer, generator) in enumerate(
                zip(self.networks, group_states(self.optimizer), self.generators, strict=True)
            )
        ]

    def load_states(self, states: Sequence[dict[str, Any]]) -> None:
        """Restore `states`, all after the same epoch; the training goes on from it to the bit."""
        set_group_states(self.optimizer, [state["optimizer"] for state in states])
        for n, (network, state) in enumerate(zip(self.networks, states, strict=True)):
            network.load_state_dict(state["network"])
            self.generators[n].set_state(state["generator"])
            self._set_random_states(n, state["random"])
        first = states[0]
        if first["average"] is None:
            self.average = None
        else:
            self.average = self.average or WeightAverage(*self.networks)
            self.average.restore([*chain(*(state["average"] for state in states))])
        if self.scaler is not None:
            self.scaler.load_state_dict(first["scaler"])
        self.epoch, self.ends = first["epoch"], first["ends"]

    def _own(self, n: int) -> torch.Generator | None:
        """Return what a member of a `Fused` network has for torch's global generator."""
        return self.network.generators[n] if isinstance(self.network, Fused) else None

    def _random_states(self, n: int) -> list[Tensor]:
        states = random_states(self.device)
        if own := self._own(n):
            states[-1] = own.get_state()
        return states

    def _set_random_states(self, n: int, states: Sequence[Tensor]) -> None:
        if own := self._own(n):
            own.set_state(states[-1])
        else:
            set_random_states(self.device, states)


class BatchLoop(TrainingLoop):
    """The loop of a task that has batches and a loss.

    With ``ema_decay``, the average is exponential: it keeps that share of itself at each step, and
    less in the first ones, (1 + step) / (10 + step), as TensorFlow's.
    """

    def __init__(self, task: Task, network: ChildNetwork) -> None:
        super().__init__(network, task.device)
        self.task, self.settings = task, task.settings
        calls = self.settings.epochs * task.steps_per_epoch
        # Processes wait for each other in a step, and Lion reads its rate in Python.
        can_be = task.share[1] == 1 and self.settings.optimizer != "lion"
        asked = can_be and self.settings.cuda_graphs
        graphed = worthwhile(asked, task.device, calls, task, network)
        compiles = task.final and not self.settings.deterministic
        self.steps = TrainingSteps(network, task, self.generators, graphed, calls * compiles)
        self.optimizer, self.scaler = self.steps.optimizer, self.steps.scaler
        if self.settings.ema_decay:
            self.average = WeightAverage(*self.networks)
        self._bend = (0, 0.0)
        """Step from which on the schedule goes evenly to its end, and its share before that."""

    def end_after(self, epochs: int) -> None:
        """Have the training end after another number of epochs, with its whole schedule."""
        step = self.epoch * self.task.steps_per_epoch
        self._bend = (step, self._progress(step))
        super().end_after(epochs)

    def _progress(self, step: int) -> float:
        """Return the share of the schedule before a step."""
        begun, share = self._bend
        steps = (self.ends or self.settings.epochs) * self.task.steps_per_epoch
        return share + (1 - share) * (step - begun) / (steps - begun)

    def run_epoch(self) -> Tensor:
        total = torch.zeros((), device=self.device)
        each, decay = self.task.steps_per_epoch, self.settings.ema_decay
        batches = zip(*map(self.task.draws, self.generators), strict=True)
        for step, drawn in enumerate(batches, start=self.epoch * each):
            give_way(partial(synchronize, self.device))
            total = total + self.steps.step(drawn, self._progress(step))
            if self.average is not None:
                self.average.update(1 - min(decay, (1 + step) / (10 + step)))
        return total

    def states(self) -> list[dict[str, Any]]:
        return [{**state, "bend": self._bend} for state in super().states()]

    def load_states(self, states: Sequence[dict[str, Any]]) -> None:
        super().load_states(states)
        self._bend = states[0]["bend"]
        self.steps.own_rates()
