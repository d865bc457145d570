"""ENAS: how it alternates, what it learns from, that it goes on to the bit."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv

from nas_agents.controllers.policies import LstmPolicy
from nas_agents.controllers.sharing.enas import ENAS
from nas_agents.controllers.sharing.shared_weights import TrainSharedWeights, draw, shared_weights
from nas_agents.drivers import lock_step
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import Architecture, ENASMacroSearchSpace, ENASMicroSearchSpace, InvalidSettings
from nas_gym.data.dataset import resplit
from nas_gym.data.loading import load_dataset
from nas_gym.evaluation.memory import Memory
from nas_gym.families.enas.macro_network import MacroNetworkSettings
from nas_gym.families.enas.macro_search_space import ENASMacroArchitecture
from nas_gym.families.enas.micro_network import ENASCellNetworkSettings
from nas_gym.observations import OneHotArchitectures
from nas_gym.sb3 import NASVecEnv, VecContinuousAction, make_vec_env
from nas_gym.vector_env import NASVectorEnv
from nas_gym.weight_sharing import evaluator as weight_sharing
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings
from tests.agents.stubs import each_child

MACRO = ENASMacroSearchSpace(layers=3)  # six decisions
T = len(MACRO.decisions)
DIGITS = resplit(load_dataset("digits"), train=128, validation=100, test=100)


def macro_env(num_envs: int = 1, **settings: Any) -> NASVecEnv:
    network = MacroNetworkSettings(filters=2, form="released_search", dropout=0.1)
    given = WeightSharingSettings(network, batch_size=64, **settings)
    evaluator = WeightSharing(MACRO, DIGITS, given, "cpu")
    return NASVecEnv(NASVectorEnv(MACRO, evaluator, num_envs, autoreset_mode="SameStep"))


def enas(env: VecEnv | None = None, seed: int = 1, **given: Any) -> ENAS:
    arguments = {"n_episodes": 4, "episodes_an_epoch": 8, "learning_rate": 0.01, **given}
    return ENAS("MlpPolicy", env or macro_env(), seed=seed, device="cpu", **arguments)


class Episodes(BaseCallback):
    """Keeps what each episode was, and how many epochs the weights were trained for before."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, str, float]] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "architecture" in info:
                epoch = shared_weights(self.training_env).epoch
                self.seen.append((epoch, info["architecture"], info["evaluation"]["accuracy"]))
        return True


def test_epochs_and_the_controllers_episodes_take_turns() -> None:
    agent, episodes = enas(), Episodes()
    agent.learn(20 * T, callback=episodes)
    assert [epoch for epoch, _, _ in episodes.seen] == [1] * 8 + [2] * 8 + [3] * 4
    assert agent.num_timesteps == 20 * T


def test_the_same_seed_gives_the_same_search() -> None:
    runs = []
    for seed in (1, 1, 2):
        agent, episodes = enas(seed=seed), Episodes()
        agent.learn(12 * T, callback=episodes)
        runs.append(episodes.seen)
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def state_of(agent: ENAS) -> list[torch.Tensor]:
    modules = (agent.policy, agent.shared.supernet)
    optimizers = (agent.policy.optimizer, agent.shared.optimizer)
    moments = [
        value
        for optimizer in optimizers
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]
    return [parameter for module in modules for parameter in module.parameters()] + moments


@pytest.mark.parametrize("first", [8, 12])
def test_a_saved_search_goes_on_to_the_bit(first: int, tmp_path: Path) -> None:
    whole, all_episodes = enas(), Episodes()
    whole.learn(24 * T, callback=all_episodes)

    agent, episodes = enas(), Episodes()
    agent.learn(first * T, callback=episodes)
    agent.save(tmp_path / "agent")
    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    loaded = ENAS.load(tmp_path / "agent", env=macro_env(), device="cpu")
    assert loaded.shared.epoch == agent.shared.epoch
    loaded.learn((24 - first) * T, callback=episodes, reset_num_timesteps=False)

    assert episodes.seen == all_episodes.seen
    assert loaded.baseline == whole.baseline
    pairs = list(zip(state_of(whole), state_of(loaded), strict=True))
    assert len(pairs) > 100
    assert all(torch.equal(there, here) for there, here in pairs)


