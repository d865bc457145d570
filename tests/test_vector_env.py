"""`NASVectorEnv`: the same as N single environments, as arrays."""

import copy
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv
from hypothesis import given, settings
from hypothesis import strategies as st

import nas_gym
from nas_gym import NASBench201SearchSpace, NASEnv, NASNetSearchSpace, NASVectorEnv, SearchSpace
from nas_gym.envs import vectorized as vectorized_module
from nas_gym.errors import NASGymError
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.evaluation.evaluator import Evaluator
from nas_gym.evaluation.memory import Memory
from nas_gym.wrappers import ContinuousAction
from tests.helpers import LayersArchitecture, LayersSearchSpace, RecordedStub, StubEvaluator, nested
from tests.test_env import CHEAP, IDS

SEARCH_SPACES = {
    "NASNet": NASNetSearchSpace(1),
    "NASBench201": NASBench201SearchSpace(),
    "conditional": LayersSearchSpace(),
}
every_mode = pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
every_search_space = pytest.mark.parametrize("name", SEARCH_SPACES)
EVALUATORS: dict[str, Callable[[SearchSpace], Evaluator]] = {
    "recorded": RecordedStub,
    "one by one": lambda search_space: StubEvaluator(),
}


def vector_env(name: str, num_envs: int = 3, **arguments: Any) -> NASVectorEnv:
    return NASVectorEnv(SEARCH_SPACES[name], StubEvaluator(), num_envs, **arguments)


def finished(env: NASVectorEnv, actions: int = 0) -> tuple[Any, ...]:
    """What the step of the last decision gives, in new episodes."""
    env.reset()
    for _ in range(env.decisions):
        step = env.step(np.full(env.num_envs, actions))
    return step


def singles(env: NASVectorEnv, search_space: SearchSpace, evaluator: Evaluator) -> list[NASEnv]:
    shared = Memory(evaluator)
    return [NASEnv(search_space, shared, env.reward) for _ in range(env.num_envs)]


@settings(max_examples=20)
@given(
    name=st.sampled_from(sorted(SEARCH_SPACES)),
    kind=st.sampled_from(sorted(EVALUATORS)),
    num_envs=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
    reward=st.sampled_from(["accuracy", "nas", lambda evaluation: evaluation.seconds]),
)
def test_the_trajectories_are_those_of_single_environments(
    name: str, kind: str, num_envs: int, seed: int, reward: Any
) -> None:
    search_space, evaluator = SEARCH_SPACES[name], EVALUATORS[kind]
    env = NASVectorEnv(
        search_space, evaluator(search_space), num_envs, reward, autoreset_mode="SameStep"
    )
    others = singles(env, search_space, evaluator(search_space))
    compare(env, others, seed, episodes=3)
    assert env.budget == others[0].budget


@pytest.mark.parametrize("env_id", IDS)
def test_every_registered_environment_is_its_single_ones(env_id: str) -> None:
    env = gym.make_vec(env_id, num_envs=2, autoreset_mode="SameStep", **CHEAP[env_id])
    assert isinstance(env, NASVectorEnv)
    single = gym.make(env_id, **CHEAP[env_id]).unwrapped
    assert isinstance(single, NASEnv)
    others = singles(env, single.search_space, single.memory.evaluator)
    compare(env, others, seed=5, episodes=1)


