"""A table of logits: a softmax for each decision, independent of the other decisions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas_agents.strategies.gaussian_process import Floats
from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices, Masks

NEVER = -1e8
"""The logit of a choice that cannot be made, as in sb3-contrib: its probability is 0, and so is its
part of the entropy."""


class SoftmaxTable(nn.Module):
    """T x A logits, of which those of existing and valid choices count.

    Args:
        num_choices: (T,) number of choices of each decision; the largest is A.
        init_std: Standard deviation of the initial logits, around 0.
    """

    beyond: Tensor  # (T, A) bool: choices that a decision does not have

    def __init__(self, num_choices: Sequence[int], init_std: float = 0.0) -> None:
        super().__init__()
        sizes = torch.as_tensor(num_choices)
        num_actions = int(sizes.max())
        shape = (len(sizes), num_actions)
        self.logits = nn.Parameter(
            init_std * torch.randn(shape) if init_std else torch.zeros(shape)
        )
        beyond = torch.arange(num_actions) >= sizes[:, None]
        self.ragged = bool(beyond.any())
        self.register_buffer("beyond", beyond)

    def log_probs(self, decisions: Tensor | None = None, masks: Tensor | None = None) -> Tensor:
        """Return log-probabilities of choices, (T, A), or (N, A) of N ``decisions``.

        Args:
            decisions: (N,) numbers of decisions, for one in each of N episodes.
            masks: Valid choices, (N, A), or (N, T, A) without ``decisions``.
        """
        logits: Tensor = self.logits
        if self.ragged:
            logits = logits.masked_fill(self.beyond, NEVER)
        if decisions is not None:
            logits = logits[decisions]
        if masks is not None:
            logits = logits.masked_fill(~masks, NEVER)
        return logits.log_softmax(-1)


def evaluate(log_probs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """Return the actions' log-probabilities and the entropies, both of the actions' shape.

    Args:
        log_probs: (..., A), or (T, A) where all N sequences have the same.
        actions: (...,), or (N, T).
    """
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    log_probs = log_probs.expand(*actions.shape, -1)
    return log_probs.gather(-1, actions[..., None])[..., 0], entropy.expand(actions.shape)


@torch.no_grad()
def draw(
    policy: SoftmaxTable, search_space: SearchSpace, number: int, rng: np.random.Generator
) -> tuple[Choices, Masks | None]:
    """Draw N sequences of choices, (N, T), from a policy under a search space's masks.

    Returns:
        The choices, and the masks, (N, T, A), where they depend on earlier choices; or None.
    """
    weights = policy.log_probs().exp().numpy()  # (T, A)
    draws = rng.random((number, len(weights), 1))
    if not search_space.conditional:
        return _inverse_cdf(weights, draws), None

    choices = np.zeros((number, len(weights)), dtype=np.int64)
    masks = np.zeros((number, *weights.shape), dtype=np.bool_)
    for step, weight in enumerate(weights):
        masks[:, step] = search_space.action_masks(choices[:, :step])
        choices[:, step] = _inverse_cdf(weight * masks[:, step], draws[:, step])
    return choices, masks


def _inverse_cdf(weights: Floats, draws: Floats) -> NDArray[np.int64]:
    """Turn uniform draws, (..., 1), into choices, (...,), with these weights, (..., A)."""
    cumulated = weights.cumsum(axis=-1)
    choices: NDArray[np.int64] = (cumulated <= draws * cumulated[..., -1:]).sum(axis=-1)
    return choices


def reinforce_loss(
    policy: SoftmaxTable, choices: Choices, masks: Masks | None, rewards: Floats, ent_coef: float
) -> Tensor:
    """Return the loss of REINFORCE, whose baseline is the mean of the batch.

    Args:
        policy: The policy.
        choices: (N, T), as `draw` returns them.
        masks: (N, T, A) or None, as `draw` returns them.
        rewards: (N,).
        ent_coef: Weight of the policy's entropy.
    """
    advantages = torch.from_numpy((rewards - rewards.mean()) / (rewards.std() + 1e-6))  # (N,)
    tensor = None if masks is None else torch.from_numpy(masks)
    log_probs, entropy = evaluate(policy.log_probs(masks=tensor), torch.from_numpy(choices))

    policy_loss = -(advantages[:, None] * log_probs).sum() / len(choices)
    entropy_loss = -entropy.sum() / len(choices)
    return policy_loss + ent_coef * entropy_loss
