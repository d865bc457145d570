"""Searches by ASHA: their records, over a store and a table, and that a killed one goes on."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nas_agents.callbacks.scalars import ScalarCallback
from nas_agents.runs.comparison import children
from nas_agents.runs.reading import read_episodes
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import Architecture, Evaluation, NASEnv, NASNetSearchSpace, Table
from nas_gym.envs import composition
from nas_gym.evaluation.evaluator import partial_fingerprint
from nas_gym.networks.fused import Fused
from tests.agents.command import nas_gym
from tests.agents.drivers.test_asynchronous import Threads
from tests.agents.search.test_resume import Killed, kill_after, told
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import Children

PARTS_ID, FRAME_ID = "nas_gym_tests/Parts-v0", "nas_gym_tests/Frame-v0"


class PartChildren(Children):
    """Children of nine epochs, worth more with each."""

    fidelities = tuple(range(1, 10))

    def evaluate_one(
        self, architecture: Architecture, repeat: int = 0, epochs: int | None = None
    ) -> Evaluation:
        made = super().evaluate_one(architecture, repeat)
        share = (epochs or 9) / 10
        return replace(
            made,
            accuracy=made.accuracy * share,
            fingerprint=partial_fingerprint(self.fingerprint, epochs),
        )


def make_parts(training_seed: int = 0, file: str | None = None, fragile: bool = False) -> NASEnv:
    return NASEnv(NASNetSearchSpace(2), PartChildren(file, fragile))


def make_frame(training_seed: int = 0) -> NASEnv:
    search_space, rng = NASNetSearchSpace(1), np.random.default_rng(0)
    texts = [search_space.decode(search_space.sample(rng)).to_json() for _ in range(300)]
    frame: dict[str, list[Any]] = {n: [] for n in ("architecture", "epochs", "accuracy", "seconds")}
    for number, text in enumerate(dict.fromkeys(texts)):
        for epochs in (2, 6, 18):
            row = (text, epochs, number % 50 / 100 + epochs / 100, 10.0 * epochs)
            for name, value in zip(frame, row, strict=True):
                frame[name].append(value)
    return NASEnv(search_space, Table.from_frame(search_space, frame))


gym.register(PARTS_ID, make_parts)  # type: ignore[arg-type]
gym.register(FRAME_ID, make_frame)  # type: ignore[arg-type]


def settings_for(run: Path, **more: Any) -> SearchSettings:
    trained = {"file": f"{run}.trained"}
    return SearchSettings(PARTS_ID, "asha", **{"episodes": 60, "env_arguments": trained, **more})


def test_the_record_names_the_epochs_and_only_full_trainings_are_the_best(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = search(settings_for(run), run)
    records = episodes_of(run)
    assert Counter(str(record["epochs"]) for record in records) == result.summary["epochs"]
    assert set(result.summary["epochs"]) == {"1", "3", "9"}
    assert [record["partial"] for record in records] == [r["epochs"] < 9 for r in records]
    best = max((r for r in records if not r["partial"]), key=lambda record: record["reward"])
    assert result.summary["best"]["episode"] == best["episode"]
    assert json.loads((run / "best.json").read_text()) == json.loads(best["architecture"])
    assert [a > 0 for a in children(run).accuracies] == [
        r["accuracy"] > 0 and not r["partial"] for r in records
    ]
    known = set()
    for record in records:  # each goes on from the rung below, and none twice
        at = record["architecture"], record["epochs"]
        assert at not in known
        assert record["epochs"] == 1 or (at[0], at[1] // 3) in known
        known.add(at)


@pytest.mark.parametrize(
    ("proposer", "arguments"),
    [
        ("random", {}),
        ("regularized-evolution", {"population": 5, "sample": 2}),
        ("reinforce", {}),
        ("ppo", {"n_epochs": 1}),
    ],
)
def test_a_killed_search_goes_on_as_if_it_had_not_been(
    proposer: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    own = {"proposer": proposer, "proposer_arguments": arguments}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    search(settings_for(whole, agent_arguments=own, episodes=40), whole)
    settings = settings_for(broken, agent_arguments=own, episodes=40)
    for after in (5, 6, 23):
        with pytest.raises(Killed):
            search(settings, broken, True, kill_after(after))
    search(settings, broken, True)
    assert told(broken) == told(whole)
    assert Path(f"{broken}.trained").read_text() == Path(f"{whole}.trained").read_text()
    assert {record["epochs"] for record in told(whole)} >= {1, 3}
    search(replace(settings, episodes=50), broken, True)  # a longer one
    assert told(broken)[:40] == told(whole)


def test_workers_wait_for_nobody_and_a_killed_search_trains_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class PartThreads(Threads):
        def submit(
            self, architecture: Architecture, repeat: int = 0, epochs: int | None = None
        ) -> Any:
            evaluate: Any = self.evaluator.evaluate_one
            return self._threads.submit(evaluate, architecture, repeat, epochs)

        @property
        def fidelities(self) -> Any:
            return PartChildren.fidelities

    monkeypatch.setattr(composition, "LocalWorkers", PartThreads)
    run = tmp_path / "run"
    settings = settings_for(run, workers=3)
    with pytest.raises(Killed):
        search(settings, run, True, kill_after(31))
    search(settings, run, True)
    pairs = Counter((r["architecture"], r["epochs"]) for r in episodes_of(run))
    assert max(pairs.values()) == 1
    assert len(Path(f"{run}.trained").read_text().split()) <= 60 + 3  # those under way then


def test_a_table_of_several_epochs_is_paid_for_part_by_part(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = search(SearchSettings(FRAME_ID, "asha", episodes=None, simulated_seconds=3000.0), run)
    records = episodes_of(run)
    paid: Counter[str] = Counter()
    for record in records:
        paid[record["architecture"]] += record["seconds"]
        assert paid[record["architecture"]] == 10.0 * record["epochs"]
    assert {record["epochs"] for record in records} == {2, 6, 18}
    assert result.stopped_by == "simulated_seconds"
    assert sum(record["seconds"] for record in records) == result.progress.training_seconds
    best = result.summary["best"]["validation_accuracy"]
    assert best == max(r["accuracy"] for r in records if r["epochs"] == 18)
    assert result.summary["random_search"] is None


def test_parts_are_not_compared_with_random_search(tmp_path: Path) -> None:
    """As in the summary: where a part is an evaluation, random search has no equal number."""
    written: list[str] = []

    class Scalars(ScalarCallback):
        def write(self, scalars: dict[str, float], step: int) -> None:
            written.extend(scalars)

    for agent in ("random", "asha"):
        settings = SearchSettings(FRAME_ID, agent, 10, final=False)
        search(settings, tmp_path / agent, callbacks=[Scalars()])
        assert ("random/mean" in written) == (agent == "random")
        written.clear()


def test_a_killed_search_of_a_table_goes_on(tmp_path: Path) -> None:
    settings = SearchSettings(FRAME_ID, "asha", episodes=50)
    search(settings, tmp_path / "whole")
    with pytest.raises(Killed):
        search(settings, tmp_path / "broken", True, kill_after(29))
    search(settings, tmp_path / "broken", True)
    names = ("architecture", "epochs", "reward", "seconds")
    whole, broken = (
        [[record[name] for name in names] for record in episodes_of(tmp_path / run)]
        for run in ("whole", "broken")
    )
    assert broken == whole


@pytest.mark.parametrize("repeats", [1, 2])
def test_children_go_on_from_their_weights(
    repeats: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here all repeats of each as one network."""
    groups: list[int] = []
    monkeypatch.setattr(Fused, "check", lambda self, inputs: groups.append(len(self)))
    run = tmp_path / "run"
    small = {"blocks": 1, "cells": 1, "filters": 2, "epochs": 4, "data_fraction": 0.2}
    own = {"eta": 2, "lowest": 2}
    settings = SearchSettings(
        *("nas_gym/NASNet-v0", "asha"),
        episodes=7,
        final=False,
        env_arguments={"dataset": "digits", "device": "cpu", "fused": repeats, **small},
        agent_arguments=own,
        repeats=repeats,
    )
    search(settings, run)
    records = read_episodes(run / "episodes.jsonl", {})
    states = Counter(each.name.partition("-")[0] for each in (run / "children").iterdir())
    waiting = {Architecture.from_json(r["architecture"]).key for r in records if r["partial"]}
    waiting -= {Architecture.from_json(r["architecture"]).key for r in records if not r["partial"]}
    assert states == dict.fromkeys(waiting, repeats)
    assert groups == ([2] * 7 if repeats == 2 else [])
    assert len(waiting) < len([r for r in records if r["partial"]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["nas_gym_tests/Children-v0"], "needs children that can be evaluated after fewer epochs"),
        ([PARTS_ID, "--envs", "4"], "give --envs 1, or more --workers"),
        ([PARTS_ID, "--agent-set", "proposer=dqn"], "proposer: dqn proposes no architecture"),
        ([PARTS_ID, "--agent-set", "proposer=asha"], "proposer: asha proposes no architecture"),
        ([PARTS_ID, "--agent-set", "proposer=nobody"], "agent: 'nobody' is not known"),
        ([PARTS_ID, "--agent-set", "proposer=auto"], "'auto' stands for what a search chooses"),
        ([PARTS_ID, "--agent-set", "proposer_arguments=3"], "expected an object of arguments"),
        ([PARTS_ID, "--agent-set", 'proposer_arguments={"a": 1}'], "random has no argument"),
        ([PARTS_ID, "--agent-set", "eta=1"], "eta: expected a number greater"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    options: list[str], message: str, tmp_path: Path
) -> None:
    arguments = ["search", *options, "--agent", "asha", "--run", str(tmp_path / "run")]
    result = nas_gym(*arguments, "--episodes", "5")
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert result.output.count("\n") < 4