def compare(env: NASVectorEnv, others: list[NASEnv], seed: int, episodes: int) -> None:
    """Takes the same random actions, valid or not, in both, and compares all that comes out."""
    rng = np.random.default_rng(seed)
    observations, info = env.reset(seed=seed)
    same_starts(env, observations, info, [other.reset(seed=seed) for other in others])
    for step in range(1, episodes * env.decisions + 1):
        actions = rng.integers(env.single_action_space.n, size=env.num_envs)  # type: ignore[attr-defined]
        observations, rewards, ended, truncated, info = env.step(actions)
        steps = [other.step(action) for other, action in zip(others, actions, strict=True)]
        assert rewards.tolist() == [one[1] for one in steps]
        assert (
            ended.tolist() == [one[2] for one in steps] == [step % env.decisions == 0] * len(ended)
        )
        assert not truncated.any()
        seen, told = observations, info
        if ended.all():
            seen, told = info["final_obs"], info["final_info"]
            same_results(env, told, [one[4] for one in steps])
            starts = [other.reset() for other in others]
            same_starts(env, observations, info, starts)
        np.testing.assert_array_equal(seen, [one[0] for one in steps])
        for key in ("action_mask", "invalid_action"):
            np.testing.assert_array_equal(told[key], [one[4][key] for one in steps])
            assert told[f"_{key}"].all()
        np.testing.assert_array_equal(env.action_masks(), [o.action_masks() for o in others])


def same_starts(env: NASVectorEnv, observations: Any, info: Any, starts: list[Any]) -> None:
    np.testing.assert_array_equal(observations, [start[0] for start in starts])
    np.testing.assert_array_equal(
        info["action_mask"], [start[1]["action_mask"] for start in starts]
    )
    assert observations in env.observation_space
    assert observations[0] in env.single_observation_space


def same_results(env: NASVectorEnv, told: dict[str, Any], infos: list[dict[str, Any]]) -> None:
    """The arrays say what the single environments' texts and records say."""
    decoded = [env.search_space.decode(choices).to_json() for choices in told["choices"]]
    assert decoded == [info["architecture"] for info in infos]
    for name in ("accuracy", "status", "parameters"):
        assert told[name].tolist() == [info["evaluation"][name] for info in infos]
        assert told[f"_{name}"].all()


@every_search_space
def test_spaces(name: str) -> None:
    env, single = vector_env(name), NASEnv(SEARCH_SPACES[name], StubEvaluator())
    assert env.single_observation_space == single.observation_space
    assert env.single_action_space == single.action_space
    expected = SyncVectorEnv([lambda: NASEnv(SEARCH_SPACES[name], StubEvaluator())] * 3)
    assert env.observation_space == expected.observation_space
    assert env.action_space == expected.action_space


