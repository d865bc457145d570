"""`NASEnv` and the registered environments, as their users meet them."""

import copy
import json
import pickle
import subprocess
import sys
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3
from stable_baselines3.common.preprocessing import get_flattened_obs_dim

import nas_gym
from nas_gym import (
    Architecture,
    CustomArchitecture,
    Decision,
    InvalidSettings,
    NASBench201SearchSpace,
    NASEnv,
    NASGymError,
    NASNetSearchSpace,
    NASSearchSpace,
    SearchSpace,
    rewards,
)
from nas_gym.architecture import InvalidArchitecture
from nas_gym.envs import environment_type
from nas_gym.envs.family_env import FamilyEnv
from nas_gym.evaluation.evaluation import NUMBERS, Evaluation, Status
from nas_gym.evaluation.memory import Memory
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.family import registered_families
from nas_gym.observations import PartialArchitectures
from nas_gym.search_spaces import Mask
from tests.helpers import LayersSearchSpace, RecordedStub, StubEvaluator, nested

_TRAINED: dict[str, Any] = {"epochs": 1, "batch_size": 256, "device": "cpu"}
_RECURRENT = {"epochs": 1, "data_fraction": 0.02, "units": 4, "vocabulary": 50, "device": "cpu"}
CHEAP: dict[str, dict[str, Any]] = {
    "nas_gym/TinyBench-v0": {},
    "nas_gym/ENASMacro-v0": {**_TRAINED, "layers": 3, "filters": 2},
    "nas_gym/ENASMicro-v0": {**_TRAINED, "blocks": 1, "cells": 1, "filters": 2},
    "nas_gym/ENASRecurrent-v0": {**_RECURRENT, "nodes": 2},
    "nas_gym/Gated-v0": _RECURRENT,
    "nas_gym/MnasNet-v0": {**_TRAINED, "width": 0.1, "head_filters": 8, "halvings": 3},
    "nas_gym/NAS-v0": {**_TRAINED, "layers": 2, "filter_scale": 0.1},
    "nas_gym/NASBench101-v0": {**_TRAINED, "cells": 1, "filters": 5},
    "nas_gym/NASBench201-v0": {**_TRAINED, "cells": 1, "filters": 2},
    "nas_gym/NASCell-v0": {**_RECURRENT, "base": 2},
    "nas_gym/OFA-v0": {**_TRAINED, "width": 0.05},
    "nas_gym/ProxylessNAS-v0": {**_TRAINED, "width": 0.05},
    "nas_gym/TuNAS-v0": {**_TRAINED, "width": 0.05},
    "nas_gym/NASNet-v0": {**_TRAINED, "blocks": 1, "cells": 1, "filters": 2},
}
"""Arguments under which an episode takes a second."""
IDS = sorted(
    env_id
    for family in registered_families()
    for env_id in family.environments
    if env_id.startswith("nas_gym/") and "-Recorded-" not in env_id
)
"""All but those of published benchmarks, whose files may not be there."""

two_search_spaces = pytest.mark.parametrize(
    "search_space", [NASNetSearchSpace(2), LayersSearchSpace()], ids=["NASNet", "conditional"]
)
EVALUATION_FIELDS = {
    "status",
    "accuracy",
    "curve",
    "metric",
    "value",
    "seed",
    "fingerprint",
    "parameters",
    "multiply_adds",
    "latency",
    "peak_activation_bytes",
    "energy",
    "message",
}


def make(name: str, **changes: Any) -> gym.Env[Any, Any]:
    return gym.make(name, **{**CHEAP.get(name, {}), **changes})


def stub_env(search_space: SearchSpace | None = None, **arguments: Any) -> NASEnv:
    return NASEnv(search_space or NASNetSearchSpace(2), StubEvaluator(), **arguments)


def masks_of(env: gym.Env[Any, Any]) -> Mask:
    mask: Mask = env.get_wrapper_attr("action_masks")()
    return mask


