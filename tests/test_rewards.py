"""Rewards: what each makes of an evaluation."""

import json
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import Evaluation, InvalidSettings, rewards
from nas_gym.evaluation.evaluation import Status
from tests.helpers import nested


def evaluation(*curve: float, status: Status = "ok", **costs: Any) -> Evaluation:
    return Evaluation(
        status=status,
        accuracy=curve[-1] if curve and status == "ok" else 0.0,
        curve=curve,
        seconds=1.0,
        seed=0,
        fingerprint="",
        **costs,
    )


def test_accuracy_is_that_of_the_last_epoch() -> None:
    assert rewards.accuracy(evaluation(0.2, 0.9, 0.5)) == 0.5


@pytest.mark.parametrize(
    ("curve", "best"),
    [
        ([0.5], 0.5),
        ([0.2, 0.6, 0.4], 0.6),
        ([0.9, 0.1, 0.2, 0.3, 0.4, 0.35], 0.4),  # 0.9 is six epochs ago
        ([0.1, 0.9, 0.2, 0.3, 0.4, 0.35], 0.9),
    ],
)
def test_nas_takes_the_best_of_the_last_five_epochs_cubed(curve: list[float], best: float) -> None:
    assert rewards.best_of_last_five_cubed(evaluation(*curve)) == pytest.approx(best**3)


def test_nas_takes_the_accuracy_where_there_is_no_curve() -> None:
    looked_up = Evaluation("ok", 0.5, (), seconds=0.0, seed=0, fingerprint="")
    assert rewards.best_of_last_five_cubed(looked_up) == 0.125


@pytest.mark.parametrize("name", rewards.REWARDS)
@pytest.mark.parametrize("status", [status for status in get_args(Status) if status != "ok"])
def test_a_child_that_failed_is_worth_0(name: str, status: Status) -> None:
    reward = rewards.reward_by_name(name)(evaluation(0.4, 0.6, status=status))
    assert reward == 0
    assert isinstance(reward, float)


@pytest.mark.parametrize("name", rewards.REWARDS)
def test_rewards_lie_between_0_and_1_and_grow_with_the_accuracy(name: str) -> None:
    reward = rewards.reward_by_name(name)
    values = [reward(evaluation(accuracy)) for accuracy in (0.0, 0.1, 0.5, 0.9, 1.0)]
    assert values == sorted(set(values))
    assert (values[0], values[-1]) == (0.0, 1.0)


def test_names() -> None:
    assert rewards.reward_by_name("accuracy") is rewards.accuracy
    assert rewards.reward_by_name("nas") is rewards.best_of_last_five_cubed


def test_a_function_is_its_own_reward() -> None:
    def fewest_seconds(one: Evaluation) -> float:
        return -one.seconds

    assert rewards.reward_by_name(fewest_seconds) is fewest_seconds


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        InvalidSettings, match=r"'acuracy' .* mean 'accuracy'.*'accuracy', 'nas', 'mnasnet'"
    ):
        rewards.reward_by_name("acuracy")


SOFT = rewards.MnasNetReward(target=0.08)
HARD = rewards.MnasNetReward(target=0.08, alpha=0, beta=-1)


def test_the_soft_constraint_takes_twice_the_latency_for_five_percent_more_accuracy() -> None:
    """MnasNet, section 3: the condition from which the paper has -0.07."""
    slow, fast = evaluation(0.5 * 1.05, latency=0.16), evaluation(0.5, latency=0.08)
    assert SOFT(slow) == pytest.approx(SOFT(fast), rel=0.001)
    assert SOFT(fast) == 0.5


@pytest.mark.parametrize(
    ("latency", "soft", "hard"),
    [(0.04, 0.5 * 2**0.07, 0.5), (0.08, 0.5, 0.5), (0.16, 0.5 * 2**-0.07, 0.25)],
)
def test_mnasnets_rewards(latency: float, soft: float, hard: float) -> None:
    child = evaluation(0.5, latency=latency)
    assert SOFT(child) == pytest.approx(soft)
    assert HARD(child) == pytest.approx(hard)


@pytest.mark.parametrize(
    ("cost", "target", "parameters"),
    [
        ("latency", 0.08, {}),
        ("multiply_adds", 300, {}),
        ("parameters", 7, {}),
        ("energy", 0.4, {"watts": 5.0}),
    ],
)
def test_every_cost_can_stand_for_latency(
    cost: str, target: float, parameters: dict[str, float]
) -> None:
    given: Any = {"target": target, "cost": cost, "beta": -1, **parameters}
    reward = rewards.MnasNetReward(**given)
    at_target: dict[str, Any] = {"latency": 0.08, "multiply_adds": 300, "parameters": 7}
    twice: dict[str, Any] = {name: 2 * value for name, value in at_target.items()}
    assert reward(evaluation(0.5, **at_target)) == pytest.approx(0.5)
    assert reward(evaluation(0.5, **twice)) == pytest.approx(0.25)