def test_saving_changes_nothing(tmp_path: Path) -> None:
    runs = []
    for saves in (False, True):
        agent, episodes = enas(), Episodes()
        agent.learn(8 * T, callback=episodes)
        if saves:
            agent.save(tmp_path / "agent")
            torch.rand(1)  # what others draw is theirs
        else:
            torch.rand(1)
        agent.learn(8 * T, callback=episodes, reset_num_timesteps=False)
        runs.append(episodes.seen)
    assert runs[0] == runs[1]


def test_a_loaded_agent_without_environment_predicts(tmp_path: Path) -> None:
    agent = enas()
    agent.save(tmp_path / "agent")
    loaded = ENAS.load(tmp_path / "agent", device="cpu")
    observation = np.zeros(T, dtype=agent.observation_space.dtype)
    there, _ = agent.predict(observation, deterministic=True)
    assert loaded.predict(observation, deterministic=True)[0] == there


def test_the_best_of_the_candidates_is_chosen_by_all_validation_images() -> None:
    env = macro_env()
    agent = enas(env, candidates=6)
    agent.learn(4 * T)
    caching: Memory = env.get_attr("memory")[0]
    torch.manual_seed(5)
    candidates = draw(agent, MACRO, 6)
    with agent.shared.on_whole_split():
        accuracies = [evaluation.accuracy for evaluation in agent.shared.evaluate(candidates)]
    asked = caching.budget.asked
    torch.manual_seed(5)
    architecture, evaluation = agent.choose()
    assert evaluation.accuracy == max(accuracies) > min(accuracies)
    assert architecture == candidates[int(np.argmax(accuracies))]
    assert caching.budget.asked == asked + 6
    assert agent.shared.settings.validated_on == "minibatch"


def skip_rate(agent: BaseAlgorithm, number: int = 200) -> float:
    drawn = draw(agent, MACRO, number)
    skips = 0
    for architecture in drawn:
        assert isinstance(architecture, ENASMacroArchitecture)
        skips += sum(len(layer.skips) for layer in architecture.layers)
    return skips / (3 * number)  # of 0 + 1 + 2


