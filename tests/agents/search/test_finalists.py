"""The best of single evaluations are evaluated again, and the mean decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_agents.catalogue.environments import make_environment
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import SearchResult
from nas_agents.search.final import FinalTraining
from nas_agents.search.finalists import Finalists, planned
from nas_agents.search.run import search
from nas_gym import Architecture, InvalidSettings
from tests.agents.command import nas_gym
from tests.agents.search.test_resume import Killed, settings_for, trained
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import CHILDREN_ID, STUB_ID, Calls, Children

TINY_BENCH = "nas_gym/TinyBench-v0"
TINY = {"blocks": 1, "filters": 2, "epochs": 1, "operations": ["identity", "1x1 convolution"]}


@pytest.fixture
def unlucky(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Children are worth less with each further seed, those of many convolutions the more so."""
    asked: list[int] = []
    evaluate_one = Children.evaluate_one

    def worse(self: Children, architecture: Architecture, repeat: int = 0) -> Any:
        made = evaluate_one(self, architecture, repeat)
        asked.append(repeat)
        accuracy = made.accuracy if repeat == 0 else max(0.0, 0.5 - made.accuracy)
        return replace(made, accuracy=accuracy, curve=(accuracy,))

    monkeypatch.setattr(Children, "evaluate_one", worse)
    return asked


def held(result: SearchResult) -> dict[str, Any]:
    facts: dict[str, Any] = result.summary["finalists"]
    return facts


def test_the_mean_decides(tmp_path: Path, unlucky: list[int]) -> None:
    run = tmp_path / "run"
    result = search(settings_for(run, "random", finalists=4, finalist_seeds=3), run)
    standing = held(result)["standing"]
    singles = [row["accuracies"][0] for row in standing]
    means = [row["validation_accuracy"] for row in standing]
    assert len({row["key"] for row in standing}) == 4
    assert means == sorted(means, reverse=True)
    assert means == [pytest.approx(np.mean(row["accuracies"])) for row in standing]
    assert singles[0] < max(singles)  # the lucky one lost
    rewards = {each["episode"]: each["reward"] for each in episodes_of(run)}
    assert singles == [rewards[row["episode"]] for row in standing]
    assert sorted(singles) == sorted(rewards.values())[-4:]
    best = result.summary["best"]
    assert (best["key"], best["episode"]) == (standing[0]["key"], standing[0]["episode"])
    assert best["validation_accuracy"] == means[0]
    assert Architecture.load(run / "best.json").key == best["key"]
    assert sorted(unlucky)[-12:] == sorted([1, 2, 3] * 4)
    assert held(result)["made"] == 12


def test_they_are_evaluated_by_workers_and_once(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = settings_for(run, "random", episodes=6, workers=2, finalists=3)
    first = search(settings, run)
    counts = trained(run)
    assert sum(counts.values()) == 6 + 3 * 2
    again = search(settings, run, resume=True)
    assert again.finished_before
    assert trained(run) == counts
    assert again.summary == first.summary


def dying_after(number: int, by: type[BaseException]) -> Callable[..., Any]:
    """An `evaluate_one` that ends the process at a further seed."""
    evaluate_one, made = Children.evaluate_one, iter(range(number))

    def evaluate(self: Children, architecture: Architecture, repeat: int = 0) -> Any:
        if repeat and next(made, None) is None:
            raise by
        return evaluate_one(self, architecture, repeat)

    return evaluate


@pytest.mark.parametrize("by", [Killed, KeyboardInterrupt])
def test_a_search_killed_among_its_finalists_makes_none_twice(
    by: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    expected = search(settings_for(whole, finalists=4), whole)
    settings = settings_for(run, finalists=4)
    with monkeypatch.context() as patch:
        patch.setattr(Children, "evaluate_one", dying_after(3, by))
        if by is Killed:
            with pytest.raises(Killed):
                search(settings, run)
        else:
            assert search(settings, run).stopped_by == "interrupted"
    result = search(settings, run, resume=True)
    assert not result.finished_before
    assert trained(run) == trained(whole)
    assert held(result)["standing"] == held(expected)["standing"]
    assert held(result)["made"] == held(expected)["made"] == 8
    assert result.summary["best"] == expected.summary["best"]


def test_they_can_be_asked_for_afterwards(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert search(settings_for(run), run).summary["finalists"] is None
    result = search(settings_for(run, finalists=2), run, resume=True)
    assert held(result)["number"] == 2
    assert sum(trained(run).values()) == len(trained(run)) + 4
    without = search(settings_for(run, finalists=0), run, resume=True)
    assert without.summary["finalists"] is None


@pytest.mark.parametrize(
    ("epochs", "final_epochs", "given", "number"),
    [
        (1, 25, {}, 10),
        (2, 25, {}, 6),
        (2, 25, {"finalist_seeds": 4}, 3),
        (2, 25, {"repeats": 3}, 2),
        (20, 600, {}, 10),
        (20, 50, {}, None),
        (20, 50, {"finalists": 7}, 7),
        (1, 25, {"finalists": 0}, None),
        (1, 25, {"final": False}, None),
    ],
)
def test_they_cost_no_more_epochs_than_the_final_training(
    epochs: int, final_epochs: int, given: dict[str, Any], number: int | None
) -> None:
    settings = SearchSettings("nas_gym/NASNet-v0", **given)
    arguments = {**TINY, "epochs": epochs, "training_seed": 0}
    env = make_environment(settings.env_id, arguments)
    final = None
    if settings.final:
        final = FinalTraining.of(env.memory.evaluator, {"epochs": final_epochs})
    plan, line = planned(settings, arguments, env.memory.evaluator, final, env.reward)
    assert plan == (None if number is None else Finalists(number, settings.finalist_seeds))
    cost = (number or 0) * settings.finalist_seeds * settings.repeats
    assert plan is None or f"{cost} trainings" in str(line)
    refused = plan is None and settings.final and settings.finalists is None
    assert ("--finalists 10 evaluates the best 10 again" in str(line)) == refused


@pytest.mark.parametrize("env_id", [TINY_BENCH, STUB_ID])
def test_what_is_not_trained_has_none(tmp_path: Path, env_id: str) -> None:
    said: list[str] = []
    settings = SearchSettings(env_id, "random", episodes=2, final=False)
    result = search(settings, tmp_path / "none", callbacks=[Calls(on_notice=said.append)])
    assert result.summary["finalists"] is None
    assert not said
    with pytest.raises(InvalidSettings, match=r"the evaluator .* leave --finalists out"):
        search(replace(settings, finalists=3), tmp_path / "run")


def test_a_front_has_no_finalists(tmp_path: Path) -> None:
    settings = SearchSettings("nas_gym/MO-TinyBench-v0", episodes=20)
    assert search(settings, tmp_path / "run").summary["finalists"] is None
    with pytest.raises(InvalidSettings, match="finalists: there are several objectives"):
        search(replace(settings, finalists=3), tmp_path / "other")


def test_the_command_shows_them(tmp_path: Path) -> None:
    words = ["search", CHILDREN_ID, "--agent", "random", "--episodes", "20", "--finalists", "5"]
    shown = nas_gym(*words, "--no-final", "--run", tmp_path / "run")
    assert shown.exit_code == 0, shown.output
    assert "the best 5 are trained with 2 further seeds each, 10 trainings" in shown.stderr
    best = json.loads((tmp_path / "run" / "summary.json").read_text())["best"]
    accuracy = f"{best['validation_accuracy']:.2%}"
    assert f"accuracy {accuracy} (mean of 3 evaluations, best of 5 finalists)" in shown.stdout
    assert "best single evaluation: child " in shown.stdout
