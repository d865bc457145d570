"""A table of logits: what it draws, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_agents.strategies.softmax_table import (
    NEVER,
    SoftmaxTable,
    equal_logits,
    policy_gradient,
)
from nas_gym import CustomSearchSpace, NASBench201SearchSpace, NASNetSearchSpace, SearchSpace
from nas_gym.search_spaces import Choices
from tests.helpers import ConvNet, LayersSearchSpace

SEARCH_SPACE = NASBench201SearchSpace()


def table(search_space: SearchSpace = SEARCH_SPACE, deviation: float = 0.0) -> SoftmaxTable:
    rng = np.random.default_rng(0)
    policy = SoftmaxTable(search_space, rng, learning_rate=0.3)
    policy.logits += deviation * rng.standard_normal(policy.logits.shape)
    return policy


def learned(updates: int, entropy: float) -> Choices:
    """Sequences of a policy that was rewarded for the sum of its choices."""
    policy = table()
    for _ in range(updates):
        choices, probabilities = policy.draw(64)
        policy.update(choices, probabilities, choices.sum(axis=1) * 1.0, entropy)
    return policy.draw(500)[0]


@pytest.mark.parametrize(
    "search_space", [SEARCH_SPACE, LayersSearchSpace(), CustomSearchSpace(ConvNet)]
)
def test_a_policy_draws_as_its_probabilities_say(search_space: SearchSpace) -> None:
    choices, probabilities = table(search_space, deviation=0.5).draw(4000)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1.0)
    taken = choices[:, :, None] == np.arange(search_space.num_actions)
    np.testing.assert_allclose(taken.mean(axis=0), probabilities.mean(axis=0), atol=0.03)
    assert (np.broadcast_to(probabilities, taken.shape)[taken] > 0).all()


def test_at_first_all_choices_are_equally_likely() -> None:
    _, probabilities = table(LayersSearchSpace()).draw(1)
    first = probabilities[0, 0].tolist()
    assert first == pytest.approx([1 / 3] * 3 + [0] * (len(first) - 3))


@pytest.mark.parametrize(
    "search_space", [CustomSearchSpace(ConvNet), NASNetSearchSpace(), LayersSearchSpace()]
)
def test_a_policy_draws_valid_choices_alone(search_space: SearchSpace) -> None:
    policy = table(search_space)
    for _ in range(3):
        choices, probabilities = policy.draw(50)
        for sequence in choices:
            np.testing.assert_array_equal(search_space.check(sequence), sequence)
        policy.update(choices, probabilities, choices.sum(axis=1) * 1.0, 0.1)


@pytest.mark.parametrize("search_space", [SEARCH_SPACE, LayersSearchSpace()])
def test_the_gradient_is_reinforces(search_space: SearchSpace) -> None:
    """It is autograd's, of the mean of log p (R - b) / sigma and of the weighted entropy."""
    policy = table(search_space, deviation=0.5)
    choices, probabilities = policy.draw(64)
    rewards = np.random.default_rng(1).random(64)
    gradient = policy_gradient(choices, probabilities, rewards, 0.1)

    logits = torch.from_numpy(policy.logits).requires_grad_()
    log_p = logits.masked_fill(torch.from_numpy(probabilities == 0), NEVER).log_softmax(-1)
    advantages = torch.from_numpy((rewards - rewards.mean()) / (rewards.std() + 1e-6))
    log_p = log_p.expand(64, -1, -1)
    chosen = log_p.gather(2, torch.from_numpy(choices)[..., None])[..., 0].sum(1)
    entropy = -(log_p.exp() * log_p).sum((1, 2))
    (advantages * chosen + 0.1 * entropy).mean().backward()
    assert logits.grad is not None
    np.testing.assert_allclose(gradient, logits.grad.numpy(), atol=1e-12)


def test_updates_are_adams() -> None:
    policy = table()
    expected = torch.from_numpy(policy.logits.copy()).requires_grad_()
    optimizer = torch.optim.Adam([expected], 0.3, betas=(0.9, 0.99), eps=1e-8)
    for _ in range(5):
        choices, probabilities = policy.draw(64)
        drawn = (choices, probabilities, choices.sum(axis=1) * 1.0, 0.1)
        expected.grad = -torch.from_numpy(policy_gradient(*drawn))
        optimizer.step()
        policy.update(*drawn)
    np.testing.assert_allclose(policy.logits, expected.detach(), rtol=1e-9)


def test_choices_that_do_not_exist_never_become_likely() -> None:
    np.testing.assert_array_equal(equal_logits([2, 3]), [[0, 0, NEVER], [0, 0, 0]])
    search_space = LayersSearchSpace()
    policy = table(search_space)
    for _ in range(3):
        choices, probabilities = policy.draw(8)
        policy.update(choices, probabilities, choices.sum(axis=1) * 1.0, 1.0)
    never = equal_logits(search_space.num_choices) == NEVER
    np.testing.assert_array_equal(policy.logits == NEVER, never)


def test_a_policy_learns_what_is_rewarded() -> None:
    assert learned(60, entropy=0.01).mean() > 3.7  # of 4; uniform choices have 2


def test_entropy_keeps_a_policy_from_settling() -> None:
    assert learned(40, entropy=3.0).mean() < 3.2 < learned(40, entropy=0.01).mean()