@given(
    accuracy=st.floats(0, 1),
    latencies=st.tuples(*[st.floats(0, 1e3)] * 2),
    alpha=st.floats(-1, 0),
    beta=st.floats(-1, 0),
)
def test_a_faster_child_of_the_same_accuracy_is_worth_as_much_or_more(
    accuracy: float, latencies: tuple[float, float], alpha: float, beta: float
) -> None:
    reward = rewards.MnasNetReward(target=0.08, alpha=alpha, beta=beta)
    fast, slow = (reward(evaluation(accuracy, latency=value)) for value in sorted(latencies))
    assert fast >= slow >= 0


@pytest.mark.parametrize("status", [status for status in get_args(Status) if status != "ok"])
def test_a_child_that_failed_needs_no_cost(status: Status) -> None:
    assert SOFT(evaluation(status=status)) == 0.0


@pytest.mark.parametrize("costs", [{}, {"latency": None}])
def test_a_cost_that_is_not_there_is_an_error(costs: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings, match=r"needs latency, .* latency=\{\}"):
        SOFT(evaluation(0.5, **costs))


@pytest.mark.parametrize("name", [name for name in rewards.PARAMETRIC if name != "perplexity"])
@pytest.mark.parametrize("cost", ["multiply_adds", "latency", "energy"])
def test_a_cost_of_0_is_within_every_target(name: str, cost: str) -> None:
    more = {"watts": 5.0} if cost == "energy" else {}
    reward = rewards.reward_by_name({"name": name, "target": 1000, "cost": cost, **more})
    measured = "latency" if cost == "energy" else cost
    costs: list[dict[str, Any]] = [{measured: 0}, {measured: 1e-9}]
    free, cheap = (reward(evaluation(0.5, **each)) for each in costs)
    assert free == pytest.approx(cheap)
    assert 0.4 <= free < 2


def test_rewards_with_parameters_are_plain_data() -> None:
    data = json.loads('{"name": "mnasnet", "target": 0.08, "alpha": 0, "beta": -1}')
    assert rewards.reward_by_name(data) == HARD
    assert data["name"] == "mnasnet"
    assert rewards.reward_by_name({"name": "nas"}) is rewards.best_of_last_five_cubed