@every_search_space
def test_next_step_agrees_with_gymnasiums_own_vector_environment(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    env = vector_env(name)
    theirs = SyncVectorEnv([lambda: NASEnv(search_space, StubEvaluator())] * 3)
    assert env.metadata["autoreset_mode"] == theirs.metadata["autoreset_mode"]
    env.action_space.seed(0)
    for ours, their in zip(env.reset(seed=1), theirs.reset(seed=1), strict=True):
        np.testing.assert_equal(ours, their)
    for step in range(1, 3 * (env.decisions + 1) + 1):
        actions = env.action_space.sample()
        *ours, info = env.step(actions)
        *their, their_info = theirs.step(actions)
        for one, other in zip(ours, their, strict=True):
            np.testing.assert_array_equal(one, other)
        at_reset = step % (env.decisions + 1) == 0
        assert ours[2].all() == (step % (env.decisions + 1) == env.decisions)
        for key in ("action_mask", "_action_mask", "invalid_action", "_invalid_action"):
            assert (key in info) == (key in their_info) == (not at_reset or "action" in key[-12:-5])
            if key in info:
                np.testing.assert_array_equal(info[key], their_info[key])


@every_search_space
def test_same_step_agrees_with_gymnasiums_own_vector_environment(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    env = vector_env(name, autoreset_mode="SameStep")
    theirs = SyncVectorEnv(
        [lambda: NASEnv(search_space, StubEvaluator())] * 3,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    env.action_space.seed(0)
    env.reset(seed=1)
    theirs.reset(seed=1)
    for _ in range(2 * env.decisions):
        actions = env.action_space.sample()
        *ours, info = env.step(actions)
        *their, their_info = theirs.step(actions)
        for one, other in zip(ours, their, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(info["action_mask"], their_info["action_mask"])
        assert ("final_obs" in info) == ("final_obs" in their_info) == bool(ours[2].any())
        if "final_obs" in info:
            np.testing.assert_array_equal(info["final_obs"], np.stack(their_info["final_obs"]))
            final, their_final = info["final_info"], their_info["final_info"]
            np.testing.assert_array_equal(final["invalid_action"], their_final["invalid_action"])
            np.testing.assert_array_equal(info["_final_obs"], their_info["_final_obs"])
            np.testing.assert_array_equal(info["_final_info"], their_info["_final_info"])


@every_mode
def test_gymnasiums_wrappers_count_episodes(mode: str) -> None:
    env = vector_env("NASBench201", autoreset_mode=mode)
    counted = gym.wrappers.vector.RecordEpisodeStatistics(env)
    counted.reset()
    for step in range(1, 7):
        _, rewards, _, _, info = counted.step(np.zeros(3, dtype=np.int64))
        assert ("episode" in info) == (step == 6)
    assert info["episode"]["l"].tolist() == [6, 6, 6]
    np.testing.assert_allclose(info["episode"]["r"], rewards)


def test_results_are_one_dictionary_an_episode_for_gymnasiums_wrapper() -> None:
    env = gym.wrappers.vector.DictInfoToList(vector_env("NASBench201"))
    env.reset()
    for step in range(1, 7):
        *_, infos = env.step(np.zeros(3, dtype=np.int64))
        assert len(infos) == 3
        assert all(("accuracy" in info) == (step == 6) for info in infos)
    assert [info["status"] for info in infos] == ["ok"] * 3
    assert [info["choices"].tolist() for info in infos] == [[0] * 6] * 3


def test_n_finished_architectures_are_one_batch() -> None:
    stub = StubEvaluator()
    env = NASVectorEnv(NASBench201SearchSpace(), stub, 4)
    env.reset()
    for _ in range(6):
        env.step(np.arange(4))
    assert [len(batch) for batch in stub.asked] == [4]
    assert (env.budget.asked, env.budget.made) == (4, 4)
    *_, info = finished(env, actions=2)
    assert env.finished is not None
    assert env.finished.columns["cached"].tolist() == [True] * 4
    assert not {"cached", "seconds"} & set(info)
    assert (env.budget.asked, env.budget.made) == (8, 4)


def test_the_stage_follows_the_number_of_finished_architectures() -> None:
    class Growing(LayersSearchSpace):
        def stage(self, samples: int) -> SearchSpace:
            return SEARCH_SPACES["conditional"] if samples >= 4 else Shallow()

    class Shallow(LayersSearchSpace):
        def valid_choices(self, prefix: Any) -> Any:
            return (
                super().valid_choices(prefix)
                & (np.arange(4) < (1 if len(prefix) == 0 else 4))[: self.num_choices[len(prefix)]]
            )

    env = NASVectorEnv(Growing(), StubEvaluator(), 2)
    depths = [finished(env, actions=2)[-1]["choices"][:, 0].tolist() for _ in range(3)]
    assert depths == [[0, 0], [0, 0], [2, 2]]


def test_what_is_handed_out_is_the_callers_own() -> None:
    env = vector_env("NASBench201")
    observations, info = env.reset()
    observations[:] = 9
    info["action_mask"][:] = 0
    env.action_masks()[:] = False
    after, *_ = env.step(np.ones(3, dtype=np.int64))
    assert env.action_masks().all()
    assert after.tolist() == [[2, 0, 0, 0, 0, 0]] * 3
    env.step(np.ones(3, dtype=np.int64))
    assert after.tolist() == [[2, 0, 0, 0, 0, 0]] * 3
    *_, first = finished(env, actions=1)
    finished(env, actions=2)
    assert first["choices"].tolist() == [[1] * 6] * 3


def test_a_step_needs_a_reset_and_the_right_actions() -> None:
    env = vector_env("NASNet")
    with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\) first"):
        env.step(np.zeros(3, dtype=np.int64))
    env.reset()
    for wrong in ([0, 0], [[0, 0, 0]], [0.0, 0.0, 0.0], 0):
        with pytest.raises(gym.error.InvalidAction, match=r"expected integers of shape \(3,\)"):
            env.step(np.array(wrong))
    env.step([0, 1, True])  # type: ignore[arg-type]
    with pytest.raises(gym.error.Error, match="Seed must be a python integer"):
        env.reset(seed=np.int64(1))  # type: ignore[arg-type]
    with pytest.raises(gym.error.Error, match="lock-step"):
        env.reset(options={"reset_mask": np.array([True, False, True])})
    assert not env.reset(options={"reset_mask": np.ones(3, dtype=bool)})[0].any()


@every_mode
def test_an_interrupted_evaluation_leaves_no_next_step(mode: str) -> None:
    class Interrupted(StubEvaluator):
        def evaluate(self, architectures: Any) -> list[Evaluation]:
            raise KeyboardInterrupt

    env = NASVectorEnv(NASBench201SearchSpace(), Interrupted(), 2, autoreset_mode=mode)
    actions = np.zeros(2, dtype=np.int64)
    env.reset()
    for _ in range(env.decisions - 1):
        env.step(actions)
    with pytest.raises(KeyboardInterrupt):
        env.step(actions)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(actions)
    env.reset()
    env.step(actions)


def test_rendering_shows_every_episode() -> None:
    env = vector_env("NASNet", render_mode="ansi")
    env.reset()
    env.step(np.array([0, 1, 0]))
    texts = env.render()
    assert texts is not None
    assert [text.splitlines()[0] for text in texts] == [
        "NASNet: 1 of 10 decisions, next: normal/block_1/hidden_2"
    ] * 3
    env = vector_env("NASBench201", render_mode="rgb_array")
    env.reset()
    env.step(np.array([0, 1, 2]))
    pictures = env.render()
    assert pictures is not None
    assert [picture.dtype for picture in pictures] == [np.uint8] * 3
    assert (pictures[0] != pictures[1]).any()
    silent = vector_env("NASNet")
    with pytest.warns(UserWarning, match="without a render_mode"):
        assert silent.render() is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs: .* got 0"),
        ({"num_envs": 10**9}, "num_envs: expected an integer from 1 to 1,048,576, got 1000000000"),
        ({"num_envs": 10**20}, "num_envs: "),
        ({"num_envs": True}, "num_envs: .* got True"),
        ({"num_envs": "3"}, "num_envs: .* got '3'"),
        ({"num_envs": 2.0}, r"num_envs: .* got 2\.0"),
        ({"num_envs": nested(3_000)}, r"num_envs: .* got \[\["),
        ({"limits": {"ask": 3}}, "limits: 'ask' is not known; did you mean 'asked'"),
        ({"limits": {}}, "limits: give at least one of asked, made, seconds"),
        ({"reward": "acc"}, "reward: 'acc' is not known"),
        ({"render_mode": "human"}, "render_mode: 'human' is not known"),
        ({"autoreset_mode": "Never"}, "autoreset_mode: 'Never' .*'NextStep', 'SameStep'"),
        ({"autoreset_mode": None}, "autoreset_mode: None"),
    ],
)
def test_mistakes_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(NASGymError, match=message):
        vector_env("NASNet", **arguments)


def test_a_recorded_benchmark_of_another_search_space_is_refused() -> None:
    recorded = RecordedStub(NASBench201SearchSpace())
    for env_type in (NASEnv, NASVectorEnv):
        with pytest.raises(NASGymError, match="not of <NASNet: 10 decisions>'s decisions"):
            env_type(NASNetSearchSpace(1), recorded)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_gymnasiums_own_vectorization_works_too(mode: str) -> None:
    env_id = "nas_gym/NASBench201-v0"
    env = gym.make_vec(env_id, num_envs=2, vectorization_mode=mode, **CHEAP[env_id])
    env.reset(seed=0)
    for _ in range(6):
        _, rewards, ended, _, _ = env.step(np.array([3, 1]))
    assert ended.all()
    assert ((rewards > 0) & (rewards < 1)).all()
    env.close()


def test_make_vec_passes_arguments_and_keeps_the_spec() -> None:
    env = gym.make_vec(
        "nas_gym/NASNet-v0", num_envs=2, render_mode="ansi", **CHEAP["nas_gym/NASNet-v0"]
    )
    assert isinstance(env, NASVectorEnv)
    assert (env.num_envs, env.decisions, env.render_mode) == (2, 10, "ansi")
    assert env.spec is not None
    again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert (again.num_envs, again.spec) == (2, env.spec)
    with pytest.raises(NASGymError, match="unexpected keyword argument 'epoch'"):
        gym.make_vec("nas_gym/NASNet-v0", epoch=2)


def test_rewards_of_ones_own_are_asked_for_each_evaluation() -> None:
    def parameters(evaluation: Evaluation) -> float:
        return -float(evaluation.parameters or 0)

    env = NASVectorEnv(
        NASBench201SearchSpace(), RecordedStub(NASBench201SearchSpace()), 2, parameters
    )
    _, rewards, *_ = finished(env, actions=1)
    assert rewards.tolist() == [-60.0, -60.0]


@every_search_space
def test_disabled_agrees_with_gymnasiums_own_vector_environment(name: str) -> None:
    search_space, mode = SEARCH_SPACES[name], AutoresetMode.DISABLED
    env = vector_env(name, autoreset_mode=mode)
    assert env.metadata["autoreset_mode"] is mode
    singles = [lambda: NASEnv(search_space, StubEvaluator())] * 3
    theirs = SyncVectorEnv(singles, autoreset_mode=mode)
    env.action_space.seed(0)
    all_of_them = np.ones(3, dtype=np.bool_)
    for _ in range(2):
        masked = env.reset(options={"reset_mask": all_of_them})
        for ours, their in zip(
            masked, theirs.reset(options={"reset_mask": all_of_them}), strict=True
        ):
            np.testing.assert_equal(ours, their)
        for step in range(1, env.decisions + 1):
            actions = env.action_space.sample()
            *ours, info = env.step(actions)
            *their, their_info = theirs.step(actions)
            for one, other in zip(ours, their, strict=True):
                np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(info["action_mask"], their_info["action_mask"])
            assert ours[2].all() == (step == env.decisions)
        with pytest.raises(gym.error.ResetNeeded, match=r"call reset\(\)"):
            env.step(actions)


@pytest.mark.parametrize("kind", EVALUATORS)
@every_search_space
def test_episodes_begin_with_a_prefix(name: str, kind: str) -> None:
    search_space = SEARCH_SPACES[name]
    env = NASVectorEnv(search_space, EVALUATORS[kind](search_space), 2, autoreset_mode="SameStep")
    whole = np.stack([search_space.sample(np.random.default_rng(seed)) for seed in range(2)])
    same_start = whole[:1].repeat(2, axis=0)
    for choices, prefix in (
        (whole, whole[:, :3]),
        (whole, whole[:, :0]),
        (same_start, whole[0, :2].tolist()),
    ):
        observations, info = env.reset()
        for actions in choices.T[: np.shape(prefix)[-1]]:
            observations, *_, info = env.step(actions)
        with_prefix = env.reset(options={"choices": prefix})
        np.testing.assert_array_equal(with_prefix[0], observations)
        np.testing.assert_array_equal(with_prefix[1]["action_mask"], info["action_mask"])
    env.reset(options={"choices": whole[:, :-1]})
    observations, _, terminated, _, info = env.step(whole[:, -1])
    assert terminated.all()
    np.testing.assert_array_equal(info["final_info"]["choices"], whole)
    assert not observations.any()  # the next episodes begin with nothing


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([0, 1, 2, 3], "expected up to 3 integers"),
        ([[0], [1]], r"expected 3 rows, got \[\[0\], \[1\]\]"),
        ([[0], [1, 2], [0]], "expected up to 3 integers"),
        (nested(3_000), "expected up to 3 integers"),
        ([0.5], "expected up to 3 integers"),
        ("0", "choices: expected"),
        ([3], r"choices\[0\] \(depth\): 3 is not valid here"),
        ([-1], r"\(depth\): -1 is not valid"),
        ([[0, 1, 0], [0, 1, 1], [2, 1, 1]], r"\(layer_2\): 1 is not valid"),
    ],
)
def test_a_prefix_that_begins_no_sequence_is_refused(choices: Any, message: str) -> None:
    env = vector_env("conditional")
    with pytest.raises(NASGymError, match=message):
        env.reset(options={"choices": choices})
    assert not env.reset()[0].any()


