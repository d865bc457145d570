"""Model-based policy gradient (Angermueller et al. 2020, https://openreview.net/forum?id=HklxbgBKvr)

A child costs minutes, an update of the policy a millisecond. So the policy learns in a model of the
rewards, fitted to every evaluation so far, and a real child is what it has learned to design there.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

import numpy as np

from nas_agents.strategies.gaussian_process import GaussianProcess, normal_scores
from nas_agents.strategies.softmax_table import SoftmaxTable
from nas_agents.strategies.strategy import Strategy
from nas_gym import SearchSpace
from nas_gym.errors import require_integer, require_number
from nas_gym.search_spaces import Choices

CHANGES = 5
"""How many random changes what the policy draws may undergo until one of them is new."""


class ModelBased(Strategy):
    """REINFORCE in an optimistic model of the rewards, anew for each child.

    Before each proposal the model, a Gaussian process, is fitted to what was evaluated, and the
    policy, a table of logits under the masks of the search space, starts where all choices are
    equally likely and makes ``updates`` steps of Adam on batches of episodes. Their rewards are the
    model's: what it expects, and some standard deviations, how many being drawn for each proposal.
    The next child is the first that the policy draws then and that was not proposed before; if it
    draws no such network, one that a few random changes make of those that it draws. Without any
    update this would be random search.

    Where it differs from the paper's DyNA-PPO: the model's episodes are always the policy's own, so
    PPO's clipping would have nothing to clip; the ensemble of regressors is a Gaussian process, and
    its spread a bonus; it is fitted to the rewards' normal scores, so that failures and outliers
    weigh little; and the policy starts anew for each proposal, since one that has converged
    explores no more.

    Args:
        search_space: Whose sequences of choices are proposed.
        seed: Of all draws.
        warm_up: So many random architectures come first.
        width: Two architectures that differ in so large a share of their decisions have rewards
            whose correlation is 1 / e.
        noise: Variance of an evaluation, in units of the rewards' variance.
        optimism: The standard deviations in a reward of the model are |z| times this, z being drawn
            from a normal distribution for each proposal.
        updates: Steps of the policy's optimizer a proposal.
        batch_size: Episodes in the model a step.
        learning_rate: Adam's.
        entropy: Weight of the policy's entropy, against normalized advantages.
        draws: How often the policy draws an architecture before those that were all proposed
            already are changed at random.
        memory: The model is fitted to at most so many evaluations, the latest.

    Raises:
        InvalidSettings: an argument is not valid.
    """

    def __init__(
        self,
        search_space: SearchSpace,
        seed: int | None = None,
        warm_up: int = 12,
        width: float = 0.33,
        noise: float = 0.003,
        optimism: float = 5.0,
        updates: int = 40,
        batch_size: int = 64,
        learning_rate: float = 0.3,
        entropy: float = 0.1,
        draws: int = 200,
        memory: int = 500,
    ) -> None:
        super().__init__(search_space, seed)
        for name, count, least in (
            *(("warm_up", warm_up, 2), ("updates", updates, 0), ("batch_size", batch_size, 2)),
            *(("draws", draws, 1), ("memory", memory, 2)),
        ):
            require_integer(name, count, least)
        positive = {"width": width, "noise": noise}
        others = {"learning_rate": learning_rate, "entropy": entropy, "optimism": optimism}
        for name, value in (*positive.items(), *others.items()):
            require_number(name, value, 1e-6 if name in positive else 0, math.inf)
        self.warm_up, self.width, self.noise, self.memory = warm_up, width, noise, memory
        self.optimism, self.updates, self.batch_size = optimism, updates, batch_size
        self.entropy, self.draws = entropy, draws
        self.policy = SoftmaxTable(search_space, self.rng, learning_rate)
        self._observed: deque[tuple[Choices, float]] = deque(maxlen=memory)

    def propose(self) -> Choices:
        if len(self._observed) < self.warm_up:
            return self.first_new(self.sample() for _ in range(self.draws))
        model, deviations = self._model(), self.optimism * abs(self.rng.standard_normal())
        self.policy.reset()
        for _ in range(self.updates):
            choices, probabilities = self.policy.draw(self.batch_size)
            rewards = model.optimistic(choices, deviations)
            self.policy.update(choices, probabilities, rewards, self.entropy)
        return self.first_new(self._candidates())

    def _model(self) -> GaussianProcess:
        choices, rewards = zip(*self._observed, strict=True)
        width = self.width * len(self.search_space.decisions)
        return GaussianProcess(np.stack(choices), normal_scores(rewards), width, self.noise)

    def _candidates(self) -> Iterator[Choices]:
        """What the policy draws; then the same, changed at random once, twice and so on."""
        drawn = list(self.policy.draw(self.draws)[0])
        yield from drawn
        for _ in range(CHANGES):
            for place, choices in enumerate(drawn):
                drawn[place] = self.mutate(choices)
                yield drawn[place]

    def observe(self, choices: Choices, reward: float) -> None:
        self._observed.append((choices, reward))