@pytest.mark.parametrize(("skip_logits", "expected"), [(False, 0.2), (True, 1 / 17)])
def test_skip_connections_are_drawn_to_their_prior(
    skip_logits: bool, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sigmoid(q) = 0.2 makes the odds of softmax(-q, q) (1/4)^2."""
    monkeypatch.setattr(weight_sharing, "counted", lambda *_: torch.tensor([1, 0]))  # for speed
    agent = enas(
        macro_env(num_envs=20),
        n_episodes=20,
        episodes_an_epoch=10_000,
        skip_target=0.2,
        skip_weight=20.0,
        skip_logits=skip_logits,
    )
    assert skip_rate(agent) == pytest.approx(0.5, abs=0.06)  # deviation 0.02
    agent.learn(25 * 20 * T)
    assert skip_rate(agent) == pytest.approx(expected, abs=0.06)


def test_the_penalty_is_the_divergence() -> None:
    agent = enas(skip_target=0.4, skip_weight=0.8)
    rows = [[1, 0, 0, 0, 0, 0], [1, 2, 0, 0, 0, 0], [1, 2, 1, 3, 0, 0], [1, 2, 0, 0, 0, 0]]
    observations = torch.tensor(rows)
    log_prob = torch.tensor([0.3, 0.7, 0.9, 0.6]).log().requires_grad_()
    actions = torch.tensor([1, 1, 0, 1])  # an operation; a skip of p = 0.7; no skip of p = 0.1
    ended = torch.tensor([True, True, True, False])
    penalty = agent.penalty(observations, actions, log_prob, ended)
    assert isinstance(penalty, torch.Tensor)
    codes = torch.from_numpy(OneHotArchitectures(MACRO.decisions).encode(observations.numpy()))
    assert agent.penalty(codes, actions, log_prob, ended) == penalty

    def divergence(p: float) -> float:
        return p * math.log(p / 0.4) + (1 - p) * math.log((1 - p) / 0.6)

    assert penalty.item() == pytest.approx(0.8 * (divergence(0.7) + divergence(0.1)) / 2, rel=1e-5)
    penalty.backward()
    assert log_prob.grad is not None
    assert log_prob.grad[0] == log_prob.grad[3] == 0
    assert (log_prob.grad[1:3] != 0).all()


def test_the_micro_search_space_has_no_penalty() -> None:
    micro = ENASMicroSearchSpace(blocks=1)
    network = ENASCellNetworkSettings(cells=1, filters=2, form="released_search")
    settings = WeightSharingSettings(network, batch_size=64)
    evaluator = WeightSharing(micro, DIGITS, settings, "cpu")
    env = NASVecEnv(NASVectorEnv(micro, evaluator, 2, autoreset_mode="SameStep"))
    agent = enas(env)
    agent.learn(4 * len(micro.decisions))
    observations = torch.zeros(3, len(micro.decisions), dtype=torch.int8)
    assert (
        agent.penalty(observations, torch.zeros(3), torch.rand(3).log(), torch.ones(3).bool()) == 0
    )
    assert agent.shared.epoch == 1


@pytest.mark.parametrize("full", [False, True])
def test_the_entropy_is_part_of_the_last_reward(full: bool) -> None:
    """So that equally good children have equal advantages at all of their decisions."""
    rewards: list[Any] = []

    class Spy(ENAS):
        def _add_entropy(self) -> None:
            super()._add_entropy()
            rewards.extend(step.rewards for step in self.steps)

    agent = Spy(
        "MlpPolicy", macro_env(2), 0.0, 4, entropy_reward=1e4, full_entropy=full, seed=1,
        device="cpu",
    )  # fmt: skip
    agent.learn(4 * T)
    by_step = np.array(rewards).reshape(2, T, 2)  # episodes one after the other, T, environments
    assert (by_step[:, :-1] == 0).all()
    # -p log p of one choice, or log n of all
    uniform = sum(math.log(n) / (1 if full else n) for n in MACRO.num_choices)
    assert by_step[:, -1] / 1e4 == pytest.approx(uniform, rel=0.1)
    assert agent.baseline.average == pytest.approx(1e4 * uniform, rel=0.1)


@pytest.mark.parametrize(
    ("algorithm", "arguments"),
    [
        (PPO, {"n_steps": 2 * T, "batch_size": 2 * T, "n_epochs": 1}),
        (MaskablePPO, {"n_steps": 2 * T, "batch_size": 2 * T, "n_epochs": 1}),
        (DQN, {"learning_starts": 2 * T, "train_freq": T}),
        (A2C, {"n_steps": 3 * T}),
    ],
)
def test_any_agent_can_be_the_controller(
    algorithm: type[BaseAlgorithm], arguments: dict[str, Any]
) -> None:
    agent = algorithm("MlpPolicy", macro_env(), seed=0, device="cpu", **arguments)
    episodes = Episodes()
    agent.learn(10 * T, callback=[TrainSharedWeights(episodes=4), episodes])
    assert [epoch for epoch, _, _ in episodes.seen][:10] == [1] * 4 + [2] * 4 + [3] * 2


def test_episodes_in_lock_step() -> None:
    env, episodes = macro_env(num_envs=8), Episodes()
    agent = enas(env, n_episodes=8, episodes_an_epoch=16)
    agent.learn(40 * T, callback=episodes)
    assert [epoch for epoch, _, _ in episodes.seen] == [1] * 16 + [2] * 16 + [3] * 8


def test_agents_that_act_through_scores_or_remember_are_drawn_from() -> None:
    env = macro_env()
    recurrent = RecurrentPPO(LstmPolicy, env, seed=0, device="cpu")
    scores = SAC("MlpPolicy", VecContinuousAction(env), seed=0, device="cpu")
    for agent in (recurrent, scores):
        drawn = draw(agent, MACRO, 20)
        assert all(isinstance(each, Architecture) for each in drawn)
        assert len({each.key for each in drawn}) > 10


def test_weights_that_diverge_end_the_search() -> None:
    agent = enas(macro_env(learning_rate=1e30), episodes_an_epoch=4)
    agent.learn(100 * T)
    assert agent.num_timesteps < 20 * T


def test_an_environment_without_shared_weights_is_refused() -> None:
    env = make_vec_env("nas_gym/ENASMacro-v0", env_kwargs={"layers": 3, "filters": 2})
    with pytest.raises(InvalidSettings, match="evaluator=weight-sharing"):
        enas(env)
    with pytest.raises(InvalidSettings, match="share no weights"):
        DQN("MlpPolicy", env).learn(T, callback=TrainSharedWeights())


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"episodes_an_epoch": 0}, "episodes_an_epoch"),
        ({"candidates": 0}, "candidates"),
        ({"skip_target": 1.0}, "skip_target"),
        ({"skip_weight": -1.0}, "skip_weight"),
        ({"entropy_reward": -1.0}, "entropy_reward"),
    ],
)
def test_bad_settings(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        enas(**wrong)


def test_nas_gym_search_runs_it(tmp_path: Path) -> None:
    tiny = {"layers": 3, "filters": 2, "epochs": 100, "batch_size": 256}
    settings = SearchSettings(
        "nas_gym/ENASMacro-v0",
        "enas",
        episodes=4,
        env_arguments=tiny,
        agent_arguments={"candidates": 3, "policy_kwargs": {"controller": "enas-macro-released"}},
        final_arguments={"epochs": 1, "filters": 3},
    )
    result = search(settings, tmp_path / "run")
    assert result.final is not None
    assert result.summary["evaluations"]["made"] == 4
    assert result.summary["best"]["episode"] is None  # chosen among the candidates
    assert not (result.run / "evaluations.db").exists()  # what changes is not kept
    chosen = Architecture.load(result.run / "best.json")
    assert chosen == result.progress.best_architecture
    trained = json.loads((result.run / "settings.json").read_text())["final_training"]
    assert (trained["network"]["form"], trained["network"]["filters"]) == ("released_final", 3)

    again = search(settings, tmp_path / "again")
    there, here = (
        [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
        for run in (result.run, again.run)
    )
    names = ("architecture", "reward", "status", "cached")
    assert [[e[n] for n in names] for e in there] == [[e[n] for n in names] for e in here]
    assert again.progress.best_architecture == chosen


@pytest.mark.parametrize("agent", ["enas", "maskable-ppo", "random"])
def test_a_resumed_search_does_not_train_the_shared_weights_again(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is trained and evaluated again is what came after the last checkpoint, and comes as it
    was recorded.
    """
    monkeypatch.setattr(lock_step, "EVERY", 0.0)
    monkeypatch.setattr(lock_step, "SHARE", 1e9)
    calls: Counter[str] = Counter()
    for owner, name in ((WeightSharing, "_step"), (weight_sharing, "counted")):
        monkeypatch.setattr(owner, name, counted(calls, getattr(owner, name)))
    tiny = {"evaluator": "weight-sharing", "layers": 2, "filters": 2, "batch_size": 256}
    given: dict[str, Any] = {"candidates": 2, "episodes_an_epoch": 3, "n_episodes": 2}
    settings = SearchSettings(
        "nas_gym/ENASMacro-v0", agent, episodes=12, env_arguments=tiny, final=False,
        agent_arguments=given if agent == "enas" else {},
    )  # fmt: skip
    whole = search(settings, tmp_path / "whole")
    steps, evaluations = calls["_step"], calls["counted"]
    with pytest.raises(KeyError):
        search(settings, tmp_path / "run", callbacks=each_child(killed_after(8)))
    calls.clear()
    resumed = search(settings, tmp_path / "run", resume=True)
    there, here = (
        [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
        for run in (whole.run, resumed.run)
    )
    names = ("architecture", "reward", "status", "cached", "parameters")
    assert [[e[n] for n in names] for e in there] == [[e[n] for n in names] for e in here]
    assert resumed.progress.best_architecture == whole.progress.best_architecture
    assert resumed.progress.resumed == 8
    assert calls["counted"] == evaluations - 7  # the checkpoint after the eighth was not reached
    if agent == "enas":
        assert calls["_step"] == steps / 4  # the last of four epochs
    else:
        assert calls["_step"] == steps / 2  # that after the tenth episode, of two
        chosen = Architecture.load(resumed.run / "best.json").to_json()
        assert chosen in [episode["architecture"] for episode in there[-10:]]


def counted(calls: Counter[str], method: Any) -> Any:
    """A method that counts its calls."""

    def count(*arguments: Any) -> Any:
        calls[method.__name__] += 1
        return method(*arguments)

    return count


def killed_after(episodes: int) -> Any:
    """What ends a search after so many, in the midst of a step."""

    def on_episode(progress: Any) -> None:
        if progress.episodes == episodes:
            raise KeyError

    return on_episode


def test_nas_gym_search_needs_shared_weights(tmp_path: Path) -> None:
    given = {"layers": 3, "filters": 2, "evaluator": "trained"}
    settings = SearchSettings("nas_gym/ENASMacro-v0", "enas", env_arguments=given)
    with pytest.raises(InvalidSettings, match="share no weights"):
        search(settings, tmp_path / "run")
    with pytest.raises(InvalidSettings, match="ENASMicro-v0, nas_gym/ENASMacro-v0"):
        search(SearchSettings("nas_gym/NASNet-v0", "enas"), tmp_path / "run")
