"""Policies that learn from architectures drawn by an earlier policy, in any order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.catalogue.registry import AGENTS
from nas_agents.controllers.asynchronous import PASSES, PolicyGradient, learns_asynchronously
from nas_agents.controllers.episodes import LATE_RATIO_LIMIT, MovingAverage, late_weights
from nas_agents.controllers.nasnet_ppo import BaselinePPO
from nas_agents.controllers.reinforce import Reinforce
from nas_gym import InvalidSettings, NASNetSearchSpace, NASVectorEnv
from nas_gym.sb3 import NASVecEnv
from tests.agents.stubs import ShareOfConvolutions

SPACE = NASNetSearchSpace(2)
LENGTH = len(SPACE.decisions)
NAMES = ("ppo", "a2c", "trpo", "maskable-ppo", "recurrent-ppo", "reinforce", "nas", "nasnet")


def made(name: str, environments: int = 1, seed: int = 0, **given: Any) -> PolicyGradient:
    """An agent that learns asynchronously."""
    vector = NASVectorEnv(SPACE, ShareOfConvolutions(), environments, autoreset_mode="SameStep")
    agent = find_agent(name)
    arguments = agent.arguments(Plan(LENGTH, 1000, environments), given)
    algorithm: Any = agent.make(NASVecEnv(vector), arguments, seed)
    policy = PolicyGradient(SPACE, algorithm, agent.entry.ranked)
    policy.begin(1000 * LENGTH)
    return policy


def reward_of(choices: NDArray[np.int64]) -> float:
    [evaluation] = ShareOfConvolutions().evaluate([SPACE.decode(choices)])
    return evaluation.accuracy


def play(policy: PolicyGradient, number: int, under_way: int, seed: int = 0) -> list[float]:
    """Propose and observe in random order; the rewards, in that order."""
    rng, waiting, rewards = np.random.default_rng(seed), [], []
    for _ in range(number):
        waiting.append(policy.propose())
        if len(waiting) == under_way:
            choices = waiting.pop(rng.integers(under_way))
            rewards.append(reward_of(choices))
            policy.observe(choices, rewards[-1])
    return rewards


def ratios(policy: PolicyGradient, monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.float32]]:
    """Before each update, pi / mu of all decisions that it learns from."""
    agent: Any = policy.agent
    found: list[NDArray[np.float32]] = []
    train, ratio = agent.train, policy._ratio

    def watched_train() -> None:
        kept = [step.log_probs for step in agent.steps if step.log_probs is not None]
        with torch.no_grad():
            found.append((agent._evaluate(agent.steps)[2] - torch.cat(kept)).exp().numpy())
        train()

    def watched_ratio(buffer: Any) -> NDArray[np.float32]:
        found.append(ratio(buffer))
        return found[-1]

    if isinstance(agent, Reinforce):
        monkeypatch.setattr(agent, "train", watched_train)
    else:
        monkeypatch.setattr(policy, "_ratio", watched_ratio)
    return found


def test_the_clipped_ratio_is_to_the_policy_before_the_update(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    policy = made("maskable-ppo", learning_rate=0.01)
    agent: Any = policy.agent
    found, losses = ratios(policy, monkeypatch), []
    train = agent.train

    def watched() -> None:
        buffer = agent.rollout_buffer
        assert policy._ratio(buffer) == pytest.approx(1.0, abs=1e-3)
        unweighted = buffer.returns - buffer.values
        weights = late_weights(found[-2], unweighted)
        assert buffer.advantages == pytest.approx(unweighted * weights, abs=1e-5)
        losses.append(1)
        train()

    monkeypatch.setattr(agent, "train", watched)
    play(policy, 4 * policy.batch, under_way=policy.batch + 1)
    assert len(losses) == 3
    assert found[-2] != pytest.approx(1.0, abs=1e-2)


def test_a_learning_rate_that_falls_ends_at_0() -> None:
    """Where repeats are free, a search has more architectures than it was planned for."""
    policy = made("reinforce", n_episodes=1)
    policy.agent.lr_schedule = lambda remaining: 0.01 * remaining
    policy.begin(2 * LENGTH)
    rates = []
    for _ in range(4):
        play(policy, 1, under_way=1)
        rates += [group["lr"] for group in policy.agent.policy.optimizer.param_groups]
    assert rates == [0.005, 0, 0, 0]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "recurrent-ppo"])
def test_decisions_keep_the_probability_with_which_they_were_drawn(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = made(name, environments=2 if name == "ppo" else 1, learning_rate=0.01)
    found = ratios(policy, monkeypatch)
    play(policy, 2 * policy.batch, under_way=1)
    assert len(found) == 2
    for each in found:
        assert each == pytest.approx(1.0, abs=1e-4)
    play(policy, 3 * policy.batch, under_way=policy.batch + 1)
    assert found[-1] != pytest.approx(1.0, abs=1e-2)
    assert found[-1].size == policy.batch * LENGTH


def test_late_decisions_count_as_little_as_the_policy_draws_them_now() -> None:
    ratios = np.array([0.5, 1.0, 2.0, 0.99 * LATE_RATIO_LIMIT, 1.01 / LATE_RATIO_LIMIT])
    for advantage in (1.0, -1.0):
        weights = late_weights(ratios, np.full(5, advantage))
        assert weights.tolist() == np.minimum(ratios, 1).tolist()


def test_a_late_reward_moves_a_decision_no_more_once_its_probability_has_moved_that_way() -> None:
    far = np.array([1.01 * LATE_RATIO_LIMIT, 0.99 / LATE_RATIO_LIMIT])
    assert late_weights(far, np.ones(2)).tolist() == [0, far[1]]  # still to be made likelier
    assert late_weights(far, -np.ones(2)).tolist() == [1, 0]
    assert late_weights(far, np.zeros(2)).tolist() == [1, far[1]]


@pytest.mark.parametrize(
    ("name", "module"), [("reinforce", "reinforce"), ("nasnet", "asynchronous")]
)
def test_a_policy_learns_nothing_from_decisions_of_no_weight(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = made(name, ent_coef=0.0)
    weightless = f"nas_agents.controllers.{module}.late_weights"
    monkeypatch.setattr(weightless, lambda ratios, advantages: 0 * ratios)
    before = torch.cat([each.flatten().clone() for each in policy.policy.parameters()])
    play(policy, policy.batch, under_way=1)
    after = torch.cat([each.flatten() for each in policy.policy.parameters()])
    assert torch.equal(before, after)


@pytest.mark.parametrize("name", ["nasnet", "reinforce", "recurrent-ppo"])
def test_an_update_makes_several_passes_where_rewards_are_late(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = made(name)
    found: list[int] = []
    monkeypatch.setattr(policy.agent, "train", lambda: found.append(policy.agent.num_timesteps))
    play(policy, 2 * policy.batch, under_way=policy.batch + 1)
    steps = policy.batch * LENGTH
    assert found == [steps]
    play(policy, 4 * policy.batch + 1, under_way=policy.batch + 2)
    passes = 1 if name == "recurrent-ppo" else PASSES
    assert found[1 : 1 + passes] == passes * [2 * steps]
    assert found[1 + passes] == 3 * steps


@pytest.mark.parametrize("name", ["reinforce", "nasnet"])
def test_a_baseline_takes_each_reward_in_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = made(name)
    agent: Any = policy.agent
    levels: list[float] = []
    record = agent.logger.record

    def watched(key: str, value: Any, *more: Any, **keywords: Any) -> None:
        levels.extend([value] if key == "train/baseline" else [])
        record(key, value, *more, **keywords)

    monkeypatch.setattr(agent.logger, "record", watched)
    late = policy.batch + 2
    rewards = play(policy, 2 * policy.batch + late - 1, under_way=late)
    assert len(rewards) == 2 * policy.batch
    alone = MovingAverage(agent.baseline.decay)
    once = [alone.update(np.array(part)) for part in np.split(np.array(rewards), 2)]
    assert levels == pytest.approx(np.repeat(once, PASSES), rel=1e-6)
    assert agent.baseline.value == pytest.approx(alone.value, rel=1e-6)
    agent.baseline.update(np.ones(1))  # which is held no more
    assert agent.baseline.num_rewards == len(rewards) + 1


def test_a_loaded_agent_has_one_baseline(tmp_path: Path) -> None:
    agent: Any = made("nasnet").agent
    agent.save(tmp_path / "agent.zip")
    loaded = BaselinePPO.load(tmp_path / "agent.zip", env=agent.env)
    policy, late = PolicyGradient(SPACE, loaded), agent.n_steps // LENGTH + 2
    policy.begin(1000 * LENGTH)
    rewards = play(policy, 2 * policy.batch + late - 1, under_way=late)
    assert loaded.baseline.num_rewards == len(rewards) == 2 * policy.batch


def test_an_lstm_keeps_its_states() -> None:
    policy = made("recurrent-ppo", n_epochs=1, policy_kwargs={"lstm_hidden_size": 8})
    agent: Any = policy.agent
    rollouts = []
    train = agent.train

    def watched() -> None:
        rollouts.append(agent.rollout_buffer.log_probs.copy())
        train()

    agent.train = watched
    play(policy, 2 * policy.batch + 3, under_way=4)
    assert len(rollouts) == 2
    buffer = agent.rollout_buffer  # flat, after training
    states = buffer.hidden_states_pi.reshape(policy.batch, LENGTH, -1)
    assert (states[:, 0] == 0).all()
    assert (states[:, 1:] != 0).any(axis=2).all()
    assert (rollouts[0] < 0).any()


@pytest.mark.parametrize("name", ["reinforce", "lstm-ppo", "a2c"])
def test_a_policy_learns_from_others_returned_late(name: str) -> None:
    """Random architectures have 1/13 on average; so have the first ones here."""
    policy = made(name, **{"learning_rate": 0.01} if name != "reinforce" else {"n_episodes": 10})
    rewards = play(policy, 400, under_way=20)
    assert np.mean(rewards[:40]) < 0.15
    assert np.mean(rewards[-40:]) > 0.3
    assert not policy.returned or len(policy.returned) < policy.batch
    assert sum(map(len, policy.under_way.values())) == 19


def test_equal_proposals_are_each_learned_from() -> None:
    policy = made("reinforce", n_episodes=2)
    first, second = policy.propose(), policy.propose()
    policy.under_way = {first.tobytes(): [each for [each] in policy.under_way.values()]}
    for _ in (first, second):
        policy.observe(first, 0.5)
    assert policy.under_way == {}
    assert policy.agent._n_updates == 1


def test_steps_of_a_rollout_are_whole_episodes() -> None:
    policy = made("maskable-ppo", n_steps=3 * LENGTH + 2, batch_size=30)
    assert policy.batch == 3
    play(policy, 3, under_way=1)
    assert policy.agent._n_updates == policy.agent.n_epochs  # type: ignore[attr-defined]
    assert made("ppo", n_steps=2, batch_size=2).batch == 1


@pytest.mark.parametrize("name", ["maskable-ppo", "recurrent-ppo", "lstm-ppo"])
@pytest.mark.parametrize("left", [1, 2 * LENGTH - 1])
def test_a_batch_of_one_decision_is_refused(name: str, left: int) -> None:
    says = f"batch_size: of {2 * LENGTH} decisions, batches of {left} leave one alone"
    with pytest.raises(InvalidSettings, match=says):
        made(name, n_steps=2 * LENGTH, batch_size=left)
    made(name, n_steps=2 * LENGTH, batch_size=left, normalize_advantage=False)
    made(name, n_steps=2 * LENGTH, batch_size=2 * LENGTH)


def test_agents_that_collect_their_rollouts_otherwise_are_in_lock_step() -> None:
    able = {name for name in AGENTS if learns_asynchronously(find_agent(name).algorithm)}
    assert able == {*NAMES, "lstm-ppo", "conditioned-ppo", "enas", "tunas", "proxylessnas"}
