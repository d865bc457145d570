"""Asynchronous successive halving (Li et al. 2020, https://arxiv.org/abs/1810.05934, algorithm 2).

A child goes on under the learning rates of the full training, of which a rung is a part: so nothing
is trained twice, and a child that reaches the top is what a full training makes of it, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Ge, MinLen
from pydantic import BeforeValidator

from nas_agents.strategies.base import MultiFidelity, Strategy
from nas_agents.strategies.random_search import RandomSearch
from nas_gym import SearchSpace
from nas_gym.errors import counted, require
from nas_gym.search_spaces import Choices
from nas_gym.settings import Positive, Seed, validated


@dataclass
class Rung:
    """The children that were trained for some number of epochs, by `Architecture.key`."""

    epochs: int
    results: dict[str, tuple[float, Choices]] = field(default_factory=dict)
    """(reward, choices), in the order in which they ended; failed ones are worth -inf."""
    promoted: set[str] = field(default_factory=set)
    """Those that went on."""

    def next_promotion(self, eta: int) -> tuple[str, Choices] | None:
        """Return the best child of the best 1 / eta that did not go on yet, if there is one."""
        ranked = sorted(self.results, key=lambda key: -self.results[key][0])
        for key in ranked[: len(ranked) // eta]:
            reward, choices = self.results[key]
            if key not in self.promoted and reward > float("-inf"):
                return key, choices
        return None


class ASHA(MultiFidelity):
    """Trains every child for few epochs, and the best of them for more.

    Whenever a worker is idle, it gets a child that is among the best 1 / eta of its rung, of the
    highest rung that has one, and trains it up to the next rung, for eta times as many epochs; if
    there is none, a new child. As the paper's, it does not wait: a child may go on that later ones
    push out of the best 1 / eta, so that some more go on than that share. The proposer learns the
    rewards of the lowest rung, the only ones that all children have under the same training.

    Args:
        fidelities: Numbers of epochs after which children can be evaluated; the last is a full
            training, the top rung. The others are the largest ones that are at most 1 / eta of the
            rung above. ``nas-gym search`` gives the evaluator's.
        eta: Reduction factor; the paper's is 4, and 3 in Hyperband.
        lowest: Epochs of the lowest rung, at least.
        proposer: Proposes the children; default: random search without repeats. For ``nas-gym
            search``, an agent's name, with its own arguments in ``proposer_arguments``.
    """

    @validated
    def __init__(
        self,
        search_space: SearchSpace,
        seed: Seed | None = None,
        fidelities: Annotated[Sequence[Positive], BeforeValidator(tuple), MinLen(1)] = (1, 3, 9),
        eta: Annotated[int, Ge(2)] = 3,
        lowest: Positive = 1,
        proposer: Strategy | None = None,
    ) -> None:
        super().__init__(search_space, seed)
        self.eta = eta
        self.proposer = proposer or RandomSearch(search_space, seed, repeats=False)
        epochs = rungs_of(fidelities, eta, lowest)
        require(
            len(epochs) > 1,
            f"eta: there is no rung below {counted(epochs[0], 'epoch')} with eta={eta} and "
            f"lowest={lowest}; take smaller ones, or train for more epochs",
        )
        self.rungs = [Rung(each) for each in epochs]
        """The lowest first."""

    def next_training(self) -> tuple[Choices, int]:
        for below, rung in reversed([*zip(self.rungs, self.rungs[1:], strict=False)]):
            promotion = below.next_promotion(self.eta)
            if promotion is not None:
                key, choices = promotion
                below.promoted.add(key)
                return choices, rung.epochs
        return self.proposer.proposal(), self.rungs[0].epochs

    def trained(self, choices: Choices, epochs: int, reward: Any, failed: bool) -> None:
        key = self.search_space.decode(choices).key
        rung = next(each for each in self.rungs if each.epochs == epochs)
        rung.results.setdefault(key, (float("-inf") if failed else reward, choices))
        if rung is self.rungs[0]:
            self.proposer.observe(choices, reward)


def rungs_of(fidelities: Sequence[int], eta: int, lowest: int = 1) -> list[int]:
    """Return the rungs' numbers of epochs, the lowest first; see `ASHA`."""
    rungs = [max(fidelities)]
    while below := [each for each in fidelities if lowest <= each <= rungs[0] / eta]:
        rungs.insert(0, max(below))
    return rungs
