"""Once-for-All's surrogate: the authors' figures, and that arrays and records agree."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nas_gym import InvalidSettings, Memory, NASEnv, NASVectorEnv, OFASearchSpace, published
from nas_gym.data.loading import data_folder
from nas_gym.families.mobile.surrogate import FILE, RESOLUTIONS, OFASurrogate, ofa_surrogate
from nas_gym.networks import ImageShape, measure_cost
from nas_gym.tables.columns import InvalidTable

SPACE = OFASearchSpace(filter_width=1.2, resolutions=RESOLUTIONS)
needs_file = pytest.mark.skipif(
    not (data_folder() / FILE).is_file(), reason=f"there is no {FILE} in {data_folder()}"
)


@pytest.fixture(scope="module")
def surrogate() -> OFASurrogate:
    return ofa_surrogate(SPACE)


@needs_file
@pytest.mark.parametrize(
    ("name", "accuracy", "milliseconds"),
    [
        ("flops@389M_top1@79.1_finetune@75", 0.82564, 34.923),
        ("note10_lat@30ms_top1@78.4_finetune@75", 0.81967, 29.965),
    ],
)
def test_specialized_networks_have_the_authors_figures(
    name: str, accuracy: float, milliseconds: float, surrogate: OFASurrogate
) -> None:
    [evaluation] = surrogate.evaluate([published(name)])
    assert evaluation.accuracy == pytest.approx(accuracy, abs=1e-4)
    assert evaluation.latency == pytest.approx(milliseconds / 1000, abs=1e-5)
    cost = measure_cost(published(name), ImageShape(3, 224, 224, 1000))
    counts = (evaluation.parameters, evaluation.multiply_adds)
    assert counts == (cost.parameters, cost.multiply_adds)


@needs_file
def test_the_largest_and_the_smallest_network(surrogate: OFASurrogate) -> None:
    ends = np.array([[4] + [2] * 45, [0] * 46])
    assert surrogate.columns_of(ends)["accuracy"] == pytest.approx([0.83593, 0.75312], abs=1e-4)


@needs_file
def test_costs_are_those_of_the_network(surrogate: OFASurrogate) -> None:
    rng = np.random.default_rng(0)
    choices = np.stack([SPACE.sample(rng) for _ in range(6)])
    columns = surrogate.columns_of(choices)
    for index, sequence in enumerate(choices):
        cost = measure_cost(SPACE.decode(sequence), ImageShape(3, 224, 224, 1000))
        row = surrogate.evaluation(columns, index)
        assert (row.parameters, row.multiply_adds) == (cost.parameters, cost.multiply_adds)
        assert row == surrogate.evaluate([SPACE.decode(sequence)])[0]


@needs_file
def test_a_networks_accuracy_does_not_depend_on_its_batch(surrogate: OFASurrogate) -> None:
    rng = np.random.default_rng(0)
    choices = np.stack([SPACE.sample(rng) for _ in range(150)])
    whole = surrogate.columns_of(choices)["accuracy"]
    for index in (0, 63, 64, 149):
        assert surrogate.columns_of(choices[[index]])["accuracy"][0] == whole[index]
    backwards = surrogate.columns_of(choices[::-1])["accuracy"]
    assert backwards[::-1].tolist() == whole.tolist()


@needs_file
def test_single_and_vector_environments_agree_and_count_alike() -> None:
    made: Any = [
        gym.make("nas_gym/OFA-v0", evaluator="surrogate").unwrapped,
        gym.make_vec("nas_gym/OFA-v0", num_envs=3, evaluator="surrogate"),
    ]
    single, many = made
    assert isinstance(single, NASEnv)
    assert isinstance(many, NASVectorEnv)
    rng = np.random.default_rng(1)
    choices = np.stack([SPACE.sample(rng) for _ in range(2)])[[0, 1, 0]]
    many.reset()
    for actions in choices.T:
        _, rewards, _, _, info = many.step(actions)
    for index, sequence in enumerate(choices):
        single.reset()
        for action in sequence:
            _, reward, _, _, last = single.step(action)
        assert reward == rewards[index]
        assert last["evaluation"]["latency"] == info["latency"][index]
        assert single.finished is not None
        assert many.finished is not None
        cached = many.finished.columns["cached"][index]
        assert single.finished.evaluation.cached == cached == (index == 2)
    assert single.budget == many.budget
    assert (many.budget.asked, many.budget.made) == (3, 2)


@needs_file
def test_its_search_space_is_its_own(surrogate: OFASurrogate) -> None:
    with pytest.raises(InvalidSettings, match=r"filter_width: the surrogate is for 1\.2, got 1"):
        ofa_surrogate(OFASearchSpace(1.0, RESOLUTIONS))
    for resolutions in ((), (200,)):
        with pytest.raises(InvalidSettings, match="resolutions: expected some of"):
            ofa_surrogate(OFASearchSpace(1.2, resolutions))
    assert surrogate.costs == ("latency", "multiply_adds", "parameters")
    tunas = {"name": "tunas", "target": 0.03}
    assert gym.make("nas_gym/OFA-v0", evaluator="surrogate", reward=tunas)


@needs_file
def test_what_is_over_a_limit_is_worth_0() -> None:
    limits = {"latency": 0.03, "weight_bytes": 4 * 8e6}
    free, limited = (ofa_surrogate(SPACE, at_most) for at_most in (None, limits))
    rng = np.random.default_rng(0)
    choices = np.stack([SPACE.sample(rng) for _ in range(200)])
    columns, bounded = free.columns_of(choices), limited.columns_of(choices)
    over = (columns["latency"] > 0.03) | (columns["parameters"] > 8e6)
    assert 0 < over.sum() < 200
    np.testing.assert_array_equal(bounded["status"] == "over_limit", over)
    np.testing.assert_array_equal(bounded["accuracy"], np.where(over, 0, columns["accuracy"]))
    evaluation = limited.evaluation(bounded, int(over.argmax()))
    assert (evaluation.status, evaluation.accuracy) == ("over_limit", 0.0)
    assert "are allowed" in evaluation.message
    np.testing.assert_array_equal(Memory(limited).excess_of(choices) > 0, over)
    assert Memory(free).limits is None
    assert limited.fingerprint != free.fingerprint
    with pytest.raises(InvalidSettings, match="at_most: 'size' is not known"):
        ofa_surrogate(SPACE, {"size": 3})


def test_a_missing_file_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    with pytest.raises(InvalidTable, match=f"there is no .*{FILE}"):
        gym.make("nas_gym/OFA-v0", evaluator="surrogate")