@pytest.mark.parametrize(
    ("reward", "says"),
    [
        ("mnasnet", "reward 'mnasnet': 'target' is missing"),
        ({"name": "mnasnett", "target": 1}, "'mnasnett' is not known; did you mean 'mnasnet'"),
        ({"target": 1}, "reward: None is not known"),
        ({"name": ["nas"]}, r"reward: \['nas'\] is not known"),
        ({"name": "nas", "target": 1}, "reward 'nas': it takes no parameters"),
        ({"name": "mnasnet", "goal": 1}, "reward 'mnasnet': 'goal' is not known; .*'target'"),
        ({"name": "mnasnet", "target": 0}, "reward 'mnasnet': target: .* greater than 0, got 0"),
        ({"name": "mnasnet", "target": "80 ms"}, "target: .* got '80 ms'"),
        ({"name": "mnasnet", "target": 1, "cost": "time"}, "cost: .*energy.* got 'time'"),
        ({"name": "mnasnet", "target": 1, "alpha": None}, "alpha: .*number, got None"),
        ({"name": "mnasnet", "target": 1, "watts": 5}, "watts: they are for .*'energy' alone"),
        (7, "reward: 7 is not known"),
        (nested(3_000), r"reward: \[\["),
    ],
)
def test_mistakes_are_named(reward: Any, says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        rewards.reward_by_name(reward)


class Measures:
    def __init__(self, *costs: str) -> None:
        self.costs = costs


def test_costs_are_checked_where_both_sides_speak() -> None:
    energy = rewards.MnasNetReward(1.0, "energy", watts=5)
    with pytest.raises(InvalidSettings, match="needs latency"):
        rewards.check_costs(energy, Measures("parameters"))
    rewards.check_costs(energy, Measures("parameters", "latency"))
    recorded = rewards.MnasNetReward(1.0, "energy")
    with pytest.raises(InvalidSettings, match=r"needs energy.*, or give .watts."):
        rewards.check_costs(recorded, Measures("latency"))
    rewards.check_costs(recorded, Measures("latency", "energy"))
    rewards.check_costs(energy, object())
    rewards.check_costs(rewards.accuracy, Measures())


@pytest.mark.parametrize(
    ("name", "ratio", "expected"),
    [
        ("mnasnet", 2.0, 0.5 * 2**-0.07),
        ("mnasnet", 0.5, 0.5 * 2**0.07),
        ("mnasnet-hard", 0.5, 0.5),
        ("mnasnet-hard", 2.0, 0.25),
        ("proxylessnas", 2.0, 0.5 * 0.5**0.1),
        ("proxylessnas", 0.5, 0.5 * 2**0.1),
        ("tunas", 1.0, 0.5),
        ("tunas", 1.5, 0.45),
        ("tunas", 0.5, 0.45),
        ("tunas", 11.0, -0.5),
    ],
)
def test_the_papers_rewards(name: str, ratio: float, expected: float) -> None:
    reward = rewards.reward_by_name({"name": name, "target": 0.08})
    assert reward(evaluation(0.5, latency=0.08 * ratio)) == pytest.approx(expected)


@pytest.mark.parametrize("name", [name for name in rewards.PARAMETRIC if name != "perplexity"])
@pytest.mark.parametrize("cost", ["multiply_adds", "parameters", "peak_activation_bytes"])
def test_every_cost_can_have_a_target(name: str, cost: str) -> None:
    reward: Any = rewards.reward_by_name({"name": name, "target": 1000, "cost": cost})
    at, above = ({cost: number} for number in (1000, 2000))
    assert reward(evaluation(0.5, status="ok", **at)) == pytest.approx(0.5)
    assert reward(evaluation(0.5, status="ok", **above)) < 0.5
    assert isinstance(reward, rewards.CostReward)
    assert reward(evaluation(0.5, status="over_limit", **at)) == reward.of_failed
    with pytest.raises(InvalidSettings, match=cost):
        reward(evaluation(0.5))


@given(
    accuracy=st.floats(0, 1),
    cost=st.floats(0, 1e12),
    status=st.sampled_from([status for status in get_args(Status) if status != "ok"]),
    parameters=st.sampled_from(
        [
            {"name": "mnasnet"},
            {"name": "mnasnet", "alpha": 0, "beta": -1},
            {"name": "mnasnet-hard"},
            {"name": "proxylessnas"},
            {"name": "tunas"},
            {"name": "tunas", "beta": -7.0},
        ]
    ),
)
def test_a_child_that_failed_is_worth_no_more_than_one_that_was_trained(
    accuracy: float, cost: float, status: Status, parameters: dict[str, Any]
) -> None:
    reward = rewards.reward_by_name({"target": 80, "cost": "parameters", **parameters})
    failed = reward(evaluation(status=status, parameters=80))  # at the very target
    trained = reward(evaluation(accuracy, parameters=cost))
    assert -70 <= failed <= trained < 10


def test_tunas_has_a_slope_that_falls() -> None:
    with pytest.raises(InvalidSettings, match="beta"):
        rewards.reward_by_name({"name": "tunas", "target": 1, "beta": 0.1})


def test_objectives_of_rewards() -> None:
    assert rewards.objectives_of(rewards.accuracy) is None
    tunas = rewards.reward_by_name({"name": "tunas", "target": 1, "cost": "parameters"})
    objectives = rewards.objectives_of(tunas)
    assert objectives is not None
    assert objectives.names == ("accuracy", "-parameters")
    assert rewards.objectives_of(objectives) is objectives


def test_perplexity_is_of_language_models() -> None:
    """NAS: 80 / ppl^2 (section 4.2); ENAS's released code: 80 / ppl."""
    nas = rewards.reward_by_name({"name": "perplexity", "c": 80, "power": 2})
    enas = rewards.reward_by_name("perplexity")
    words = replace(evaluation(0.025), metric="perplexity", value=40.0)
    assert nas(words) == pytest.approx(0.05)
    assert enas(words) == 2
    assert enas(replace(words, metric="bits_per_character", value=3.0)) == 10
    assert enas(replace(words, status="diverged", value=None)) == 0
    assert (
        enas(replace(words, metric="bits_per_character", value=1e6)) == 0
    )  # 2 ** 1e6 is too large
    for recorded in (0.0, 0.5, 1.0):  # which no model has below 1
        assert enas(replace(words, value=recorded)) == nas(replace(words, value=recorded)) == 80
    with pytest.raises(InvalidSettings, match="measured by accuracy, not perplexity"):
        enas(evaluation(0.5))
