"""REINFORCE: its gradient, its baseline, its masks; it learns, and comes back from a file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from nas_agents.catalogue.defaults import NASBENCH201
from nas_agents.controllers.episodes import MovingAverage, episode_returns
from nas_agents.controllers.reinforce import Reinforce
from nas_agents.strategies.softmax_table import NEVER
from nas_gym import InvalidSettings, NASBench201SearchSpace, NASVectorEnv, SearchSpace
from nas_gym.sb3 import NASVecEnv, VecWholeArchitecture
from tests.helpers import LayersSearchSpace, RecordedStub, StubEvaluator


def vec_env(search_space: SearchSpace, number: int = 1) -> NASVecEnv:
    evaluator = RecordedStub(search_space)
    return NASVecEnv(NASVectorEnv(search_space, evaluator, number, autoreset_mode="SameStep"))


def bandit(number: int = 1) -> VecWholeArchitecture:
    search_space = NASBench201SearchSpace()
    stub = RecordedStub(search_space)
    venv = NASVectorEnv(search_space, stub, number, autoreset_mode="SameStep")
    return VecWholeArchitecture(NASVecEnv(venv))


class Seen(BaseCallback):
    """Keeps the actions and the rewards of every step."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[Any] = []
        self.rewards: list[float] = []

    def _on_step(self) -> bool:
        self.actions.append(self.locals["actions"].tolist())
        self.rewards += self.locals["rewards"].tolist()
        return True


def test_moving_average_without_correction_starts_at_the_first_reward() -> None:
    average = MovingAverage(decay=0.9)
    assert average.update(np.array([0.5, 0.7])) == pytest.approx(0.6)  # there is no earlier one
    assert average.value == pytest.approx(0.9 * 0.5 + 0.1 * 0.7)
    assert average.update(np.array([1.0])) == pytest.approx(0.52)