def test_options_that_are_no_mapping_are_refused() -> None:
    with pytest.raises(NASGymError, match="options: expected a mapping of 'choices', got 3"):
        vector_env("conditional").reset(options=3)  # type: ignore[arg-type]


@every_mode
def test_copies_go_on_where_the_original_is(mode: str) -> None:
    env = NASVectorEnv(
        SEARCH_SPACES["NASBench201"],
        RecordedStub(SEARCH_SPACES["NASBench201"]),
        3,
        autoreset_mode=mode,
    )
    finished(env, actions=2)
    env.reset()
    for _ in range(4):
        env.step(np.array([2, 2, 2]))
    shared, carried = copy.deepcopy(env), pickle.loads(pickle.dumps(env))
    steps = [[each.step(np.array([2, 2, 2])) for _ in range(2)] for each in (env, shared, carried)]
    for other in steps[1:]:
        np.testing.assert_equal(other, steps[0])
    assert shared.memory is env.memory
    assert (env.budget.asked, carried.budget.asked) == (9, 6)
    env.reset()
    env.step(np.array([0, 0, 0]))
    assert not shared.reset()[0].any()
    assert not carried.reset()[0].any()
    assert env.step(np.array([1, 1, 1]))[0][:, :2].tolist() == [[1, 2]] * 3