def play(env: gym.Env[Any, Any], seed: int) -> list[tuple[Any, ...]]:
    """One episode of random actions: every observation, info, reward and end."""
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    steps: list[tuple[Any, ...]] = [(observation.tolist(), plain(info))]
    terminated = False
    while not terminated:
        action = rng.integers(env.action_space.n)  # type: ignore[attr-defined]
        observation, reward, terminated, truncated, info = env.step(action)
        assert not truncated
        steps.append((observation.tolist(), plain(info), reward, terminated))
    return steps


def plain(info: dict[str, Any]) -> dict[str, Any]:
    return {**info, "action_mask": info["action_mask"].tolist()}


def test_every_registered_environment_has_cheap_arguments_here() -> None:
    assert set(CHEAP) == set(IDS)


@pytest.mark.parametrize("name", IDS)
def test_gymnasiums_checker_passes(name: str) -> None:
    env = make(name, render_mode="ansi")
    check_env(env.unwrapped)


@pytest.mark.parametrize("name", IDS)
def test_stable_baselines3s_checker_passes(name: str) -> None:
    env = make(name, render_mode="rgb_array")
    check_env_for_sb3(env, skip_render_check=False)
    env.close()


@pytest.mark.parametrize("name", IDS)
def test_same_seed_and_actions_same_episode(name: str) -> None:
    first, second = make(name), make(name)
    episode = play(first, seed=1)
    assert play(second, seed=1) == episode
    assert play(first, seed=1) == episode  # now answered from memory


@pytest.mark.parametrize("name", IDS)
def test_an_episode_is_trained_on_real_images(name: str) -> None:
    env = make(name)
    observation, _ = env.reset(seed=0)
    terminated = False
    while not terminated:
        observation, reward, terminated, _, info = env.step(0)
    assert (observation > 0).all()
    evaluation = info["evaluation"]
    assert evaluation["status"] == "ok"
    assert reward == evaluation["accuracy"] == evaluation["curve"][-1]
    assert 0 < evaluation["accuracy"] < 1
    assert evaluation["parameters"] > 0


@pytest.mark.parametrize("name", IDS)
def test_the_docstring_has_gymnasiums_sections(name: str) -> None:
    text = type(make(name).unwrapped).__doc__ or ""
    sections = [line.strip()[3:] for line in text.splitlines() if line.strip().startswith("## ")]
    assert sections == [
        "Description",
        "Action Space",
        "Observation Space",
        "Starting State",
        "Rewards",
        "Episode End",
        "Information",
        "Arguments",
        "References",
        "Version History",
    ]


@pytest.mark.parametrize("name", IDS)
def test_the_page_has_a_row_for_every_argument_that_says_more_than_its_name(name: str) -> None:
    env_class = environment_type(name)
    page = env_class.__doc__ or ""
    tables = page[page.index("## Arguments") : page.index("## References")]
    for evaluator in env_class.evaluators:
        own = ("evaluator",) if len(env_class.evaluators) > 1 else ()
        for argument in (*env_class.arguments(evaluator), *own, "reward", "render_mode"):
            assert f"\n| `{argument}` | " in tables, argument
            assert f" | {argument.replace('_', ' ')} |" not in tables, argument
    assert name in tables


@two_search_spaces
def test_spaces_of_observations_and_actions(search_space: SearchSpace) -> None:
    env = stub_env(search_space)
    assert env.action_space == gym.spaces.Discrete(search_space.num_actions)
    sizes = [number + 1 for number in search_space.num_choices]
    expected: gym.spaces.MultiDiscrete[Any] = gym.spaces.MultiDiscrete(
        sizes, dtype=np.int8 if sum(sizes) < 128 else np.int16
    )
    assert env.observation_space == expected
    assert sum(expected.nvec) == sum(sizes)  # as Stable-Baselines3 does; it must not overflow


