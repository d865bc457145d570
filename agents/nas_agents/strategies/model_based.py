"""Model-based policy gradient (Angermueller et al. 2020, https://openreview.net/forum?id=HklxbgBKvr).

A child costs minutes, an update of the policy less than a millisecond. So the policy learns in a
model of the rewards, fitted to every evaluation so far, and what it then designs is evaluated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le

from nas_agents.strategies.base import Strategy
from nas_agents.strategies.costed_model import (
    Predict,
    costed,
    in_accuracies,
    learned_cost,
    within_limits,
)
from nas_agents.strategies.gaussian_process import GaussianProcess, normal_scores
from nas_agents.strategies.softmax_table import SoftmaxTable
from nas_gym import Memory, SearchSpace, published
from nas_gym.errors import require
from nas_gym.rewards import AnyReward, CostReward
from nas_gym.search_spaces import Choices
from nas_gym.settings import LARGEST, Above0, Count, NonNegative, Positive, Seed, validated

CHANGES = 5
"""Largest number of random changes to a sequence that the policy drew, until one is new."""

APART = 0.4
"""Share of the optimism that predictions of accuracies have which are weighed against a cost."""

Plural = Annotated[int, Ge(2), Le(LARGEST)]
"""An integer from 2 on: fewer rewards have no variance."""
Noise = Annotated[Above0, Ge(1e-9)]
"""With less, the covariance of a network that was evaluated twice has no inverse."""


class ModelBased(Strategy):
    """REINFORCE in an optimistic model of the rewards, from a new policy for each child.

    Before each proposal the model, a Gaussian process, is fitted to the evaluations, and the
    policy, a table of logits under the masks of the search space, starts with equally likely
    choices and makes ``updates`` steps of Adam on batches of episodes. Their rewards are the
    model's mean plus some standard deviations, whose number is drawn for each proposal. The
    proposal is the first network drawn from the policy that was not proposed before; if there is
    none, the first new one among random changes of those drawn. Without updates this is random
    search.

    Under a reward that weighs accuracy against a cost (`nas_gym.rewards.CostReward`), accuracy and
    cost have a model each (`nas_agents.strategies.costed_model`), and the proposal is the best by
    them of the new ones drawn. The costs of a recorded benchmark or a surrogate are known before,
    and free; others are learned from the evaluations. Where such a benchmark has hard limits of
    costs (``at_most``), no network beyond them is proposed if one within them is drawn.

    Differences from the paper's DyNA-PPO: the model's episodes are always the policy's own, so
    PPO's clipping would have nothing to clip; the ensemble of regressors is a Gaussian process, and
    its spread a bonus; it is fitted to the rewards' normal scores, so that failures and outliers
    weigh little; and the policy starts again for each proposal, since a converged one does not
    explore.

    Args:
        warm_up: Number of random architectures proposed first, from 2 on.
        width: Share of the decisions in which two architectures differ whose rewards have a
            correlation of 1 / e in the model.
        noise: Variance of an evaluation, in units of the rewards' variance; 1e-9 or more.
        optimism: Scale of the bonus: |z| times this many standard deviations, with z drawn from a
            normal distribution for each proposal.
        updates: Steps of the policy's optimizer a proposal.
        batch_size: Episodes in the model a step, from 2 on.
        learning_rate: Adam's.
        entropy: Weight of the policy's entropy, against normalized advantages.
        draws: Number of architectures drawn from the policy in search of a new one, before they
            are changed at random.
        memory: Number of evaluations, the latest, that the model is fitted to; at least
            ``warm_up``.
        first: Names of published architectures that are proposed before the random ones.
    """

    @validated
    def __init__(
        self,
        search_space: SearchSpace,
        seed: Seed | None = None,
        warm_up: Plural = 12,
        width: Above0 = 0.33,
        noise: Noise = 0.003,
        optimism: NonNegative = 5.0,
        updates: Count = 40,
        batch_size: Plural = 64,
        learning_rate: NonNegative = 0.3,
        entropy: NonNegative = 0.1,
        draws: Positive = 200,
        memory: Plural = 500,
        first: Sequence[str] = (),
    ) -> None:
        super().__init__(search_space, seed)
        self._first = [search_space.encode(published(name)) for name in first]
        says = f"memory: expected at least the {warm_up} networks of warm_up, got {memory}"
        require(memory >= warm_up, f"{says}; a shorter one never ends it")
        self.warm_up, self.draws = warm_up, draws
        self.width, self.noise, self.optimism = width, noise, optimism
        self.updates, self.batch_size = updates, batch_size
        self.learning_rate, self.entropy = learning_rate, entropy
        self._observed: deque[tuple[Choices, float, float]] = deque(maxlen=memory)
        """Choices, the reward, and NaN; or, under a `CostReward`, the accuracy, and the cost."""
        self._reward: CostReward | None = None
        self._memory: Memory | None = None

    def prepare(self, reward: AnyReward, memory: Memory | None) -> None:
        self._reward = reward if isinstance(reward, CostReward) else None
        self._memory = memory if memory is not None and memory.arrays is not None else None

    def propose(self) -> Choices:
        if len(self._observed) < self.warm_up:
            return self.first_new(chain(self._first, self._random()))
        return self.first_new(self._candidates())

    def _random(self) -> Iterator[Choices]:
        """Draw random sequences; those within limits, where these are known, come first."""
        drawn = (self.sample() for _ in range(self.draws))
        if self._excess_of is None:
            return drawn
        sequences = np.stack([*drawn])
        return iter(sequences[np.argsort(self._excess_of(sequences), kind="stable")])

    def observe(self, choices: Choices, reward: float) -> None:
        self._observed.append((choices, reward, np.nan))

    def observe_evaluation(
        self, choices: Choices, reward: float, evaluation: Mapping[str, Any]
    ) -> None:
        if self._reward is None:
            self.observe(choices, reward)
            return
        [needed] = self._reward.needs
        cost = evaluation.get(needed)
        self._observed.append((choices, evaluation["accuracy"], np.nan if cost is None else cost))

    def _trained_policy(self, predict: Predict) -> SoftmaxTable:
        """Return a policy that learned from predictions."""
        policy = SoftmaxTable(self.search_space, self.rng, self.learning_rate)
        for _ in range(self.updates):
            drawn, probabilities = policy.draw(self.batch_size)
            policy.update(drawn, probabilities, predict(drawn), self.entropy)
        return policy

    @property
    def _excess_of(self) -> Predict | None:
        """By how much sequences exceed limits; None where there are none, or they are unknown."""
        memory = self._memory
        return None if memory is None or memory.limits is None else memory.excess_of

    def _model(self) -> Predict:
        """Return optimistic predictions of rewards, or ranks of them, by the evaluations so far."""
        predicted, excess_of = self._rewards(), self._excess_of
        return predicted if excess_of is None else within_limits(predicted, excess_of)

    def _rewards(self) -> Predict:
        """Return optimistic predictions of rewards without regard to limits."""
        sequences, worth, costs = map(np.array, zip(*self._observed, strict=True))
        width, scores = self.width * len(self.search_space.decisions), normal_scores(worth)
        deviations = self.optimism * abs(self.rng.standard_normal())
        model = GaussianProcess(sequences, scores, width, self.noise)
        if self._reward is None or np.isnan(costs).all():
            return partial(model.optimistic, deviations=deviations)
        optimistic = partial(model.optimistic, deviations=APART * deviations)
        accuracy_of = in_accuracies(optimistic, scores, worth)
        [needed] = self._reward.needs
        if self._memory is not None and needed in (self._memory.costs or ()):
            cost_of: Predict = partial(self._memory.cost_of, cost=needed)
        else:
            cost_of = learned_cost(sequences, costs, width, self.noise)
        return costed(self._reward, accuracy_of, cost_of)

    def _candidates(self) -> Iterator[Choices]:
        """Draw sequences from a policy; then yield them with one random change, two, and more."""
        predict = self._model()
        drawn = self._trained_policy(predict).draw(self.draws)[0]
        if self._reward is not None or self._excess_of is not None:
            drawn = drawn[np.argsort(-predict(drawn), kind="stable")]
        yield from drawn
        changed = list(drawn)
        for _ in range(CHANGES):
            for place, choices in enumerate(changed):
                changed[place] = self.mutate(choices)
                yield changed[place]