@pytest.mark.parametrize(
    ("limits", "networks"),
    [
        ({"asked": 5}, [0, 0, 1, 1, 2]),
        ({"made": 3}, [0, 0, 1, 1, 2]),
        ({"made": 3, "asked": 4}, [0, 0, 1, 1]),
        ({"asked": 3}, [0, 1, 2]),
    ],
)
@pytest.mark.parametrize("mode", ["NextStep", "SameStep"])
def test_no_network_beyond_the_limits_is_evaluated(
    mode: str, limits: dict[str, Any], networks: list[int]
) -> None:
    """As N single environments that share an evaluator."""
    search_space = SEARCH_SPACES["conditional"]
    env = NASVectorEnv(search_space, StubEvaluator(), 3, autoreset_mode=mode, limits=limits)
    shared = Memory(StubEvaluator())
    singles = [NASEnv(search_space, shared, limits=limits) for _ in range(3)]
    begun = iter([*networks, *[3] * 9])
    for _ in range(4):
        actions = np.array([next(begun, 3) for _ in range(3)])
        if mode == "NextStep" or not env.finished:
            env.reset()
        for single in singles:
            single.reset()
        for _ in range(4):
            seen, rewards, terminated, truncated, info = env.step(actions)
            steps = [one.step(action) for one, action in zip(singles, actions, strict=True)]
            if "final_obs" in info:
                seen, info = info["final_obs"], info["final_info"]
            np.testing.assert_array_equal(seen, [step[0] for step in steps])
            masks = [step[4]["action_mask"] for step in steps]
            np.testing.assert_array_equal(info["action_mask"], masks)
            assert rewards.tolist() == [step[1] for step in steps]
            assert terminated.tolist() == [step[2] for step in steps]
            assert truncated.tolist() == [step[3] for step in steps]
            if (terminated | truncated).any():
                break
        expected = [step[4].get("evaluation", {}).get("accuracy") for step in steps]
        if any(value is not None for value in expected):
            assert info["_accuracy"].tolist() == [value is not None for value in expected]
            assert info["accuracy"].tolist() == [value or 0.0 for value in expected]
            assert info["status"].tolist() == ["" if v is None else "ok" for v in expected]
        if (terminated | truncated).all():
            assert info["budget_exhausted"].all() == steps[-1][4]["budget_exhausted"]
    assert env.budget == shared.budget
    assert not env.step(np.zeros(3, dtype=np.int64))[2].any()
    assert env.budget.asked == len(networks)