def test_moving_average_of_nasbench201_knows_the_reward_itself() -> None:
    average = MovingAverage(decay=0.9, bias_correction=True, own_reward=True)
    assert average.update(np.array([0.5])) == pytest.approx(0.5)
    expected = (0.9 * 0.1 * 0.5 + 0.1 * 0.8) / (1 - 0.9**2)
    assert average.update(np.array([0.8])) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"baseline_decay": 1.0}, "^baseline_decay: expected a number less than 1, got 1.0"),
        ({"n_episodes": 0}, "^n_episodes: expected .* equal to 1, got 0"),
        ({"n_episodes": 1e20}, r"^n_episodes: expected a valid integer, got 1e\+20"),
        ({"ent_coef": math.nan}, "^ent_coef: expected a finite number, got nan"),
        ({"max_grad_norm": 0}, "^max_grad_norm: expected a number greater than 0, got 0"),
        ({"queue_size": -1}, "^queue_size: expected .* equal to 0, got -1"),
        ({"n_episode": 3}, "'n_episode' is not known; did you mean 'n_episodes'"),
        ({"gamma": 0.9}, "'gamma' is not known"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        Reinforce("IndependentLogits", bandit(), **arguments)


def test_returns_are_sums_up_to_the_end_of_the_episode() -> None:
    rewards = np.array([[0.0, 1.0], [2.0, 0.0], [0.0, 4.0], [0.5, 8.0]], dtype=np.float32)
    dones = np.array([[False, False], [True, False], [False, True], [False, False]])
    returns, known, first = episode_returns(rewards, dones)
    assert returns[:, 0].tolist() == [2.0, 2.0, 0.5, 0.5]
    assert returns[:3, 1].tolist() == [5.0, 4.0, 4.0]
    assert known.tolist() == [[True, True], [True, True], [False, True], [False, False]]
    assert first.tolist() == [[True, True], [False, False], [True, False], [False, True]]


@pytest.mark.parametrize("number", [1, 3])
def test_a_step_follows_the_gradient(number: int) -> None:
    """With plain ascent, theta moves by the learning rate times the gradient as it is written."""
    agent = Reinforce(
        "IndependentLogits",
        bandit(number),
        learning_rate=0.1,
        n_episodes=6,
        ent_coef=0.03,
        policy_kwargs={"init_std": 0.3, "optimizer_class": torch.optim.SGD},
        seed=1,
    )
    logits = agent.policy.logits
    before = logits.detach().clone().requires_grad_()
    seen = Seen()
    agent.learn(6, seen)
    actions = torch.tensor(np.reshape(seen.actions, (6, 6)))
    log_p = before.log_softmax(-1)
    advantages = torch.tensor(seen.rewards) - float(np.mean(seen.rewards))
    chosen = log_p[torch.arange(6), actions].sum(1)
    entropy = -(log_p.exp() * log_p).sum()
    ((chosen * advantages).mean() + 0.03 * entropy).backward()
    assert before.grad is not None
    torch.testing.assert_close(logits.detach(), before.detach() + 0.1 * before.grad)


@pytest.mark.parametrize("number", [1, 2])
def test_the_best_so_far_are_made_more_likely(number: int) -> None:
    """Beside the policy gradient, a step follows the likelihood of the queue."""
    agent = Reinforce(
        "IndependentLogits",
        vec_env(NASBench201SearchSpace(), number),
        learning_rate=0.1,
        n_episodes=6,
        queue_size=3,
        policy_kwargs={"init_std": 0.3, "optimizer_class": torch.optim.SGD},
        seed=1,
    )
    logits = agent.policy.logits
    before = logits.detach().clone().requires_grad_()
    seen = Seen()
    agent.learn(36, seen)
    actions = torch.tensor(np.reshape(seen.actions, (-1, 6, number)))
    episodes = actions.swapaxes(1, 2).reshape(6, 6)
    rewards = torch.tensor(seen.rewards).reshape(-1, 6, number)[:, -1].flatten()
    log_p = before.log_softmax(-1)
    log_probs = log_p[torch.arange(6), episodes].sum(1)
    best = rewards.argsort(descending=True, stable=True)[:3]
    ((log_probs * (rewards - rewards.mean())).mean() + log_probs[best].mean()).backward()
    assert before.grad is not None
    torch.testing.assert_close(logits.detach(), before.detach() + 0.1 * before.grad)


class Stop(BaseCallback):
    """Ends the learning in its third step."""

    def _on_step(self) -> bool:
        return self.n_calls < 3


def test_a_callback_can_end_the_learning() -> None:
    agent = Reinforce("IndependentLogits", bandit(), n_episodes=1).learn(100, Stop())
    assert agent.num_timesteps == 3
    assert agent._n_updates == 2


def mean_of_last(agent: Reinforce, episodes: int, last: int) -> float:
    """The mean reward of the last episodes of so many."""
    env = agent.get_env()
    assert isinstance(env, VecEnv)
    seen = Seen()
    whole = isinstance(env, VecWholeArchitecture)
    agent.learn(episodes * (1 if whole else 6), seen)
    rewards = seen.rewards if whole else seen.rewards[5::6]
    assert len(rewards) == episodes
    return float(np.mean(rewards[-last:]))


def test_it_learns_the_bandit() -> None:
    """The reward grows with the choices, and some fail: 0.39 +- 0.02 for random search."""
    agent = Reinforce(env=bandit(), seed=0, **NASBENCH201)
    assert mean_of_last(agent, 400, 100) > 0.8


@pytest.mark.parametrize(("policy", "rate"), [("IndependentLogits", 0.2), ("MlpPolicy", 0.02)])
def test_it_learns_step_by_step(policy: str, rate: float) -> None:
    """As above; 0.39 +- 0.02 for random search."""
    env = vec_env(NASBench201SearchSpace())
    agent = Reinforce(policy, env, learning_rate=rate, n_episodes=8, seed=0)
    assert mean_of_last(agent, 400, 100) > 0.7


@pytest.mark.parametrize("policy", ["IndependentLogits", "MlpPolicy"])
@pytest.mark.parametrize("masked", [True, False])
def test_masks_are_respected(policy: str, masked: bool) -> None:
    """In a conditional search space; without masks, the environment makes actions valid."""
    search_space = LayersSearchSpace()
    venv = NASVectorEnv(search_space, StubEvaluator(), 4, autoreset_mode="SameStep")
    invalid = []
    decide = venv._decide

    def watched(actions: Any) -> Any:
        resolved = decide(actions)
        invalid.append(resolved.any())
        return resolved

    venv._decide = watched  # type: ignore[method-assign]
    agent = Reinforce(policy, NASVecEnv(venv), n_episodes=5, use_masking=masked, seed=0)
    agent.learn(4 * 4 * 8)
    assert agent._n_updates == 4  # two lock-steps of four episodes each
    assert any(invalid) is not masked


def test_whole_architectures_of_a_conditional_search_space_are_made_valid() -> None:
    search_space = LayersSearchSpace()
    venv = NASVectorEnv(search_space, StubEvaluator(), 2, autoreset_mode="SameStep")
    agent = Reinforce(
        "IndependentLogits", VecWholeArchitecture(NASVecEnv(venv)), n_episodes=4, seed=0
    )
    agent.learn(40)
    assert venv.budget.asked == 40
    beyond = agent.policy.logits.detach()[0, 3]  # depth has three choices
    assert beyond == NEVER


def test_it_comes_back_from_a_file(tmp_path: Path) -> None:
    """A saved agent goes on as the original does: policy, optimizer and baseline."""
    agent = Reinforce(env=bandit(), seed=0, queue_size=4, **NASBENCH201).learn(20)
    agent.save(tmp_path / "agent.zip")
    loaded = Reinforce.load(tmp_path / "agent.zip", env=bandit())
    assert loaded.baseline == agent.baseline
    observation = np.zeros((1, 6), dtype=np.int8)
    best, _ = agent.predict(observation, deterministic=True)
    np.testing.assert_array_equal(loaded.predict(observation, deterministic=True)[0], best)
    for each in (agent, loaded):
        each.set_random_seed(5)
        each.learn(20, reset_num_timesteps=False)
    assert loaded.num_timesteps == agent.num_timesteps == 40
    assert [each.reward for each in loaded.queue.episodes] == [
        each.reward for each in agent.queue.episodes
    ]
    assert torch.equal(loaded.policy.logits, agent.policy.logits)


def test_predictions_heed_masks() -> None:
    agent = Reinforce("MlpPolicy", vec_env(NASBench201SearchSpace()), seed=0)
    mask = np.array([[False, False, True, False, False]])
    observation = np.zeros((1, 6), dtype=np.int8)
    actions = [agent.predict(observation, action_masks=mask)[0].item() for _ in range(10)]
    assert actions == [2] * 10