@two_search_spaces
def test_masks_in_both_forms_agree_at_every_step(search_space: SearchSpace) -> None:
    env = stub_env(search_space)
    for seed in range(5):
        choices = search_space.sample(np.random.default_rng(seed))
        _, info = env.reset(seed=seed)
        for step, choice in enumerate(choices):
            mask, as_int8 = env.action_masks(), info["action_mask"]
            assert mask.dtype == np.bool_
            assert as_int8.dtype == np.int8
            np.testing.assert_array_equal(mask, as_int8)
            np.testing.assert_array_equal(mask, search_space.action_mask(choices[:step]))
            assert mask[env.action_space.sample(as_int8)]
            _, _, _, _, info = env.step(choice)
        np.testing.assert_array_equal(env.action_masks(), info["action_mask"])
        assert env.action_masks().all()


def test_masks_and_observations_handed_out_are_the_callers_own() -> None:
    env = stub_env()
    observation, info = env.reset(seed=0)
    env.action_masks()[:] = False
    info["action_mask"][:] = 0
    observation[:] = 9
    assert env.action_masks()[:2].all()
    observation, *_ = env.step(1)
    assert observation.tolist() == [2, *[0] * 19]
    env.step(1)
    assert observation.tolist() == [2, *[0] * 19]


@two_search_spaces
def test_the_observation_is_the_choices_plus_one(search_space: SearchSpace) -> None:
    env = stub_env(search_space)
    choices = search_space.sample(np.random.default_rng(2))
    observation, _ = env.reset(seed=0)
    assert observation.tolist() == [0] * len(choices)
    for step, choice in enumerate(choices, start=1):
        observation, *_ = env.step(choice)
        assert observation in env.observation_space
        assert observation.tolist() == [*(choices[:step] + 1), *[0] * (len(choices) - step)]


@two_search_spaces
def test_invalid_actions_are_resolved_and_flagged(search_space: SearchSpace) -> None:
    env = stub_env(search_space)
    flags = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        env.reset()
        for step in range(len(search_space.decisions)):
            action = int(rng.integers(search_space.num_actions))
            valid = np.flatnonzero(env.action_masks())
            observation, _, _, _, info = env.step(action)
            expected = action if action in valid else valid[action % len(valid)]
            assert observation[step] == expected + 1
            assert info["invalid_action"] is (action not in valid)
            flags.append(info["invalid_action"])
    assert 0.1 < np.mean(flags) < 0.9


@pytest.mark.parametrize("action", [np.int64(1), np.array(1), np.int32(1), True])
def test_actions_of_any_integer_type_mean_the_same(action: Any) -> None:
    env = stub_env()
    env.reset(seed=0)
    assert env.step(action)[0][0] == 2


def test_the_reward_comes_at_the_end_only() -> None:
    env = stub_env()
    for seed in range(3):
        *early, last = play(env, seed)[1:]
        assert [(reward, terminated) for *_, reward, terminated in early] == [(0.0, False)] * 19
        assert last[-1] is True
        assert 0 < last[-2] < 1
        assert isinstance(last[-2], float)


def test_the_end_tells_the_architecture_and_its_evaluation() -> None:
    env, search_space = stub_env(), NASNetSearchSpace(2)
    choices = search_space.sample(np.random.default_rng(4))
    env.reset(seed=0)
    for step, choice in enumerate(choices, start=1):
        _, reward, _, _, info = env.step(choice)
        assert ("architecture" in info) == ("evaluation" in info) == (step == 20)
    architecture = Architecture.from_json(info["architecture"])
    assert architecture == search_space.decode(choices)
    assert set(info["evaluation"]) == EVALUATION_FIELDS
    assert json.loads(json.dumps(info["evaluation"])) == info["evaluation"]
    [expected] = StubEvaluator().evaluate([architecture])
    assert info["evaluation"] == expected.outcome()
    assert env.finished == (info["architecture"], expected)
    assert reward == expected.accuracy


@two_search_spaces
def test_one_hot_codes_say_what_the_choices_do(search_space: SearchSpace) -> None:
    env, single = stub_env(search_space, observation="one-hot"), stub_env(search_space)
    sizes = [number + 1 for number in search_space.num_choices]
    codes, plain = env.reset(seed=0)[0], single.reset(seed=0)[0]
    for step in range(len(sizes) + 1):
        assert codes.dtype == np.float32
        parts = np.split(codes, np.cumsum(sizes)[:-1])
        assert [part.sum() for part in parts] == [1] * len(sizes)
        assert [int(part.argmax()) for part in parts] == plain.tolist()
        if step < len(sizes):
            codes, plain = env.step(1)[0], single.step(1)[0]
    check_env(env, skip_render_check=True)