def test_a_batch_begins_as_long_as_seconds_are_left() -> None:
    env = NASVectorEnv(SEARCH_SPACES["NASNet"], StubEvaluator(), 3, limits={"seconds": 1})
    *_, info = finished(env)
    assert info["budget_exhausted"].all()
    assert info["_accuracy"].all()
    env.reset()
    assert env.step(np.zeros(3, dtype=np.int64))[3].all()


class OwnEnv(NASEnv):
    """An environment of one's own, with an argument."""

    def __init__(self, depth: int = 3, **arguments: Any) -> None:
        self.depth = depth
        super().__init__(LayersSearchSpace(), StubEvaluator(), **arguments)


def local_env(**arguments: Any) -> NASEnv:
    return OwnEnv(**arguments)


@pytest.fixture
def own_ids() -> Iterator[None]:
    """Ids of one's own, for one test."""
    registered = dict(gym.registry)
    yield
    gym.registry.clear()
    gym.registry.update(registered)


own_ids_only = pytest.mark.usefixtures("own_ids")


@own_ids_only
@pytest.mark.parametrize("env_id", ["own/Net-v0", "Net-v3", "own/deep-Net-v0"])
@pytest.mark.parametrize(
    "entry_point",
    ["tests.test_vector_env:OwnEnv", OwnEnv, local_env, partial(OwnEnv)],
)
def test_an_environment_of_ones_own_has_a_vector_form_too(env_id: str, entry_point: Any) -> None:
    nas_gym.register(env_id, entry_point, kwargs={"depth": 2})
    single = gym.make(env_id).unwrapped
    assert isinstance(single, OwnEnv)
    assert single.depth == 2
    env = gym.make_vec(env_id, num_envs=4, autoreset_mode="SameStep")
    assert isinstance(env, NASVectorEnv)
    assert env.num_envs == 4
    compare(env, singles(env, single.search_space, StubEvaluator()), seed=1, episodes=1)
    spec = gym.spec(env_id)
    assert copy.deepcopy(spec).id == env_id
    if not isinstance(entry_point, partial):
        assert pickle.loads(pickle.dumps(spec)) == spec
        again = gym.make_vec(gym.envs.registration.EnvSpec.from_json(spec.to_json()), num_envs=2)
        assert isinstance(again, NASVectorEnv)


