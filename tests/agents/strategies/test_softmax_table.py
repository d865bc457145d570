"""A table of logits: what it draws, and that it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas_agents.strategies.softmax_table import SoftmaxTable
from nas_gym import CustomSearchSpace, NASBench201SearchSpace, NASNetSearchSpace
from tests.helpers import ConvNet, LayersSearchSpace

SEARCH_SPACE = NASBench201SearchSpace()


@pytest.mark.parametrize("search_space", [SEARCH_SPACE, LayersSearchSpace()])
def test_a_policy_draws_as_its_probabilities_say(search_space: Any) -> None:
    policy = SoftmaxTable(search_space, np.random.default_rng(0), learning_rate=0.1)
    policy.logits += np.random.default_rng(1).random(policy.logits.shape)
    choices, probabilities = policy.draw(4000)
    np.testing.assert_allclose(probabilities.sum(axis=2), 1.0)
    frequencies = (choices[:, :, None] == np.arange(search_space.num_actions)).mean(axis=0)
    np.testing.assert_allclose(frequencies, probabilities.mean(axis=0), atol=0.03)
    policy.reset()
    first = policy.draw(5)[1][0, 0]
    assert first[first > 0] == pytest.approx(1 / search_space.num_choices[0])


@pytest.mark.parametrize(
    "search_space", [CustomSearchSpace(ConvNet), NASNetSearchSpace(), LayersSearchSpace()]
)
def test_a_policy_draws_valid_choices_alone(search_space: Any) -> None:
    policy = SoftmaxTable(search_space, np.random.default_rng(0), learning_rate=0.1)
    for sequence in policy.draw(50)[0]:
        np.testing.assert_array_equal(search_space.check(sequence), sequence)


def test_a_policy_learns_what_is_rewarded() -> None:
    policy = SoftmaxTable(SEARCH_SPACE, np.random.default_rng(0), learning_rate=0.3)
    for _ in range(60):
        choices, probabilities = policy.draw(64)
        policy.update(choices, probabilities, choices.sum(axis=1) * 1.0, entropy=0.01)
    assert policy.draw(200)[0].mean() > 3.7  # of 4; uniform choices have 2


def test_entropy_keeps_a_policy_from_settling() -> None:
    means = []
    for entropy in (0.01, 3.0):
        policy = SoftmaxTable(SEARCH_SPACE, np.random.default_rng(0), learning_rate=0.3)
        for _ in range(40):
            choices, probabilities = policy.draw(64)
            policy.update(choices, probabilities, choices.sum(axis=1) * 1.0, entropy)
        means.append(policy.draw(500)[0].mean())
    assert means[1] < 3.2 < means[0]