def test_info_of_numbers_has_no_texts_and_records() -> None:
    env, single = stub_env(info="numbers"), stub_env()
    for each in (env, single):
        each.reset(seed=0)
    for _ in range(20):
        info, told = env.step(0)[-1], single.step(0)[-1]
    assert set(info) == {*told, *NUMBERS[:1], "parameters", "multiply_adds"} - {
        "architecture",
        "evaluation",
    }
    for name in ("accuracy", "parameters", "multiply_adds"):
        assert info[name] == told["evaluation"][name]
    check_env(env, skip_render_check=True)


@pytest.mark.parametrize("name", ["observation", "info"])
def test_forms_that_are_not_known_are_refused(name: str) -> None:
    wrong: dict[str, Any] = {name: "x"}
    with pytest.raises(InvalidSettings, match=f"{name}: 'x' is not known; valid choices: "):
        stub_env(**wrong)


def test_a_known_network_is_not_evaluated_again() -> None:
    env = stub_env()
    rewards_of_two = []
    for cached in (False, True):
        env.reset(seed=0)
        for _ in range(20):
            _, reward, *_ = env.step(0)
        assert env.finished is not None
        assert env.finished.evaluation.cached is cached
        rewards_of_two.append(reward)
    assert rewards_of_two[0] == rewards_of_two[1]
    assert (env.budget.asked, env.budget.made) == (2, 1)


@pytest.mark.parametrize("reward", ["accuracy", "nas"])
@pytest.mark.parametrize("status", [status for status in get_args(Status) if status != "ok"])
def test_a_child_that_failed_is_worth_0(status: Status, reward: str) -> None:
    env = NASEnv(NASNetSearchSpace(1), StubEvaluator(status), reward)
    *_, last = play(env, seed=0)
    assert last[-2] == 0.0


def test_the_reward_is_any_function_of_the_evaluation() -> None:
    def parameters_too(evaluation: Evaluation) -> float:
        return evaluation.accuracy - (evaluation.parameters or 0)

    *_, plain = play(stub_env(), seed=0)
    *_, custom = play(stub_env(reward=parameters_too), seed=0)
    *_, cubed = play(stub_env(reward=rewards.best_of_last_five_cubed), seed=0)
    assert custom[-2] == plain[-2] - 10
    assert cubed[-2] == max(0.25, plain[-2]) ** 3


def test_a_step_after_the_end_needs_a_reset() -> None:
    env = stub_env(NASNetSearchSpace(1))
    play(env, seed=0)
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\)"):
        env.step(0)
    observation, _ = env.reset()
    assert not observation.any()
    env.step(0)


def test_before_the_first_reset_nothing_is_decided_and_nothing_can_be() -> None:
    env = stub_env(LayersSearchSpace(), render_mode="ansi")
    drawn, masks = env.render(), env.action_masks()
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) first"):
        env.step(1)
    env.reset(seed=0)
    assert drawn == env.render()
    assert masks.tolist() == env.action_masks().tolist()


def test_reset_in_the_middle_starts_anew() -> None:
    env = stub_env(LayersSearchSpace())
    env.reset(seed=0)
    env.step(0)
    env.step(1)
    observation, info = env.reset()
    assert not observation.any()
    assert info["action_mask"].tolist() == [1, 1, 1, 0]
    assert env.step(2)[0].tolist() == [3, 0, 0, 0]


def test_ansi_shows_what_is_decided() -> None:
    env = stub_env(render_mode="ansi")
    env.reset(seed=0)
    for _ in range(5):
        env.step(1)
    text = env.render()
    assert text.startswith("NASNet: 5 of 20 decisions, next: normal/block_2/hidden_1\n")
    assert "block_1 = 1x3 then 3x1 convolution of h_{i-1}" in text