def test_the_module_has_no_names_but_its_own_and_dotted_classes() -> None:
    assert not hasattr(vectorized_module, "NASNet-v0")
    assert not hasattr(vectorized_module, "anything")
    with pytest.raises(NASGymError, match=r"'tests\.test_vector_env:Nothing' cannot be imported"):
        getattr(vectorized_module, "tests.test_vector_env.Nothing")()
    with pytest.raises(NASGymError, match=r"entry_point: expected .* got 3"):
        nas_gym.register("own/Net-v0", 3)
    with pytest.raises(NASGymError, match="entry_point: expected 'module:Class', got 'module'"):
        nas_gym.register("own/Net-v0", "module")


class OwnStep(OwnEnv):
    def step(self, action: Any) -> Any:
        return super().step(action)


@pytest.mark.parametrize(
    ("entry_point", "message"),
    [
        (OwnStep, 'step.. or reset.. of its own has no vector form; .* vectorization_mode="sync"'),
        (lambda: ContinuousAction(OwnEnv()), "no environment of nas_gym, or it is wrapped"),
        (lambda: gym.make("CartPole-v1"), "no environment of nas_gym"),
    ],
)
@own_ids_only
def test_what_has_no_vector_form_is_refused(entry_point: Any, message: str) -> None:
    nas_gym.register("own/Net-v0", entry_point)
    with pytest.raises(NASGymError, match=message):
        gym.make_vec("own/Net-v0", num_envs=2)


