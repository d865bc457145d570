"""Model-based policy gradient (Angermueller et al. 2020, https://openreview.net/forum?id=HklxbgBKvr).

A child costs minutes, an update of the policy less than a millisecond. So the policy learns in a
model of the rewards, fitted to every evaluation so far, and what it then designs is evaluated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from nas_agents.strategies.base import Strategy
from nas_agents.strategies.gaussian_process import GaussianProcess, normal_scores
from nas_agents.strategies.softmax_table import SoftmaxTable
from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices
from nas_gym.settings import LARGEST, Above0, Count, NonNegative, Positive, Seed, validated

CHANGES = 5
"""Largest number of random changes to a sequence that the policy drew, until one is new."""

Plural = Annotated[int, Ge(2), Le(LARGEST)]
"""An integer from 2 on: fewer rewards have no variance."""


class ModelBased(Strategy):
    """REINFORCE in an optimistic model of the rewards, from a new policy for each child.

    Before each proposal the model, a Gaussian process, is fitted to the evaluations, and the
    policy, a table of logits under the masks of the search space, starts with equally likely
    choices and makes ``updates`` steps of Adam on batches of episodes. Their rewards are the
    model's mean plus some standard deviations, whose number is drawn for each proposal. The
    proposal is the first network drawn from the policy that was not proposed before; if there is
    none, the first new one among random changes of those drawn. Without updates this is random
    search.

    Differences from the paper's DyNA-PPO: the model's episodes are always the policy's own, so
    PPO's clipping would have nothing to clip; the ensemble of regressors is a Gaussian process, and
    its spread a bonus; it is fitted to the rewards' normal scores, so that failures and outliers
    weigh little; and the policy starts again for each proposal, since a converged one does not
    explore.

    Args:
        search_space: Search space of the proposals.
        seed: Seed of all draws.
        warm_up: Number of random architectures proposed first, from 2 on.
        width: Share of the decisions in which two architectures differ whose rewards have a
            correlation of 1 / e in the model.
        noise: Variance of an evaluation, in units of the rewards' variance.
        optimism: Scale of the bonus: |z| times this many standard deviations, with z drawn from a
            normal distribution for each proposal.
        updates: Steps of the policy's optimizer a proposal.
        batch_size: Episodes in the model a step, from 2 on.
        learning_rate: Adam's.
        entropy: Weight of the policy's entropy, against normalized advantages.
        draws: Number of architectures drawn from the policy in search of a new one, before they
            are changed at random.
        memory: Number of evaluations, the latest, that the model is fitted to, from 2 on.

    Raises:
        InvalidSettings: an argument is not valid.
    """

    @validated
    def __init__(
        self,
        search_space: SearchSpace,
        seed: Seed | None = None,
        warm_up: Plural = 12,
        width: Above0 = 0.33,
        noise: Above0 = 0.003,
        optimism: NonNegative = 5.0,
        updates: Count = 40,
        batch_size: Plural = 64,
        learning_rate: NonNegative = 0.3,
        entropy: NonNegative = 0.1,
        draws: Positive = 200,
        memory: Plural = 500,
    ) -> None:
        super().__init__(search_space, seed)
        self.warm_up = warm_up
        self.width = width
        self.noise = noise
        self.optimism = optimism
        self.updates = updates
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.entropy = entropy
        self.draws = draws
        self._observed: deque[tuple[Choices, float]] = deque(maxlen=memory)

    def propose(self) -> Choices:
        if len(self._observed) < self.warm_up:
            return self.first_new(self.sample() for _ in range(self.draws))
        return self.first_new(self._candidates(self._trained_policy()))

    def observe(self, choices: Choices, reward: float) -> None:
        self._observed.append((choices, reward))

    def _trained_policy(self) -> SoftmaxTable:
        """Return a policy that learned in a model of the evaluations so far."""
        model = self._model()
        deviations = self.optimism * abs(self.rng.standard_normal())
        policy = SoftmaxTable(self.search_space, self.rng, self.learning_rate)
        for _ in range(self.updates):
            choices, probabilities = policy.draw(self.batch_size)
            rewards = model.optimistic(choices, deviations)
            policy.update(choices, probabilities, rewards, self.entropy)
        return policy

    def _model(self) -> GaussianProcess:
        choices, rewards = zip(*self._observed, strict=True)
        width = self.width * len(self.search_space.decisions)
        return GaussianProcess(np.stack(choices), normal_scores(rewards), width, self.noise)

    def _candidates(self, policy: SoftmaxTable) -> Iterator[Choices]:
        """Draw sequences from the policy; then yield them with one random change, two, and more."""
        drawn = list(policy.draw(self.draws)[0])
        yield from drawn
        for _ in range(CHANGES):
            for place, choices in enumerate(drawn):
                drawn[place] = self.mutate(choices)
                yield drawn[place]
