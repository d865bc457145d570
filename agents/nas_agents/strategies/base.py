"""`Strategy`: a search that proposes whole architectures, several at a time if asked to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from nas_gym import InvalidArchitecture, Memory, SearchSpace
from nas_gym.errors import InvalidSettings, require
from nas_gym.rewards import AnyReward
from nas_gym.search_spaces import Choices
from nas_gym.settings import Seed, validated

BLOCK = 256
"""Number of random numbers, or architectures, drawn at a time: a single draw costs ten times as
much."""


class Strategy(ABC):
    """Proposes whole architectures, and observes their rewards in any order.

    Several proposals can be under way at a time, and each is answered when its child is trained,
    or never. All random numbers are drawn from ``self.rng``, so proposals follow from the seed and
    the order of calls. Sequences of choices are not modified once they were passed in either
    direction. Proposals cover the whole search space; where the environment allows only a part of
    it at first (NAS's depth schedule), the reward belongs to the architecture that it makes of the
    proposal, as with any agent.

    A subclass implements `propose` and `observe`; its documentation lists its further constructor
    arguments, which ``nas-gym search --agent-set`` sets.

    A reward is a number, to be maximized; with ``multi_objective``, it is a list of K numbers, one
    for each objective.

    Args:
        search_space: Search space of the proposals.
        seed: Seed of ``self.rng``.

    Raises:
        InvalidSettings: an argument is not valid.
    """

    multi_objective: ClassVar[bool] = False
    """True if rewards are lists of numbers."""

    @validated
    def __init__(self, search_space: SearchSpace, seed: Seed | None = None) -> None:
        self.search_space = search_space
        self.rng = np.random.default_rng(seed)
        self._numbers: list[float] = []
        self._samples: list[Choices] = []
        self._keys: set[str] = set()
        self._open = [step for step, number in enumerate(search_space.num_valid) if number > 1]

    @abstractmethod
    def propose(self) -> Choices:
        """Return the next architecture: a complete, valid sequence of choices, (T,) int64."""

    def proposal(self) -> Choices:
        """Return what `propose` does, (T,) int64; `InvalidSettings` if it is no valid sequence."""
        try:
            return self.search_space.check(self.propose())
        except InvalidArchitecture as error:
            name = type(self).__name__
            raise InvalidSettings(f"agent: {name} proposed no valid sequence: {error}") from error

    @abstractmethod
    def observe(self, choices: Choices, reward: Any) -> None:
        """Learn the reward of a proposal; failed children have one too."""

    def prepare(self, reward: AnyReward, memory: Memory | None) -> None:  # noqa: B027
        """Learn what is rewarded, and what is known before the first proposal; default: nothing."""

    def observe_evaluation(
        self, choices: Choices, reward: Any, evaluation: Mapping[str, Any]
    ) -> None:
        """Learn the reward of a proposal and the evaluation behind it; default: `observe`."""
        self.observe(choices, reward)

    def uniform(self) -> float:
        """Draw a number from [0, 1)."""
        if not self._numbers:
            self._numbers = self.rng.random(BLOCK).tolist()
        return self._numbers.pop()

    def below(self, number: int) -> int:
        """Draw an integer from 0 to below ``number``."""
        return int(self.uniform() * number)

    def sample(self) -> Choices:
        """Draw a sequence of choices, distributed as `SearchSpace.sample`'s."""
        if self.search_space.conditional:
            return self.search_space.sample(self.rng)
        if not self._samples:
            limits = self.search_space.num_valid
            self._samples = list(self.rng.integers(limits, size=(BLOCK, len(limits))))
        return self._samples.pop()

    def is_new(self, choices: Choices) -> bool:
        """Return True at the first call with this network (`Architecture.key`), then False."""
        num_keys = len(self._keys)
        self._keys.add(self.search_space.decode(choices).key)
        return len(self._keys) > num_keys

    def first_new(self, candidates: Iterable[Choices]) -> Choices:
        """Return the first candidate whose network `is_new`, or else the last candidate."""
        for choices in candidates:
            if self.is_new(choices):
                break
        return choices

    def mutate(self, choices: Choices) -> Choices:
        """Draw a neighbour: one decision with several valid choices takes another one."""
        steps = self.open_decisions(choices)
        if not steps:
            return choices
        step = steps[self.below(len(steps))]
        others = self.other_choices(choices, step)
        return self.change(choices, step, others[self.below(len(others))])

    def neighbours(self, choices: Choices) -> list[Choices]:
        """Return all architectures that differ by one choice and its consequences (`change`)."""
        return [
            self.change(choices, step, other)
            for step in self.open_decisions(choices)
            for other in self.other_choices(choices, step)
        ]

    def open_decisions(self, choices: Choices) -> list[int]:
        """Return the decisions in which several choices are valid after those before it."""
        if not self.search_space.conditional:
            return self._open
        valid = self.search_space.valid_choices
        return [step for step in range(len(choices)) if np.count_nonzero(valid(choices[:step])) > 1]

    def other_choices(self, choices: Choices, step: int) -> list[int]:
        """Return the valid choices of a decision except the one made."""
        if self.search_space.conditional:
            valid = np.flatnonzero(self.search_space.valid_choices(choices[:step])).tolist()
        else:
            valid = list(range(self.search_space.num_valid[step]))
        return [choice for choice in valid if choice != choices[step]]

    def change(self, choices: Choices, step: int, choice: int) -> Choices:
        """Return a copy with another choice in one decision.

        Later choices that are no longer valid are drawn again, and so are those of decisions that
        only exist after the change (`Decision.when`), for which nothing was chosen before.
        """
        changed = choices.copy()
        changed[step] = choice
        if not self.search_space.conditional:
            return changed
        valid_choices = self.search_space.valid_choices
        for later in range(step + 1, len(choices)):
            valid = np.flatnonzero(valid_choices(changed[:later])).tolist()
            may_begin = len(valid) > 1 and self.search_space.decisions[later].when
            begins = may_begin and valid_choices(choices[:later]).sum() == 1
            if begins or changed[later] not in valid:
                changed[later] = valid[self.below(len(valid))]
        return changed


def begun(strategy: Strategy) -> Strategy:
    """Return a strategy as it is; `InvalidSettings` if its class did not begin as `Strategy` does.

    Whoever makes a strategy of a class that may be the user's own asks for this.
    """
    name, ready = type(strategy).__name__, getattr(strategy, "search_space", None) is not None
    remedy = "call super().__init__(search_space, seed) in its __init__"
    require(ready, f"agent: {name} is no Strategy yet; {remedy}")
    return strategy


class MultiFidelity(Strategy):
    """A strategy that also says for how many epochs a child is trained, and lets it go on later.

    A subclass implements `next_training` and `trained`, and its constructor takes ``fidelities``,
    the numbers of epochs after which children can be evaluated, and a ``proposer``. It needs a
    search in which no worker waits for another (`nas_agents.drivers.asynchronous`), not the
    environment's own steps.
    """

    proposer: Strategy
    """Proposes the children; it has a state of its own."""

    @abstractmethod
    def next_training(self) -> tuple[Choices, int]:
        """Return the next child, (T,) int64, and the epochs to which it is trained in all."""

    @abstractmethod
    def trained(self, choices: Choices, epochs: int, reward: Any, failed: bool) -> None:
        """Learn the result of a training that was asked for."""

    def propose(self) -> Choices:
        """Raise `InvalidSettings`: an architecture alone is not enough."""
        raise self._refused()

    def observe(self, choices: Choices, reward: Any) -> None:
        """Raise `InvalidSettings`, as `propose`."""
        raise self._refused()

    def _refused(self) -> InvalidSettings:
        return InvalidSettings(
            f"strategy: {type(self).__name__} trains children for several numbers of epochs, which "
            "an environment's step has no argument for; use `nas-gym search`"
        )