@own_ids_only
def test_a_family_registers_its_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nas_gym.family, "_families", dict(nas_gym.family._families))
    parts = {"kind": "test-layers", "architecture": LayersArchitecture}
    family = nas_gym.Family(
        "own layers",
        search_space=LayersSearchSpace,
        environments={"own/Layers-v0": "tests.test_vector_env:OwnEnv"},
        **parts,  # type: ignore[arg-type]
    )
    for _ in range(2):
        nas_gym.register_family(family)
        assert isinstance(gym.make("own/Layers-v0").unwrapped, OwnEnv)
        assert gym.make_vec("own/Layers-v0", num_envs=2).num_envs == 2
    nas_gym.register_family(replace(family, environments={}))
    with pytest.raises(gym.error.Error):
        gym.make("own/Layers-v0")


@pytest.mark.parametrize("name", IDS)
def test_one_hot_codes_and_numbers_of_every_registered_environment(name: str) -> None:
    given: dict[str, Any] = {**CHEAP[name], "observation": "one-hot", "info": "numbers"}
    single, env = gym.make(name, **given), gym.make_vec(name, 2, **given)
    inner = env.unwrapped
    assert isinstance(inner, NASVectorEnv)
    inner.memory = Memory(StubEvaluator())
    assert isinstance(env.single_observation_space, gym.spaces.Box)
    assert env.single_observation_space == single.observation_space
    observations, _ = env.reset(seed=0)
    assert observations.shape == (2, sum(inner.search_space.num_choices) + inner.decisions)
    for step in range(inner.decisions):
        assert observations.sum() == 2 * inner.decisions
        assert observations in env.observation_space
        if step == 0:
            np.testing.assert_array_equal(observations[0], single.reset(seed=0)[0])
            observations, *_, info = env.step(np.zeros(2, dtype=np.int64))
            np.testing.assert_array_equal(observations[0], single.step(0)[0])
        else:
            observations, *_, info = env.step(np.zeros(2, dtype=np.int64))
    assert all(column.dtype.kind in "biuf" for column in info.values())
    assert (info["accuracy"] > 0).all()


def test_it_answers_as_gymnasiums_own_vector_environment() -> None:
    single = partial(NASEnv, SEARCH_SPACES["conditional"], StubEvaluator())
    ours, theirs = vector_env("conditional"), SyncVectorEnv([single] * 3)
    for env in (ours, theirs):
        env.reset(seed=0)
        env.step(np.array([0, 1, 2]))
    for name in ("action_masks", "decisions", "render_mode", "spec"):
        np.testing.assert_equal(ours.call(name), theirs.call(name))
    assert ours.get_attr("action_space") == theirs.get_attr("action_space")
    assert len(ours.get_attr("memory")) == 3
    with pytest.raises(AttributeError):
        ours.get_attr("nothing")
    for env in (ours, theirs):
        env.set_attr("own", 3)
        env.set_attr("own", [4, 4, 4])
        assert env.get_attr("own") == (4, 4, 4)
    with pytest.raises(NASGymError, match="own: the 3 episodes share it; give one value"):
        ours.set_attr("own", [1, 2, 3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_episode_steps": 3}, "max_episode_steps: an episode in lock-step ends with"),
        ({"wrappers": [gym.wrappers.FlattenObservation]}, "with the wrappers argument"),
        ({"vector_kwargs": {"autoreset_mode": "SameStep"}}, "only through kwargs"),
    ],
)
def test_what_lock_step_has_not_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises((NASGymError, gym.error.Error), match=message):
        gym.make_vec("nas_gym/TinyBench-v0", 2, **arguments)
    if "wrappers" in arguments:
        made = gym.make_vec("nas_gym/TinyBench-v0", 2, vectorization_mode="sync", **arguments)
        assert isinstance(made.single_observation_space, gym.spaces.Box)


def test_its_class_says_that_it_is_gymnasiums() -> None:
    """skrl knows an environment's kind by the bases of its class."""
    envs = gym.make_vec("nas_gym/TinyBench-v0", num_envs=2)
    assert VectorEnv in type(envs).__bases__