def test_rgb_array_shows_what_is_decided() -> None:
    env = stub_env(NASNetSearchSpace(1), render_mode="rgb_array")
    env.reset(seed=0)
    before = env.render()
    for _ in range(5):
        env.step(1)
    after = env.render()
    assert before.shape == after.shape
    assert before.dtype == after.dtype == np.uint8
    assert (before != after).any()


def test_human_shows_every_step_in_a_window() -> None:
    pygame = pytest.importorskip("pygame")
    env = stub_env(NASNetSearchSpace(1), render_mode="human")
    env.metadata = {**env.metadata, "render_fps": 1000}
    env.reset(seed=0)
    shown = [pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)]
    for _ in range(10):
        env.step(0)
    shown.append(pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1))
    expected = stub_env(NASNetSearchSpace(1), render_mode="rgb_array")
    expected.reset(seed=0)
    np.testing.assert_array_equal(shown[0], expected.render())
    for _ in range(10):
        expected.step(0)
    np.testing.assert_array_equal(shown[1], expected.render())
    assert env.render() is None
    env.close()
    assert not pygame.display.get_init()
    env.close()


def test_render_without_a_mode_warns() -> None:
    env = stub_env()
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="without a render_mode"):
        assert env.render() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epoch": 3}, "unexpected keyword argument 'epoch' .* did you mean 'epochs'"),
        ({"network": None}, "unexpected keyword argument 'network'"),
        ({"dataset": "digit"}, "dataset: 'digit' .* did you mean 'digits'"),
        ({"dataset": "/no/such.npz"}, "dataset: /no/such.npz cannot be read"),
        ({"dataset": 5}, "dataset: .*5"),
        ({"image_size": 0}, "image_size: .* got 0"),
        ({"reward": "acc"}, "reward: 'acc' is not known"),
        ({"reward": ["accuracy"]}, "reward: .*accuracy"),
        ({"device": "gpu"}, "device: 'gpu' cannot be used"),
        ({"device": "cuda:99"}, "device: 'cuda:99' cannot be used"),
        ({"device": "meta"}, "device: 'meta' cannot be used"),
        ({"device": None}, "device: .*None"),
        ({"device": 7}, "device: .*7"),
        ({"image_size": "x"}, "image_size: .*'x'"),
        ({"reward": 3}, "reward: 3 is not known"),
        ({"workers": 0}, "workers: .* got 0"),
        ({"store": 1}, "store: .* got 1"),
        ({"repeats": 1.5}, "repeats: .* got 1.5"),
        ({"blocks": 0}, "blocks: .* got 0"),
        ({"operations": ["3x3 max poling"]}, "operations: '3x3 max poling'"),
        ({"operations": "identity"}, "operations: expected a list"),
        ({"combines": []}, "combines: the list is empty"),
        ({"cells": 0}, "cells: .* got 0"),
        ({"filters": "8"}, "filters: .* got '8'"),
        ({"stem": "cifar10"}, "stem: .*'cifar10'"),
        ({"drop_path_keep": 0}, "drop_path_keep: .* got 0"),
        ({"epochs": 0}, "epochs: .* got 0"),
        ({"epochs": 1.5}, "epochs: .* got 1.5"),
        ({"batch_size": 1}, "batch_size: .* got 1"),
        ({"learning_rate": "fast"}, "learning_rate: .* got 'fast'"),
        ({"learning_rate": None}, "learning_rate: .* got None"),
        ({"learning_rate": -0.1}, "learning_rate: .* got -0.1"),
        ({"momentum": 1.0}, "momentum: .* got 1.0"),
        ({"momentum": None}, "momentum: .* got None"),
        ({"weight_decay": float("nan")}, "weight_decay: .* got nan"),
        ({"label_smoothing": 1}, "label_smoothing: .* got 1"),
        ({"crop_padding": -1}, "crop_padding: .* got -1"),
        ({"precision": "float64"}, "precision: .*'float64'"),
        ({"training_seed": -1}, "seed: .* got -1"),
        ({"training_seed": None}, "seed: .* got None"),
        ({"seed": 1}, "seed: the seed of children's training is 'training_seed'"),
    ],
)
def test_mistakes_are_refused_when_the_environment_is_made(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(NASGymError, match=message):
        make("nas_gym/NASNet-v0", **arguments)


QUICK: dict[str, Any] = {
    "blocks": 1,
    "epochs": 1,
    "cells": 1,
    "filters": 2,
    "batch_size": 256,
    "device": "cpu",
}
LATENCY = {"warmup": 0, "repeats": 2}


@pytest.mark.parametrize("cost", ["latency", "parameters", "multiply_adds"])
def test_a_reward_of_accuracy_and_cost(cost: str) -> None:
    reward = {"name": "mnasnet", "target": 1e-9, "cost": cost, "beta": -0.1}
    env = gym.make("nas_gym/NASNet-v0", reward=reward, latency=LATENCY, **QUICK)
    assert env.spec is not None
    assert json.loads(env.spec.to_json())["kwargs"]["reward"] == reward
    env.reset(seed=0)
    terminated = False
    while not terminated:
        _, value, terminated, _, info = env.step(0)
    evaluation = info["evaluation"]
    assert evaluation["accuracy"] > 0
    assert value == pytest.approx(evaluation["accuracy"] * (evaluation[cost] / 1e-9) ** -0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"reward": {"name": "mnasnet", "target": 1}}, r"needs latency, .* latency=\{\}"),
        ({"reward": "mnasnet"}, "'target' is missing"),
        ({"latency": True}, "latency: .* got True"),
        ({"latency": {"repeat": 1}}, "latency: 'repeat' is not known; did you mean 'repeats'"),
        ({"latency": {"repeats": 0}}, "latency: repeats: .* got 0"),
        ({"latency": {"device": "cuda:99"}}, "device: 'cuda:99' cannot be used"),
    ],
)
def test_costs_that_will_not_be_measured_are_refused_when_the_environment_is_made(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(NASGymError, match=message):
        gym.make("nas_gym/NASNet-v0", **{**QUICK, **arguments})


def test_an_unknown_render_mode_is_refused() -> None:
    with (
        pytest.warns(UserWarning, match="render_mode='svg' that is not in the possible"),
        pytest.raises(NASGymError, match=r"render_mode: 'svg' is not known; .*'rgb_array'"),
    ):
        make("nas_gym/NASNet-v0", render_mode="svg")
    with pytest.raises(NASGymError, match="'rgb-array' is not known; did you mean 'rgb_array'"):
        stub_env(render_mode="rgb-array")


def test_arguments_reach_the_environment() -> None:
    env = make(
        "nas_gym/NASNet-v0", blocks=2, operations=["identity", "1x1 convolution"], image_size=6
    )
    assert env.observation_space.shape == (20,)
    assert env.action_space == gym.spaces.Discrete(3)


def test_keyword_arguments_are_plain_data() -> None:
    env = make("nas_gym/NASNet-v0")
    assert env.spec is not None
    assert gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json())).spec == env.spec


