"""`Strategy`: a search that proposes whole architectures, and need not wait for each in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import numpy as np

from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices

BLOCK = 256
"""How many numbers, or architectures, are drawn at a time: one alone takes ten times as long."""


class Strategy(ABC):
    """Proposes whole architectures, and hears what they were worth, in any order.

    Random search, evolution and their like need no lock-step: several proposals can be under way
    at a time, and each is answered when its child is trained, or never. Everything random is drawn
    from ``self.rng``, so a seed and the order of calls settle what is proposed. Sequences of
    choices that are handed over, in either direction, are not written to afterwards. Proposals are
    of the whole search space; where the environment allows less of it at first (NAS's depth
    schedule), the reward is that of what it makes of them, as with any agent.

    A subclass gives `propose` and `observe`; arguments beyond these two are its own, and
    ``nas-gym search --agent-set`` gives them.
    `nas_agents.strategies.strategy_agent.StrategyAgent` makes a Stable-Baselines3 algorithm of it.

    Args:
        search_space: Whose sequences of choices are proposed.
        seed: Of ``self.rng``.
    """

    def __init__(self, search_space: SearchSpace, seed: int | None = None) -> None:
        self.search_space = search_space
        self.rng = np.random.default_rng(seed)
        self._numbers: list[float] = []
        self._samples: list[Choices] = []
        self._keys: set[str] = set()
        self._open = [step for step, number in enumerate(search_space.num_valid) if number > 1]

    @abstractmethod
    def propose(self) -> Choices:
        """The next architecture to evaluate: a complete, valid sequence of choices, (T,) int64."""

    @abstractmethod
    def observe(self, choices: Choices, reward: float) -> None:
        """Hears the reward of an architecture that `propose` gave; failed children have one too."""

    def uniform(self) -> float:
        """A random number in [0, 1)."""
        if not self._numbers:
            self._numbers = self.rng.random(BLOCK).tolist()
        return self._numbers.pop()

    def below(self, number: int) -> int:
        """A random integer from 0 to below ``number``."""
        return int(self.uniform() * number)

    def sample(self) -> Choices:
        """A random sequence of choices, as `SearchSpace.sample` draws it."""
        if self.search_space.conditional:
            return self.search_space.sample(self.rng)
        if not self._samples:
            limits = self.search_space.num_valid
            self._samples = list(self.rng.integers(limits, size=(BLOCK, len(limits))))
        return self._samples.pop()

    def is_new(self, choices: Choices) -> bool:
        """Whether it is asked for the first time about this network (`Architecture.key`)."""
        key = self.search_space.decode(choices).key
        if key in self._keys:
            return False
        self._keys.add(key)
        return True

    def first_new(self, candidates: Iterable[Choices]) -> Choices:
        """The first candidate whose network `is_new`; if there is none, the last."""
        for choices in candidates:
            if self.is_new(choices):
                break
        return choices

    def mutate(self, choices: Choices) -> Choices:
        """A random neighbour: one decision, of those that leave a choice, takes another one."""
        steps = self.open_decisions(choices)
        if not steps:
            return choices
        step = steps[self.below(len(steps))]
        others = self.other_choices(choices, step)
        return self.change(choices, step, others[self.below(len(others))])

    def neighbours(self, choices: Choices) -> list[Choices]:
        """All architectures that differ by one choice, and by what this rules out."""
        return [
            self.change(choices, step, other)
            for step in self.open_decisions(choices)
            for other in self.other_choices(choices, step)
        ]

    def open_decisions(self, choices: Choices) -> list[int]:
        """The decisions in which more than one choice is valid after those before it."""
        if not self.search_space.conditional:
            return self._open
        valid = self.search_space.valid_choices
        return [step for step in range(len(choices)) if np.count_nonzero(valid(choices[:step])) > 1]

    def other_choices(self, choices: Choices, step: int) -> list[int]:
        """What else could be chosen in a decision after the choices before it."""
        taken = choices[step]
        if not self.search_space.conditional:
            number = self.search_space.num_valid[step]
            return [choice for choice in range(number) if choice != taken]
        valid = np.flatnonzero(self.search_space.valid_choices(choices[:step])).tolist()
        return [choice for choice in valid if choice != taken]

    def change(self, choices: Choices, step: int, choice: int) -> Choices:
        """``choices`` with another one in a decision; later ones that this rules out are drawn.

        So are those of decisions that exist only now (`Decision.when`), about which nothing was
        chosen before.
        """
        changed = choices.copy()
        changed[step] = choice
        if self.search_space.conditional:
            for later in range(step + 1, len(choices)):
                valid = np.flatnonzero(self.search_space.valid_choices(changed[:later])).tolist()
                if changed[later] not in valid or (
                    len(valid) > 1 and self._did_not_exist(choices, later)
                ):
                    changed[later] = valid[self.below(len(valid))]
        return changed

    def _did_not_exist(self, choices: Choices, step: int) -> bool:
        """Whether a decision was none under the choices before it."""
        if not self.search_space.decisions[step].when:
            return False
        return int(self.search_space.valid_choices(choices[:step]).sum()) == 1
