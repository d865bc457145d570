"""Vector rewards: their entries, signs, worst values, and what is refused."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import Evaluation, InvalidSettings, NASEnv, NASVectorEnv, Objectives
from nas_gym.evaluation.evaluation import Listed, Status
from nas_gym.objectives import WORST
from tests.helpers import LayersSearchSpace, RecordedStub, StubEvaluator

THREE = ("accuracy", "-latency", "-parameters")
statuses = st.sampled_from(get_args(Status))


def evaluation(accuracy: float, latency: float, parameters: int, status: Status) -> Evaluation:
    return Evaluation(*(status, accuracy, (), 1.0, 0, ""), parameters=parameters, latency=latency)


evaluations = st.builds(
    evaluation, st.floats(0, 1), st.floats(0, 10), st.integers(0, 10**8), statuses
)


@given(st.lists(evaluations, max_size=5))
def test_each_entry_is_a_measure_with_its_sign_or_the_worst(made: list[Evaluation]) -> None:
    objectives = Objectives.of({"accuracy": 0.1, "-latency": 12.5, "-parameters": 2e8})
    rewards = objectives.of_columns(Listed(made).columns)
    assert rewards.dtype == np.float32
    assert rewards.shape == (len(made), 3)
    for each, reward in zip(made, rewards, strict=True):
        good = [each.accuracy, -(each.latency or 0), -(each.parameters or 0)]
        expected = good if each.status == "ok" else [0.1, -12.5, -2e8]
        assert reward == pytest.approx(expected, rel=1e-6)
        assert objectives(each).tolist() == reward.tolist()
        assert objectives.space.contains(reward)


def test_a_list_has_the_worst_values_of_the_table() -> None:
    objectives = Objectives.of(THREE)
    assert objectives.worst == (0.0, -WORST["-latency"], -WORST["-parameters"])
    assert objectives.needs == ("latency", "parameters")
    assert Objectives.of(objectives) is objectives


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["accuracy"], "two or more different ones, got 'accuracy'"),
        ([], "got none"),
        (["accuracy", "accuracy"], "different ones, got 'accuracy', 'accuracy'"),
        (["accuracy", "latency"], "'latency' is not known; did you mean '-latency'"),
        (["accuracy", 3], "expected texts, got 3"),
        ("accuracy", "expected a list such as"),
        (7, "expected a list such as"),
        ({"accuracy": 0, "-latency": "x"}, "-latency: expected its worst value, got 'x'"),
        ({"accuracy": True, "-latency": 1}, "accuracy: expected its worst value, got True"),
        ({"accuracy": 0, "-latency": float("nan")}, "worst"),
        ({"accuracy": 0, "-latency": -0.08}, "-latency: expected a worst value above 0, got -0.08"),
        ({"accuracy": 0, "-latency": 0}, "-latency: expected a worst value above 0, got 0"),
        ({"accuracy": 1, "-latency": 1}, "expected a worst value from 0 to below 1, got 1"),
        ({"accuracy": -1, "-latency": 1}, "expected a worst value from 0 to below 1, got -1"),
        ({"accuracy": 0, "-latency": 10**400}, "-latency: expected its worst value, got 1000"),
    ],
)
def test_wrong_objectives_are_refused_in_one_line(wrong: Any, message: str) -> None:
    with pytest.raises(InvalidSettings) as error:
        Objectives.of(wrong)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_cost_that_is_not_measured_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="it needs latency"):
        Objectives.of(THREE)(Evaluation("ok", 0.5, (), 1.0, 0, "", parameters=3))
    recorded = RecordedStub(LayersSearchSpace())
    with pytest.raises(InvalidSettings, match="it needs latency"):
        NASEnv(LayersSearchSpace(), recorded, Objectives.of(THREE))


@pytest.mark.parametrize("number", [1, 3])
def test_the_vector_environment_gives_the_rewards_of_single_ones(number: int) -> None:
    objectives, search_space = Objectives.of(["accuracy", "-parameters"]), LayersSearchSpace()
    single = NASEnv(search_space, StubEvaluator(), objectives)
    many = NASVectorEnv(search_space, StubEvaluator(), number, objectives)
    assert many.reward_space == single.reward_space
    single.reset()
    many.reset()
    for _ in range(single.decisions):
        _, one, *_ = single.step(1)
        _, rewards, *_ = many.step(np.ones(number, dtype=np.int64))
        assert rewards.dtype == one.dtype == np.float32
        assert rewards.tolist() == [one.tolist()] * number
    assert one.tolist() == pytest.approx([one[0], -10.0])


def test_truncated_episodes_have_vectors_of_zeros() -> None:
    objectives, search_space = Objectives.of(["accuracy", "-parameters"]), LayersSearchSpace()
    envs = NASVectorEnv(search_space, StubEvaluator(), 3, objectives, limits={"asked": 2})
    envs.reset()
    for _ in range(envs.decisions):
        _, rewards, terminated, truncated, _ = envs.step(np.zeros(3, dtype=np.int64))
    assert terminated.tolist() == [True, True, False]
    assert truncated.tolist() == [False, False, True]
    assert rewards[2].tolist() == [0.0, 0.0]
    assert rewards[1, 1] == -10