def test_the_module_prefix_registers_in_a_fresh_process() -> None:
    program = (
        "import sys, gymnasium as gym\n"
        "assert 'nas_gym' not in sys.modules\n"
        "env = gym.make('nas_gym:nas_gym/NASNet-v0', blocks=1, device='cpu')\n"
        "print(env.spec.id, env.reset(seed=0)[0].tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"nas_gym/NASNet-v0 {[0] * 10}\n"


def test_public_names_exist() -> None:
    for name in nas_gym.__all__:
        assert hasattr(nas_gym, name)


def test_a_search_space_grows_with_the_evaluations_asked_for() -> None:
    search_space = NASSearchSpace(4, depth_schedule=(2, 1, 2))
    env = stub_env(search_space, render_mode="ansi")
    depths, drawn = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        env.reset(seed=seed)
        for _ in search_space.decisions:
            _, _, _, _, info = env.step(rng.integers(4))
        depths.append(len(json.loads(info["architecture"])["layers"]))
        drawn.append(env.render().count("conv"))
    assert depths == drawn == [2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize(
    ("sizes", "dtype"),
    [
        ((126,), np.int8),  # with one value for "not decided yet": 127
        ((127,), np.int16),
        ((128,), np.int16),
        ((100, 26), np.int16),
        ((32_766,), np.int16),
        ((32_767,), np.int32),
    ],
)
def test_the_sum_of_the_sizes_fits_the_observations(sizes: tuple[int, ...], dtype: Any) -> None:
    decisions = [
        Decision(f"d{number}", tuple(map(str, range(size)))) for number, size in enumerate(sizes)
    ]
    space = PartialArchitectures(decisions)
    assert space.dtype == dtype
    assert int(np.sum(space.nvec.astype(dtype), dtype=dtype)) == sum(sizes) + len(sizes)
    assert get_flattened_obs_dim(space) == sum(sizes) + len(sizes)


def test_ppo_takes_sizes_that_sum_to_128() -> None:
    class Wide(SearchSpace):
        def __init__(self) -> None:
            super().__init__("wide", [Decision("a", tuple(map(str, range(127))))])

        def decode(self, choices: Any) -> CustomArchitecture:
            raise NotImplementedError

        def encode(self, architecture: Architecture) -> Any:
            raise NotImplementedError

    PPO("MlpPolicy", NASEnv(Wide(), StubEvaluator()), n_steps=2, batch_size=2, device="cpu")


@pytest.mark.parametrize(
    "action",
    ["2", 1.9, None, np.array([1]), np.array(1.0), 10**30, -1, np.int64(13), [1], nested(3_000)],
)
def test_an_action_outside_the_space_is_refused(action: Any) -> None:
    env = stub_env()
    env.reset(seed=0)
    with pytest.raises(gym.error.InvalidAction, match="action: expected an integer from 0 "):
        env.step(action)
    env.step(0)


@pytest.mark.parametrize("render_mode", [0, 1.5, ["ansi"], b"ansi"])
def test_a_render_mode_of_another_type_is_refused(render_mode: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"render_mode: .* is not known"):
        stub_env(render_mode=render_mode)


def test_under_a_depth_schedule_each_stage_has_its_own_reward() -> None:
    space = NASSearchSpace(3, depth_schedule=(1, 1, 1))
    env = NASEnv(space, StubEvaluator())
    architectures, rewards_of_stages = [], []
    for _ in range(3):
        env.reset()
        terminated = False
        while not terminated:
            _, reward, terminated, _, info = env.step(0)
        architectures.append(info["architecture"])
        rewards_of_stages.append(reward)
        [expected] = StubEvaluator().evaluate([Architecture.from_json(info["architecture"])])
        assert reward == expected.accuracy
    assert len(set(architectures)) == len(set(rewards_of_stages)) == 3
    assert env.budget.made == 3


def test_a_reward_that_was_changed_is_the_reward() -> None:
    env = stub_env(NASNetSearchSpace(1))
    first = play(env, seed=0)[-1][-2]
    env.reward = lambda evaluation: evaluation.accuracy + 1
    assert play(env, seed=0)[-1][-2] == first + 1


def test_episodes_start_from_a_prefix() -> None:
    env = stub_env(LayersSearchSpace())
    observation, info = env.reset(options={"choices": [1, 2]})
    assert observation.tolist() == [2, 3, 0, 0]
    assert info["action_mask"].tolist() == [0, 1, 1, 1]
    env.step(1)
    observation, _, terminated, _, _ = env.step(0)
    assert observation.tolist() == [2, 3, 2, 1]
    assert terminated
    assert env.reset(options={})[0].tolist() == [0] * 4


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"choice": [1]}, InvalidSettings, "'choice' is not known; did you mean 'choices'"),
        ({"choices": [1, 2, 3, 0]}, InvalidSettings, "up to 3 integers"),
        ({"choices": "12"}, InvalidSettings, "up to 3 integers, got '12'"),
        ({"choices": [0.5]}, InvalidSettings, "up to 3 integers"),
        ({"choices": [[1, 2], [3]]}, InvalidSettings, "up to 3 integers"),
        ({"choices": nested(3_000)}, InvalidSettings, "up to 3 integers"),
        (3, InvalidSettings, "options: expected a mapping of 'choices', got 3"),
        ({"choices": [0, 1, 2]}, InvalidArchitecture, r"choices\[2\] .* 2 is not valid here"),
        ({"choices": [-1]}, InvalidArchitecture, r"choices\[0\] \(depth\): -1 is not valid"),
    ],
)
def test_a_prefix_that_is_wrong_is_refused(options: Any, error: type[Exception], says: str) -> None:
    env = stub_env(LayersSearchSpace())
    with pytest.raises(error, match=says):
        env.reset(options=options)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copy_in_the_middle_of_an_episode_goes_on_alone(duplicate: Any) -> None:
    env = stub_env(LayersSearchSpace())
    env.reset(seed=0)
    env.step(2)
    copied = duplicate(env)
    assert env.step(1)[0].tolist() == [3, 2, 0, 0]
    assert copied.step(3)[0].tolist() == [3, 4, 0, 0]
    assert env.step(1)[0].tolist() == [3, 2, 2, 0]
    assert copied.action_space is not env.action_space
    assert copied.search_space.decisions == env.search_space.decisions


