"""Local search (White et al. 2021, https://arxiv.org/abs/2005.02960, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas_agents.strategies.base import Strategy
from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices
from nas_gym.settings import Positive, Seed, validated

PATIENCE = 100
"""Number of draws without a new network after which a climb starts at one proposed before."""


@dataclass
class _Climb:
    queue: list[Choices]
    """Proposals left in this round: first the random starts, later neighbours."""
    reward: float = -np.inf
    """Reward of the place where the climb stands."""
    under_way: int = 0
    best_reward: float = -np.inf
    best_choices: Choices | None = None


class LocalSearch(Strategy):
    """Climbs to the best neighbour until none is better, then starts again elsewhere.

    Neighbours differ by one choice and its consequences (`Strategy.change`). No network
    (`Architecture.key`) is proposed twice, except random starts once new ones are hard to find.
    While a climb waits for the rewards of proposals under way, another one begins beside it; late
    rewards count as well.

    Args:
        initial: Number of random architectures of which the best is the start; 10 in the authors'
            released code, 1 in the paper's algorithm.
        first: If True, move to the first better neighbour, as in the released code; otherwise
            evaluate all and move to the best, as in the paper's algorithm.
    """

    @validated
    def __init__(
        self,
        search_space: SearchSpace,
        seed: Seed | None = None,
        initial: Positive = 10,
        first: bool = True,
    ) -> None:
        super().__init__(search_space, seed)
        self.initial, self.first = initial, first
        self._climbs: list[_Climb] = []
        self._waiting: dict[bytes, list[_Climb]] = {}
        """The climbs that wait for the reward of a sequence of choices."""

    def propose(self) -> Choices:
        while True:
            climb = self._next_climb()
            choices = climb.queue.pop()
            if climb.reward == -np.inf or self.is_new(choices):
                self._waiting.setdefault(choices.tobytes(), []).append(climb)
                climb.under_way += 1
                return choices
            self._end_round(climb)

    def _next_climb(self) -> _Climb:
        """Return the oldest climb with proposals left, or a new one."""
        for climb in self._climbs:
            if climb.queue:
                return climb
        starts = [
            self.first_new(self.sample() for _ in range(PATIENCE)) for _ in range(self.initial)
        ]
        self._climbs.append(_Climb(starts))
        return self._climbs[-1]

    def observe(self, choices: Choices, reward: float) -> None:
        climbs = self._waiting.get(choices.tobytes())
        if not climbs:
            return
        climb = climbs.pop(0)
        climb.under_way -= 1
        if climb.best_choices is None or reward > climb.best_reward:
            climb.best_reward, climb.best_choices = reward, choices
        self._end_round(climb)

    def _end_round(self, climb: _Climb) -> None:
        """Move the climb, or end it, if its round is over."""
        better = climb.best_reward > climb.reward
        stop_early = self.first and better and climb.reward > -np.inf
        if not stop_early and (climb.queue or climb.under_way):
            return

        if better and climb.best_choices is not None:
            neighbours = self.neighbours(climb.best_choices)
            climb.queue = [neighbours[place] for place in self.rng.permutation(len(neighbours))]
            climb.reward = climb.best_reward

        # At the top, or where there are no neighbours.
        if not better or not (climb.queue or climb.under_way):
            self._climbs.remove(climb)
