"""A table of logits: what it draws, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_agents.strategies.softmax_table import SoftmaxTable, draw, evaluate, reinforce_loss
from nas_gym import CustomSearchSpace, NASBench201SearchSpace, NASNetSearchSpace, SearchSpace
from nas_gym.search_spaces import Choices
from tests.helpers import ConvNet, LayersSearchSpace

SEARCH_SPACE = NASBench201SearchSpace()


def drawn(policy: SoftmaxTable, search_space: SearchSpace, number: int) -> Choices:
    return draw(policy, search_space, number, np.random.default_rng(0))[0]


def learned(updates: int, entropy: float) -> Choices:
    """Sequences of a policy that was rewarded for the sum of its choices."""
    policy = SoftmaxTable(SEARCH_SPACE.num_choices).double()
    optimizer = torch.optim.Adam(policy.parameters(), 0.3, betas=(0.9, 0.99))
    rng = np.random.default_rng(0)
    for _ in range(updates):
        choices, masks = draw(policy, SEARCH_SPACE, 64, rng)
        optimizer.zero_grad()
        reinforce_loss(policy, choices, masks, choices.sum(axis=1) * 1.0, entropy).backward()
        optimizer.step()
    return drawn(policy, SEARCH_SPACE, 500)


@pytest.mark.parametrize("search_space", [SEARCH_SPACE, LayersSearchSpace()])
def test_a_policy_draws_as_its_probabilities_say(search_space: SearchSpace) -> None:
    policy = SoftmaxTable(search_space.num_choices, init_std=0.5).double()
    choices, masks = draw(policy, search_space, 4000, np.random.default_rng(0))
    tensor = None if masks is None else torch.from_numpy(masks)
    with torch.no_grad():
        log_probs = policy.log_probs(masks=tensor)
    probabilities = log_probs.exp().expand(4000, -1, -1).numpy()
    np.testing.assert_allclose(probabilities.sum(axis=2), 1.0)
    taken = choices[:, :, None] == np.arange(search_space.num_actions)
    np.testing.assert_allclose(taken.mean(axis=0), probabilities.mean(axis=0), atol=0.03)
    chosen, _ = evaluate(log_probs, torch.from_numpy(choices))
    np.testing.assert_allclose(chosen.exp(), probabilities[taken].reshape(choices.shape))


def test_at_first_all_choices_are_equally_likely() -> None:
    search_space = LayersSearchSpace()
    state = torch.get_rng_state()
    first = SoftmaxTable(search_space.num_choices).log_probs().exp()[0].tolist()
    assert first == pytest.approx([1 / 3] * 3 + [0] * (len(first) - 3))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "search_space", [CustomSearchSpace(ConvNet), NASNetSearchSpace(), LayersSearchSpace()]
)
def test_a_policy_draws_valid_choices_alone(search_space: SearchSpace) -> None:
    policy = SoftmaxTable(search_space.num_choices)
    for sequence in drawn(policy, search_space, 50):
        np.testing.assert_array_equal(search_space.check(sequence), sequence)


def test_the_gradient_is_reinforces() -> None:
    """(taken - p) (R - b) / sigma, and the entropy's -p (log p + H), written out."""
    policy = SoftmaxTable(SEARCH_SPACE.num_choices, init_std=0.5).double()
    choices = drawn(policy, SEARCH_SPACE, 64)
    rewards = np.random.default_rng(1).random(64)
    reinforce_loss(policy, choices, None, rewards, 0.1).backward()
    p = policy.log_probs().exp().detach().numpy()
    advantages = ((rewards - rewards.mean()) / (rewards.std() + 1e-6))[:, None, None]
    taken = choices[:, :, None] == np.arange(5)
    entropies = -(p * np.log(p)).sum(axis=1, keepdims=True)
    ascent = ((taken - p) * advantages).mean(axis=0) - 0.1 * p * (np.log(p) + entropies)
    assert policy.logits.grad is not None
    np.testing.assert_allclose(policy.logits.grad, -ascent, atol=1e-12)


def test_a_policy_learns_what_is_rewarded() -> None:
    assert learned(60, entropy=0.01).mean() > 3.7  # of 4; uniform choices have 2


def test_entropy_keeps_a_policy_from_settling() -> None:
    assert learned(40, entropy=3.0).mean() < 3.2 < learned(40, entropy=0.01).mean()