def test_what_holds_an_environment_twice_holds_its_copy_twice() -> None:
    env: Any = stub_env(LayersSearchSpace())
    env.holder = [env, env]
    env.reset(seed=0)
    holder, copied = copy.deepcopy([env.holder, env])
    assert holder[0] is holder[1] is copied is not env
    assert copied.holder is holder
    assert copied.search_space is env.search_space


def test_a_deep_copy_shares_the_memory_and_a_pickle_carries_it() -> None:
    for evaluator in (StubEvaluator(), RecordedStub(NASBench201SearchSpace())):
        env = NASEnv(NASBench201SearchSpace(), evaluator)
        play(env, seed=0)
        shared, carried = copy.deepcopy(env), pickle.loads(pickle.dumps(env))
        assert shared.memory is env.memory
        assert shared.search_space is env.search_space
        assert isinstance(carried.memory, Memory)
        play(carried, seed=0)
        assert (carried.budget.asked, carried.budget.made) == (2, 1)
        assert (env.budget.asked, env.budget.made) == (1, 1)
        play(shared, seed=0)
        assert (env.budget.asked, env.budget.made) == (2, 1)


def test_a_reward_that_a_benchmark_cannot_give_is_refused_when_it_is_made() -> None:
    with pytest.raises(InvalidSettings, match=r"needs latency, .*'parameters'") as caught:
        gym.make("nas_gym/TinyBench-v0", reward={"name": "mnasnet", "target": 1.0})
    assert "latency={}" in str(caught.value)
    recorded = RecordedStub(NASBench201SearchSpace())
    latency = np.where(recorded.columns["accuracy"] > 0, 0.5, np.nan)
    recorded.columns["latency"] = latency
    NASEnv(NASBench201SearchSpace(), recorded, {"name": "mnasnet", "target": 1.0})
    recorded.columns["latency"] = np.full(len(latency), np.nan)
    with pytest.raises(InvalidSettings, match="needs latency"):
        NASEnv(NASBench201SearchSpace(), recorded, {"name": "mnasnet", "target": 1.0})


def test_an_argument_of_both_the_search_space_and_the_training_is_refused() -> None:
    class Ambiguous(NASNetSearchSpace):
        def __init__(self, epochs: int = 3) -> None:
            super().__init__(1)

    class AmbiguousEnv(FamilyEnv):
        """Its search space has `epochs`, and so has the training."""

        search_space_type = Ambiguous
        network_settings_type = CellNetworkSettings

    with pytest.raises(InvalidSettings, match="epochs: search space and training of AmbiguousEnv"):
        AmbiguousEnv(epochs=2)
