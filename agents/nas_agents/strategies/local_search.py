"""Local search (White et al. 2021, https://arxiv.org/abs/2005.02960, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

from nas_agents.strategies.strategy import Strategy
from nas_gym import SearchSpace
from nas_gym.errors import require_integer, require_truth
from nas_gym.search_spaces import Choices

NOWHERE = float("-inf")
PATIENCE = 100
"""After so many draws without a new network, a climb starts at one that was proposed before."""


@dataclass
class _Climb:
    """One hill climb."""

    queue: list[Choices]
    """What is still to be evaluated in this round: the random starts, and then neighbours."""
    reward: float = NOWHERE
    """Of where it stands."""
    under_way: int = 0
    found: tuple[float, Choices | None] = (NOWHERE, None)
    """The best reward so far, and its choices."""


class LocalSearch(Strategy):
    """Climbs to the best neighbour, until none is better; then starts anew.

    Neighbours differ by one choice, and by what this rules out. No network (`Architecture.key`) is
    proposed twice, but random starts once new ones are hard to find. Where several proposals are
    under way and a climb has to wait for their rewards, another one begins beside it; rewards that
    come late count as well.

    Args:
        search_space: Whose sequences of choices are proposed.
        seed: Of the draws.
        initial: Of how many random architectures the best is the start; 10 in the authors'
            released code, 1 in the paper's algorithm.
        first: Whether the first better neighbour is moved to, as in the released code; otherwise
            all are evaluated, and the best is, as in the paper's algorithm.

    Raises:
        InvalidSettings: an argument is not valid.
    """

    def __init__(
        self,
        search_space: SearchSpace,
        seed: int | None = None,
        initial: int = 10,
        first: bool = True,
    ) -> None:
        super().__init__(search_space, seed)
        require_integer("initial", initial, least=1)
        require_truth("first", first)
        self.initial, self.first = initial, first
        self._climbs: list[_Climb] = []
        self._of_whom: dict[bytes, list[_Climb]] = {}
        """Whose proposal it is that is under way."""

    def propose(self) -> Choices:
        while True:
            climb = self._climb()
            choices = climb.queue.pop()
            if climb.reward == NOWHERE or self.is_new(choices):
                self._of_whom.setdefault(choices.tobytes(), []).append(climb)
                climb.under_way += 1
                return choices
            self._go_on(climb)

    def _climb(self) -> _Climb:
        """The oldest climb that need not wait, or a new one."""
        for climb in self._climbs:
            if climb.queue:
                return climb
        self._climbs.append(_Climb([self._start() for _ in range(self.initial)]))
        return self._climbs[-1]

    def _start(self) -> Choices:
        return self.first_new(self.sample() for _ in range(PATIENCE))

    def observe(self, choices: Choices, reward: float) -> None:
        climbs = self._of_whom.get(choices.tobytes())
        if not climbs:
            return
        climb = climbs.pop(0)
        climb.under_way -= 1
        if climb.found[1] is None or reward > climb.found[0]:
            climb.found = (reward, choices)
        self._go_on(climb)

    def _go_on(self, climb: _Climb) -> None:
        """Moves the climb, or ends it, if its round is over."""
        best, choices = climb.found
        better = best > climb.reward
        stop_early = self.first and better and climb.reward > NOWHERE
        if not stop_early and (climb.queue or climb.under_way):
            return
        if better and choices is not None:
            neighbours = self.neighbours(choices)
            climb.queue = [neighbours[place] for place in self.rng.permutation(len(neighbours))]
            climb.reward = best
        if (not climb.queue and not climb.under_way) or not better:
            self._climbs.remove(climb)
