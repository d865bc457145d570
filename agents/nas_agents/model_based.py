"""Model-based policy gradient (Angermueller et al. 2020, https://openreview.net/forum?id=HklxbgBKvr)

A child costs minutes, an update of the policy a millisecond. So the policy learns in a model of the
rewards, fitted to every evaluation so far, and real children are asked for where the model, in one
of the ways in which it could be right, expects the most.
"""

from __future__ import annotations

import math
from collections import deque
from operator import itemgetter

import numpy as np

from nas_agents.gaussian_process import GaussianProcess, normal_scores
from nas_agents.softmax_table import SoftmaxTable
from nas_agents.strategy import Strategy
from nas_gym import SearchSpace
from nas_gym.errors import require_integer, require_number
from nas_gym.search_spaces import Choices


class ModelBased(Strategy):
    """REINFORCE in a model of the rewards; real children are chosen by Thompson sampling.

    Before each proposal the model is fitted anew, and the policy, a table of logits under the masks
    of the search space, starts at one of the best architectures so far and makes ``updates`` steps
    of Adam on batches of episodes whose rewards are the model's. Then it draws ``candidates``
    architectures; one function is drawn from the model's belief, and the candidate for which it is
    highest, of those not proposed before, is the next child.

    Where it differs from the paper's DyNA-PPO: the model's episodes are always the policy's own, so
    PPO's clipping would have nothing to clip; the ensemble of regressors is that of the functions
    of a Gaussian process, of which each proposal draws one; it is fitted to the rewards' normal
    scores, so that failures and outliers weigh little; and the policy starts anew for each
    proposal, since one that has converged explores no more.

    Args:
        search_space: Whose sequences of choices are proposed.
        seed: Of all draws.
        warm_up: So many random architectures come first.
        width: Two architectures that differ in so large a share of their decisions have rewards
            whose correlation is 1 / e.
        noise: Variance of an evaluation, in units of the rewards' variance.
        updates: Steps of the policy's optimizer a proposal.
        batch_size: Episodes in the model a step.
        learning_rate: Adam's.
        entropy: Weight of the policy's entropy, against normalized advantages.
        elite: The policy starts at one of so many of the best architectures.
        confidence: By how much the logits of its choices are above the others' then.
        explore: How probable it is that a candidate's decision is drawn uniformly.
        candidates: Architectures drawn from the policy a proposal.
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
        updates: int = 10,
        batch_size: int = 64,
        learning_rate: float = 0.3,
        entropy: float = 0.1,
        elite: int = 15,
        confidence: float = 2.0,
        explore: float = 0.3,
        candidates: int = 400,
        memory: int = 500,
    ) -> None:
        super().__init__(search_space, seed)
        for name, count, least in (
            *(("warm_up", warm_up, 2), ("updates", updates, 0), ("batch_size", batch_size, 2)),
            *(("candidates", candidates, 1), ("elite", elite, 1), ("memory", memory, 2)),
        ):
            require_integer(name, count, least)
        positive = {"width": width, "noise": noise}
        others = {"learning_rate": learning_rate, "entropy": entropy, "confidence": confidence}
        for name, value in (*positive.items(), *others.items()):
            require_number(name, value, 1e-6 if name in positive else 0, math.inf)
        require_number("explore", explore, 0, 1)
        self.warm_up, self.width, self.noise, self.memory = warm_up, width, noise, memory
        self.updates, self.batch_size, self.entropy = updates, batch_size, entropy
        self.elite, self.confidence = elite, confidence
        self.explore, self.candidates = explore, candidates
        self.policy = SoftmaxTable(search_space, self.rng, learning_rate)
        self._observed: deque[tuple[Choices, float]] = deque(maxlen=memory)
        self._proposed: set[str] = set()
        """Keys."""

    def propose(self) -> Choices:
        if len(self._observed) < self.warm_up:
            return self._first_new([self.sample()])
        model = self._model()
        self.policy.start_at(self._one_of_the_elite(), self.confidence)
        for _ in range(self.updates):
            choices, probabilities = self.policy.draw(self.batch_size)
            self.policy.update(choices, probabilities, model.mean(choices), self.entropy)
        drawn, _ = self.policy.draw(self.candidates, self.explore)
        drawn = np.unique(drawn, axis=0)
        believed = model.sample(drawn, self.rng)
        return self._first_new(list(drawn[np.argsort(-believed)]))

    def _one_of_the_elite(self) -> Choices:
        """One of the best architectures so far, at random."""
        ranked = sorted(self._observed, key=itemgetter(1), reverse=True)
        choices, _ = ranked[self.below(min(self.elite, len(ranked)))]
        return choices

    def _model(self) -> GaussianProcess:
        choices, rewards = zip(*self._observed, strict=True)
        width = self.width * len(self.search_space.decisions)
        return GaussianProcess(np.stack(choices), normal_scores(rewards), width, self.noise)

    def _first_new(self, ranked: list[Choices]) -> Choices:
        """The first that was not proposed before; if all were, a random neighbour of the first."""
        for choices in ranked:
            key = self.search_space.decode(choices).key
            if key not in self._proposed:
                self._proposed.add(key)
                return choices
        return self.mutate(ranked[0])

    def observe(self, choices: Choices, reward: float) -> None:
        self._observed.append((choices, reward))
