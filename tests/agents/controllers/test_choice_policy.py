"""TD3's and DDPG's networks and replay buffer for choices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import nn

from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.controllers.choice_policy import (
    ChoicePolicy,
    ChoiceReplayBuffer,
    Scores,
    ValueOfScores,
)
from nas_gym import InvalidSettings, NASVectorEnv, SearchSpace
from nas_gym.sb3 import NASVecEnv
from tests.helpers import LayersSearchSpace, StubEvaluator


def agent_of(name: str, search_space: SearchSpace, number: int = 1) -> OffPolicyAlgorithm:
    env = NASVecEnv(NASVectorEnv(search_space, StubEvaluator(), number, autoreset_mode="SameStep"))
    plan = Plan(len(search_space.decisions), 10, number)
    found = find_agent(name)
    agent = found.make(env, found.arguments(plan), seed=0, wrap=True)
    assert isinstance(agent, OffPolicyAlgorithm)
    return agent


def test_scores_compete_and_none_is_beyond_recall() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0], [1e6, -1e6, -1e6]], requires_grad=True)
    scores = Scores()(logits)
    shares = (scores + 1) / 2
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(2))
    torch.testing.assert_close(shares[0], torch.full((3,), 1 / 3))
    assert 0.9 < shares[1, 0] < 1.0


def test_a_choice_has_its_value_and_the_slope_is_their_difference() -> None:
    torch.manual_seed(0)
    value = ValueOfScores(features_dim=4, choices=3, net_arch=[8], activation=nn.ReLU)
    features = torch.randn(1, 4)
    of_choices = value.of_choices(features)[0]
    for choice in range(3):
        taken = torch.full((1, 3), -1.0)
        taken[0, choice] = 1.0
        torch.testing.assert_close(value(torch.cat([features, taken], 1))[0, 0], of_choices[choice])
    scores = torch.rand(1, 3, requires_grad=True)
    value(torch.cat([features, scores], 1)).sum().backward()
    assert scores.grad is not None
    torch.testing.assert_close(scores.grad[0], of_choices.detach() / 2)


@pytest.mark.parametrize(("name", "critics"), [("td3", 2), ("ddpg", 1)])
def test_the_agents_networks_are_these(name: str, critics: int) -> None:
    policy = agent_of(name, LayersSearchSpace()).policy
    assert isinstance(policy, ChoicePolicy)
    for actor in (policy.actor, policy.actor_target):
        assert isinstance(actor.mu[-1], Scores)
    for critic in (policy.critic, policy.critic_target):
        assert len(critic.q_networks) == critics
        assert all(isinstance(network, ValueOfScores) for network in critic.q_networks)
    registered = {id(module) for module in policy.critic.modules()}
    assert {id(network) for network in policy.critic.q_networks} <= registered
    trained = [p for group in policy.critic.optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in policy.critic.parameters()} == {id(p) for p in trained}


def test_the_choices_that_were_taken_are_kept() -> None:
    """Where a score is highest whose choice is not valid, the one that was taken counts."""
    search_space = LayersSearchSpace()
    agent = agent_of("td3", search_space, number=3)
    agent.learn(3 * len(search_space.decisions))
    buffer = agent.replay_buffer
    assert isinstance(buffer, ChoiceReplayBuffer)
    for step in range(len(search_space.decisions)):
        for episode in range(3):
            scores = buffer.actions[step, episode]
            assert sorted(scores.tolist()) == [-1.0] * (search_space.num_actions - 1) + [1.0]
            prefix = buffer.observations[step, episode][:step].astype(np.int64) - 1
            assert search_space.action_mask(prefix)[scores.argmax()]
            assert buffer.next_observations[step, episode, step] == scores.argmax() + 1


def test_returns_are_of_whole_episodes() -> None:
    search_space = LayersSearchSpace()
    agent = agent_of("td3", search_space)
    agent.learn(3 * len(search_space.decisions))
    buffer = agent.replay_buffer
    assert isinstance(buffer, ChoiceReplayBuffer)
    sample = buffer.sample(64)
    assert bool(sample.dones.all())
    rewards = buffer.rewards[: len(search_space.decisions) * 3, 0]
    assert set(sample.rewards[:, 0].tolist()) <= set(rewards[rewards > 0].tolist())


@pytest.mark.parametrize(
    ("observations", "actions"),
    [
        (spaces.Box(0, 1, (12,)), spaces.Box(-1, 1, (5,))),
        (spaces.MultiDiscrete(np.array([[6, 6]])), spaces.Box(-1, 1, (5,))),
        (spaces.MultiDiscrete([6, 6]), spaces.Box(-1, 1, (10,))),  # of whole architectures
    ],
)
def test_observations_that_say_nothing_of_the_choice_are_refused(
    observations: spaces.Space[Any], actions: spaces.Space[Any]
) -> None:
    with pytest.raises(InvalidSettings, match="ChoiceReplayBuffer needs the environment's own obs"):
        ChoiceReplayBuffer(10, observations, actions)
