"""Rewards: what each makes of an evaluation."""

from typing import get_args

import pytest

from nas_gym import Evaluation, InvalidSettings, rewards
from nas_gym.evaluation.evaluator import Status


def evaluation(*curve: float, status: Status = "ok") -> Evaluation:
    return Evaluation(
        status=status,
        accuracy=curve[-1] if curve and status == "ok" else 0.0,
        curve=curve,
        seconds=1.0,
        seed=0,
        fingerprint="",
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
    with pytest.raises(InvalidSettings, match=r"'acuracy' .* mean 'accuracy'.*'accuracy', 'nas'"):
        rewards.reward_by_name("acuracy")
