"""A search that is killed goes on as if it had not been."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_agents.cli.terminal.search_options import settings_from
from nas_agents.report.children import band_of, read_runs
from nas_agents.runs.callbacks import Callback
from nas_agents.runs.comparison import compare
from nas_agents.runs.progress import Progress
from nas_agents.runs.reading import InvalidRunFolder
from nas_agents.runs.recorder import NotReproduced
from nas_agents.runs.run_folder import RunFolder
from nas_agents.runs.settings import SearchSettings, load_settings, resumed_settings
from nas_agents.search.run import search
from nas_agents.strategies.random_search import RandomSearch
from nas_gym import InvalidSettings
from nas_gym.models import load_model
from nas_gym.networks import count_parameters
from nas_gym.store.database import StoreError
from nas_gym.store.store import Store
from tests.agents.command import nas_gym
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import CHILDREN_ID, STUB_ID, Calls, each_child

TIMES = ("elapsed", "seconds")


class Killed(BaseException):
    """Stands for SIGKILL: nothing is tidied up after it that a killed process would not leave."""


def kill_after(episodes: int, by: type[BaseException] = Killed) -> list[Callback]:
    def kill(progress: Progress) -> None:
        if progress.episodes == episodes:
            raise by

    return each_child(kill)


def told(run: Path) -> list[dict[str, Any]]:
    """What the episodes of a run tell but for times."""
    return [
        {name: value for name, value in episode.items() if name not in TIMES}
        for episode in episodes_of(run)
    ]


def settings_for(run: Path, agent: str = "ppo", **more: Any) -> SearchSettings:
    """A search of 20 children, whose trainings are written into ``<run>.trained``."""
    trained = {"file": f"{run}.trained"}
    return SearchSettings(CHILDREN_ID, agent, **{"episodes": 20, "env_arguments": trained, **more})


def trained(run: Path) -> Counter[str]:
    """How often each architecture was trained."""
    return Counter(Path(f"{run}.trained").read_text().split())


def killed(settings: SearchSettings, run: Path, *after: int) -> None:
    """A search that is killed after each of these episodes, and resumed in between."""
    for episodes in after:
        with pytest.raises(Killed):
            search(settings, run, True, kill_after(episodes))


@pytest.mark.parametrize(
    ("agent", "more"),
    [
        ("ppo", {}),
        ("maskable-ppo", {"envs": 3}),
        ("recurrent-ppo", {"agent_arguments": {"n_epochs": 1}}),
        ("dqn", {}),
        ("sac", {"agent_arguments": {"gradient_steps": 1}}),
        ("ars", {"agent_arguments": {"n_delta": 2, "n_top": 1}}),
        ("random", {}),
        ("a2c", {"repeats": 2}),
    ],
)
def test_a_killed_search_does_what_it_would_have_done(
    agent: str, more: dict[str, Any], tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    expected = search(settings_for(whole, agent, episodes=15, **more), whole)
    settings = settings_for(parts, agent, episodes=15, **more)
    killed(settings, parts, 5, 6, 12)
    result = search(settings, parts, resume=True)
    assert told(parts) == told(whole)
    assert trained(parts) == trained(whole)
    assert max(trained(parts).values()) == more.get("repeats", 1)
    assert result.stopped_by == "episodes"
    assert result.progress.resumed == 12
    for name in ("evaluations", "statuses", "best", "episodes"):
        now, then = result.summary[name], expected.summary[name]
        assert now == then or {**now, "seconds": 0} == {**then, "seconds": 0}
    best = [json.loads((run / "best.json").read_text()) for run in (whole, parts)]
    assert best[0] == best[1]


def test_a_child_that_was_evaluated_but_not_recorded_is_not_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    add_episode = RunFolder.add_episode

    def killed_before(folder: RunFolder, record: dict[str, Any]) -> None:
        if record["episode"] == 6:
            raise Killed
        add_episode(folder, record)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "add_episode", killed_before)
        with pytest.raises(Killed):
            search(settings_for(run), run)
    assert len(trained(run)) == 6
    search(settings_for(run), run, resume=True)
    assert set(trained(run).values()) == {1}
    assert [episode["cached"] for episode in episodes_of(run)] == [False] * 20


def test_a_line_that_was_cut_short_is_dropped(tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    search(settings_for(whole), whole)
    killed(settings_for(run), run, 8)
    file = run / "episodes.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    search(settings_for(run), run, resume=True)
    assert told(run) == told(whole)


@pytest.mark.parametrize(("episodes", "cut"), [(12, 10), (10, 0)])
def test_an_update_that_was_cut_short_or_missed_is_written_later(
    episodes: int, cut: int, tmp_path: Path
) -> None:
    """A process may die between the line of a child and that of the update after it."""
    run = tmp_path / "run"
    killed(settings_for(run, "a2c"), run, episodes)
    file = run / "updates.jsonl"
    text = file.read_bytes()
    file.write_bytes(text[: len(text) - cut])
    search(settings_for(run, "a2c"), run, resume=True)
    updates = read_runs([run])[0].updates
    places = [(each["number"], each["children"]) for each in updates]
    assert places == [(1, 5), (2, 10), (3, 15), (4, 20)]


def test_updates_after_an_episode_that_comes_out_otherwise_have_numbers_of_their_own(
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    killed(settings_for(run, "a2c"), run, 12)
    file = run / "episodes.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[2]["reward"] = 0.123
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    search(settings_for(run, "a2c"), run, resume=True)
    assert [each["number"] for each in read_runs([run])[0].updates] == [1, 2, 3, 4]


def test_what_is_recorded_is_taken_over_and_not_rewritten(tmp_path: Path) -> None:
    run = tmp_path / "run"
    killed(settings_for(run), run, 8)
    before = (run / "episodes.jsonl").read_bytes()
    seen: list[int] = []
    watching = each_child(lambda progress: seen.append(progress.episodes))
    search(settings_for(run), run, True, watching)
    assert (run / "episodes.jsonl").read_bytes().startswith(before)
    assert seen == list(range(9, 21))


def test_a_record_that_does_not_come_again_stops_the_search(tmp_path: Path) -> None:
    run = tmp_path / "run"
    killed(settings_for(run), run, 8)
    lines = (run / "episodes.jsonl").read_text().splitlines(keepends=True)
    lines[4] = json.dumps({**json.loads(lines[4]), "reward": 0.125}) + "\n"
    (run / "episodes.jsonl").write_text("".join(lines))
    with pytest.raises(NotReproduced, match=r"episode 5 .* has the reward .*0\.125 is recorded"):
        search(settings_for(run), run, resume=True, verify=True)
    assert (run / "episodes.jsonl").read_text() == "".join(lines)


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    run = tmp_path / "run"
    killed(settings_for(run), run, 8)
    lines = (run / "episodes.jsonl").read_text().splitlines(keepends=True)
    (run / "episodes.jsonl").write_text("".join([*lines[:3], "{broken\n", *lines[3:]]))
    with pytest.raises(InvalidRunFolder, match="line 4 of"):
        search(settings_for(run), run, resume=True)


def resumed_with(run: Path, file: str, text: str) -> str:
    """What the command says that resumes a run with another file: one line, and exit code 2."""
    (run / file).write_text(text)
    result = nas_gym("search", "--resume", "--run", run)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("nas-gym: error: run: ")
    assert result.stderr.count("\n") == 1
    assert f"{run / file}" in result.stderr
    return result.stderr


@pytest.mark.parametrize("agent", ["ppo", "random"])
def test_a_line_that_lacks_something_is_named(agent: str, tmp_path: Path) -> None:
    run, finished = tmp_path / "run", tmp_path / "finished"
    killed(settings_for(run, agent), run, 3)
    search(settings_for(finished, agent, episodes=3), finished)
    first, *others = (run / "episodes.jsonl").read_text().splitlines(keepends=True)[:3]
    record = json.loads(first)
    wrong = {f"has no {name!r}": {n: record[n] for n in record if n != name} for name in record}
    wrong |= {f"has [] for {name!r}": {**record, name: []} for name in record}
    wrong |= {"has '[/red]' for 'status'": {**record, "status": "[/red]"}}
    for folder in (run, finished):
        for says, line in wrong.items():
            if folder == finished and "'proposal" in says:  # nothing is proposed any more
                continue
            text = "".join([first, json.dumps(line) + "\n", *others[1:]])
            told = resumed_with(folder, "episodes.jsonl", text)
            assert f"line 2 of {folder / 'episodes.jsonl'} {says}; put the file right" in told
    text = "".join([json.dumps({**record, "architecture": "x", "reward": 1.0}) + "\n", *others])
    assert "line 1 of" in resumed_with(finished, "episodes.jsonl", text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "has no 'env_id'"),
        ("[]", "is no JSON object"),
        ("{", "settings.json: not JSON: "),
        ("[" * 3000 + "]" * 3000, "nested more than"),
        ('{"env_id": "an id", "seed": ' + "1" * 5000 + "}", "an integer of 5,000 digits"),
        ('{"env_id": "an id", "run": 3}', "has 3 for 'run'"),
        ('{"env_id": "an id", "fingerprint": [1]}', "has [1] for 'fingerprint'"),
        ('{"env_id": "an id", "seed": "x"}', "is not valid: seed: expected a valid integer"),
    ],
)
def test_settings_that_are_none_are_named(text: str, says: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    killed(settings_for(run), run, 3)
    assert says in resumed_with(run, "settings.json", text)
    with pytest.raises(InvalidRunFolder, match="put the file right"):
        search(settings_for(run), run, resume=True)
    assert len(episodes_of(run)) == 3


def test_a_summary_that_is_none_is_named_and_can_be_removed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    finally_trained(run, {"epochs": 1})
    summary = json.loads((run / "summary.json").read_text())
    wrong = {
        "not JSON: ": "{",
        "is no JSON object": "[]",
        "has no 'stopped_by'": "{}",
        "has 'x' for 'stopped_by'": json.dumps({**summary, "stopped_by": "x"}),
        "has no 'final'": json.dumps({n: summary[n] for n in summary if n != "final"}),
        "has no 'made'": json.dumps({**summary, "evaluations": {}}),
        "has no 'test_accuracy'": json.dumps({**summary, "final": {}}),
    }
    for says, text in wrong.items():
        message = resumed_with(run, "summary.json", text)
        assert f"{says}" in message
        assert "; remove it, and resume the run" in message
        assert nas_gym("compare", run).exit_code == 0  # which needs none
    (run / "summary.json").unlink()
    search(load_settings(run), run, resume=True)
    assert final_training(run)["epochs"] == 1


def test_a_best_architecture_that_is_none_is_named_and_can_be_made_anew(tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(settings_for(run), run)
    best = (run / "best.json").read_text()
    for text in ("{", "[]", "{}"):
        assert "; remove summary.json, and resume" in resumed_with(run, "best.json", text)
    (run / "summary.json").unlink()
    search(settings_for(run), run, resume=True)
    assert (run / "best.json").read_text() == best


def test_what_changes_the_sequence_cannot_be_changed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = settings_for(run)
    killed(settings, run, 3)
    wrong: dict[str, Any] = {
        "env_id": STUB_ID,
        "agent": "a2c",
        "seed": 1,
        "envs": 2,
        "repeats": 2,
        "env_arguments": {"blocks": 3},
        "agent_arguments": {"n_epochs": 3},
    }
    for name, value in wrong.items():
        with pytest.raises(InvalidSettings, match="goes on as it began"):
            search(replace(settings, **{name: value}), run, resume=True)
    result = search(replace(settings, max_failures=3, target_accuracy=0.9), run, resume=True)
    assert result.progress.episodes == 20
    assert json.loads((run / "settings.json").read_text())["max_failures"] == 3


@pytest.mark.parametrize("agent", ["ppo", "regularized-evolution", "auto"])
def test_a_finished_search_goes_on_with_more_episodes(agent: str, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    search(settings_for(whole, agent, episodes=25), whole)
    first = search(settings_for(run, agent, episodes=12), run)
    assert (first.stopped_by, first.progress.episodes) == ("episodes", 12)
    for episodes in (20, 25):
        result = search(settings_for(run, agent, episodes=episodes), run, resume=True)
        assert result.summary["episodes"] == episodes
    assert told(run) == told(whole)
    assert max(trained(run).values()) == 1
    assert load_settings(run).episodes == 25
    fewer = search(settings_for(run, agent, episodes=5), run, resume=True)
    assert fewer.summary["episodes"] == 25


def test_a_final_training_stands_where_more_episodes_find_nothing_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RandomSearch, "propose", lambda *_: np.ones(6, np.int64))
    only = {"epochs": 1, "filters": 2, "cells": 1}
    settings = SearchSettings(
        *("nas_gym/NASBench201-v0", "random"),
        episodes=1,
        env_arguments={**only, "data_fraction": 0.1},
        final_arguments={"epochs": 1, "filters": 2},
        finalists=0,
    )
    run = tmp_path / "run"
    before = search(settings, run).summary
    result = search(replace(settings, episodes=2), run, resume=True)
    assert result.final is None
    assert result.summary["episodes"] == 2
    assert before["final"] is not None
    for name in ("final", "test_accuracy"):
        assert result.summary[name] == before[name]
    assert json.loads((run / "summary.json").read_text()) == result.summary


def test_whole_batches_beyond_the_plan_are_no_extension(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "run", "dqn", episodes=10)
    settings = replace(settings, envs=4, final=False)
    assert search(settings, tmp_path / "run").progress.episodes == 12
    assert search(settings, tmp_path / "run", resume=True).progress.episodes == 12


def test_more_episodes_are_refused_where_they_change_the_first_ones(tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(settings_for(run, "dqn", episodes=6), run)
    before = (run / "summary.json").read_bytes()
    with pytest.raises(InvalidSettings, match=r"episodes: the agent explores for a share"):
        search(settings_for(run, "dqn", episodes=7), run, resume=True)
    assert (run / "summary.json").read_bytes() == before


def test_episodes_beyond_the_plan_are_no_extension(tmp_path: Path) -> None:
    """Repeats are free, so there are more episodes than the evaluations that were planned for."""
    whole, run = tmp_path / "whole", tmp_path / "run"
    few: dict[str, Any] = {"episodes": None, "evaluations": 20, "final": False}
    few["agent_arguments"] = {"gradient_steps": 6}  # with which it soon repeats itself
    settings = SearchSettings("nas_gym/TinyBench-v0", "dqn", **few)
    search(settings, whole)
    assert len(told(whole)) > 25
    killed(settings, run, 25)
    search(settings, run, resume=True)
    assert told(run) == told(whole)


def test_children_that_would_be_trained_otherwise_are_refused(tmp_path: Path) -> None:
    run = tmp_path / "run"
    killed(settings_for(run), run, 3)
    record = json.loads((run / "settings.json").read_text())
    (run / "settings.json").write_text(json.dumps({**record, "fingerprint": "another"}))
    with pytest.raises(InvalidRunFolder, match="would be trained otherwise"):
        search(settings_for(run), run, resume=True)


def test_resuming_what_was_never_started_starts_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    folder = RunFolder(run)  # as a process leaves it that is killed while it loads its data
    folder.close()
    assert search(settings_for(run), run, resume=True).progress.episodes == 20
    assert search(settings_for(run), tmp_path / "new", resume=True).progress.episodes == 20
    opened, left = tmp_path / "opened", tmp_path / "left"  # and while it makes its agent
    opened.mkdir()
    with Store(opened / "evaluations.db"):
        shutil.copytree(opened, left)
    assert {"evaluations.db", "evaluations.db-wal"} <= {each.name for each in left.iterdir()}
    assert search(settings_for(left), left, resume=True).progress.episodes == 20


def test_a_finished_search_has_nothing_left_to_do(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = search(settings_for(run), run)
    before = {file: file.stat().st_mtime_ns for file in run.glob("*.*")}
    again = search(settings_for(run), run, resume=True)
    assert again.finished_before
    assert not first.finished_before
    assert again.summary == first.summary
    assert again.progress.best_architecture == first.progress.best_architecture
    unchanged = {file: file.stat().st_mtime_ns for file in run.glob("*.*")}
    assert {f: t for f, t in unchanged.items() if f.name != "settings.json"} == {
        f: t for f, t in before.items() if f.name != "settings.json"
    }


def test_only_the_final_training_is_left(tmp_path: Path) -> None:
    run = tmp_path / "run"
    tiny = {"blocks": 1, "filters": 2, "epochs": 1, "operations": ["identity"]}
    settings = SearchSettings(
        "nas_gym/NASNet-v0", "random", episodes=1, env_arguments=tiny, final=False
    )
    search(settings, run)
    episodes = (run / "episodes.jsonl").read_bytes()
    with_final = replace(settings, final=True, final_arguments={"epochs": 1})
    epochs: list[tuple[int, int]] = []
    shown = [Calls(on_final_epoch=lambda *epoch: epochs.append(epoch))]
    result = search(with_final, run, resume=True, callbacks=shown)
    assert epochs == [(1, 1)]
    assert result.finished_before
    assert 0 < result.summary["test_accuracy"] <= 1
    assert load_model(run / "model").facts.metrics["test_accuracy"] > 0
    assert (run / "episodes.jsonl").read_bytes() == episodes
    again = search(with_final, run, resume=True, callbacks=shown)
    assert epochs == [(1, 1)]
    assert again.summary == result.summary


def test_the_seconds_of_a_later_final_training_come_on_top(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = finally_trained(run, {"epochs": 1})
    summary = json.loads((run / "summary.json").read_text())
    finalists = 1000.0  # after the last child
    longer = {name: summary[name] + finalists for name in ("search_seconds", "seconds")}
    (run / "summary.json").write_text(json.dumps({**summary, **longer}))
    again = search(replace(settings, final_arguments={"epochs": 2}), run, resume=True)
    seconds = again.summary["final"]["seconds"]
    assert longer["seconds"] + seconds <= again.summary["seconds"] < longer["seconds"] + 100


WEIGHTS = "model/weights.safetensors"
FINAL_FILES = ("settings.json", "summary.json", WEIGHTS)


def final_training(run: Path) -> dict[str, Any]:
    """The settings of the final training that a run tells of; all of its files tell of the same."""
    summary, settings = (
        json.loads((run / name).read_text()) for name in ("summary.json", "settings.json")
    )
    trained: dict[str, Any] = summary["final"]["training"]
    assert settings["final_training"] == trained
    assert summary["final"]["epochs"] == trained["epochs"]
    assert summary["final"]["test_accuracy"] == summary["test_accuracy"]
    model = load_model(run / "model")
    assert count_parameters(model.network) == summary["final"]["parameters"]
    assert {**model.facts.training, "network": model.facts.network} == trained
    return trained


def finally_trained(run: Path, given: dict[str, Any], **more: Any) -> SearchSettings:
    """A finished search, ``given`` settings of its final training, and what may be given anew."""
    tiny = {"blocks": 1, "filters": 2, "epochs": 1, "operations": ["3x3 convolution"]}
    settings = SearchSettings(
        *("nas_gym/NASNet-v0", "random"),
        episodes=1,
        env_arguments=tiny,
        final_arguments=given,
        **more,
    )
    search(settings, run)
    return settings


def test_a_final_training_asked_for_otherwise_is_done_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = finally_trained(run, {"epochs": 1})
    assert (final_training(run)["epochs"], final_training(run)["network"]["filters"]) == (1, 4)
    epochs: list[tuple[int, int]] = []
    shown = [Calls(on_final_epoch=lambda *epoch: epochs.append(epoch))]
    wider = replace(settings, final_arguments={"epochs": 2, "filters": 3})
    (run / "worst_images.json").write_text("[]")  # a report's, of the earlier model
    result = search(wider, run, resume=True, callbacks=shown)
    assert epochs == [(1, 2), (2, 2)]
    assert result.finished_before
    assert json.loads((run / "summary.json").read_text()) == result.summary
    assert not (run / "worst_images.json").exists()
    assert json.loads((run / "settings.json").read_text())["final_arguments"]["epochs"] == 2
    assert (final_training(run)["epochs"], final_training(run)["network"]["filters"]) == (2, 3)


def test_a_final_training_asked_for_as_it_was_done_is_not_done_again(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = finally_trained(run, {"epochs": 1})
    before = [(run / name).read_bytes() for name in FINAL_FILES]
    the_same = replace(settings, final_arguments={"filters": 4, "epochs": 1})
    for asked in (settings, replace(settings, final=False), the_same, settings):
        result = search(asked, run, resume=True)
        assert result.final is None
        assert result.summary["final"]["epochs"] == 1
    assert [(run / name).read_bytes() for name in FINAL_FILES] == before


def test_a_finished_search_in_another_place_is_still_finished(tmp_path: Path) -> None:
    """Where early stopping keeps its curves is no matter of the final training."""
    tiny = {"blocks": 1, "filters": 2, "epochs": 1, "early_stopping": {}, "data_fraction": 0.5}
    settings = SearchSettings(
        *("nas_gym/NASNet-v0", "random"),
        episodes=1,
        env_arguments=tiny,
        final_arguments={"epochs": 1},
    )
    search(settings, tmp_path / "run")
    assert final_training(tmp_path / "run")["data_fraction"] == 1.0
    moved = (tmp_path / "run").rename(tmp_path / "moved")
    assert search(settings, moved, resume=True).final is None


def test_a_final_training_stands_until_another_one_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    settings = finally_trained(run, {"epochs": 1})
    before = [(run / name).read_bytes() for name in FINAL_FILES]

    def interrupt(epoch: int, epochs: int) -> None:
        raise KeyboardInterrupt

    longer = replace(settings, final_arguments={"epochs": 2})
    stopped = [Calls(on_final_epoch=interrupt)]
    assert search(longer, run, resume=True, callbacks=stopped).stopped_by == "interrupted"
    assert [(run / name).read_bytes() for name in FINAL_FILES] == before

    diverging = replace(settings, final_arguments={"epochs": 1, "learning_rate": 1e30})
    failed = search(diverging, run, resume=True)
    assert (failed.final, failed.stopped_by) == (None, "episodes")
    assert "Diverged" in failed.summary["final_failure"]
    assert failed.summary["final_failure"].endswith("the earlier one stands")
    assert final_training(run)["learning_rate"] == 0.1
    assert (run / WEIGHTS).read_bytes() == before[2]

    write_file, written = RunFolder.write, []

    def killed_at(folder: RunFolder, killing: str, name: str, data: object) -> None:
        written.append(name)
        if name == killing:
            raise Killed
        write_file(folder, name, data)

    for killing, kept in (("summary.json", True), ("settings.json", False)):
        with monkeypatch.context() as patch:
            patch.setattr(RunFolder, "write", partialmethod(killed_at, killing))
            with pytest.raises(Killed):
                search(longer, run, resume=True)
        assert ((run / WEIGHTS).read_bytes() == before[2]) is kept
        assert (json.loads((run / "summary.json").read_text())["final"] is not None) is kept
    assert written == ["summary.json", "summary.json", "settings.json"]
    assert search(longer, run, resume=True).summary["final_failure"] == ""
    assert final_training(run)["epochs"] == 2


def test_a_search_that_time_ended_goes_on_with_its_final_training(tmp_path: Path) -> None:
    """Its last child may have ended long before: with workers, those under way are not recorded."""
    run = tmp_path / "run"
    tiny = {"blocks": 1, "filters": 2, "epochs": 1, "data_fraction": 0.1}
    settings = SearchSettings(
        *("nas_gym/NASNet-v0", "random"),
        episodes=None,
        seconds=0.1,
        env_arguments=tiny,
        final_arguments={"epochs": 2},
    )

    def interrupt(epoch: int, epochs: int) -> None:
        raise KeyboardInterrupt

    stopped = search(settings, run, callbacks=[Calls(on_final_epoch=interrupt)])
    assert (stopped.stopped_by, stopped.summary["stopped_by"]) == ("interrupted", "interrupted")
    assert (run / "checkpoint/final.pt").is_file()
    recorded = "".join(json.dumps({**line, "elapsed": 0.0}) + "\n" for line in episodes_of(run))
    (run / "episodes.jsonl").write_text(recorded)
    result = search(settings, run, resume=True)
    assert (run / "episodes.jsonl").read_text() == recorded
    assert (result.stopped_by, result.summary["stopped_by"]) == ("seconds", "seconds")
    assert result.summary["final"]["epochs"] == 2


def test_an_interrupted_search_goes_on(tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    search(settings_for(whole), whole)
    interrupt = kill_after(5, by=KeyboardInterrupt)
    assert search(settings_for(run), run, callbacks=interrupt).stopped_by == "interrupted"
    assert search(settings_for(run), run, resume=True).stopped_by == "episodes"
    assert told(run) == told(whole)


def test_the_time_of_all_processes_counts(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = settings_for(run, episodes=None, seconds=1000.0)
    killed(settings, run, 5)
    lines = [{**episode, "elapsed": 999.0} for episode in episodes_of(run)]
    lines[-1]["elapsed"] = 1000.5
    (run / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = search(settings, run, resume=True)
    assert result.stopped_by == "seconds"
    assert result.progress.episodes == 5
    reached = max(episode["accuracy"] for episode in lines)
    longer = replace(settings, seconds=2000.0, target_accuracy=reached)
    further = search(longer, run, resume=True)
    assert further.stopped_by == "target_accuracy"  # reached by what was recorded
    assert further.progress.episodes == 5
    assert further.summary["search_seconds"] >= 1000.5


def test_a_limit_may_be_given_beside_that_of_episodes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    asked = {"env_id": "nas_gym/TinyBench-v0", "agent": "random", "run": run}
    search(settings_from({**asked, "episodes": 5}), run)
    for limit in ({"seconds": 600.0}, {"target_accuracy": 0.99}):
        resumed = settings_from({"run": run, "resume": True, **limit})
        assert (resumed.episodes, {name: getattr(resumed, name) for name in limit}) == (5, limit)
        assert settings_from({**asked, **limit}).episodes is None  # a new search has it alone
        preset = settings_from({"preset": "nas-laptop", **limit})
        assert preset.episodes == 96


def test_a_run_has_one_process_at_a_time(tmp_path: Path) -> None:
    run = tmp_path / "run"
    killed(settings_for(run), run, 3)
    folder = RunFolder(run, resume=True)
    with pytest.raises(InvalidRunFolder, match="another process works in"):
        search(settings_for(run), run, resume=True)
    folder.close()
    assert search(settings_for(run), run, resume=True).progress.episodes == 20


def test_what_a_failed_start_leaves_is_removed_before_another_process_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, discard = tmp_path / "run", RunFolder.discard

    def while_another_starts(folder: RunFolder) -> None:
        with pytest.raises(InvalidRunFolder, match="another process works in"):
            RunFolder(run)
        discard(folder)

    monkeypatch.setattr(RunFolder, "discard", while_another_starts)
    with pytest.raises(InvalidSettings, match="agent: 'nobody'"):
        search(settings_for(run, "nobody"), run)
    assert not run.exists()


def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    search(settings_for(whole), whole)
    write, written = os.write, 0

    def full(descriptor: int, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, data[:200] if written > 5 else data)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(InvalidRunFolder, match=r"No space left on device.*--resume"):
            search(settings_for(run), run)
    assert 5 <= len(episodes_of(run)) < 9  # nothing but whole lines
    search(settings_for(run), run, resume=True)
    assert told(run) == told(whole)
    assert trained(run) == trained(whole)


def test_a_store_that_fails_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    search(settings_for(whole), whole)
    add = Store.add_rows

    def locked(store: Store, *args: Any) -> Any:
        if store.size() == 6:
            raise StoreError("store: it is locked")
        return add(store, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_rows", locked)
        with pytest.raises(StoreError, match="it is locked"):
            search(settings_for(run), run)
    assert len(episodes_of(run)) == 6
    search(settings_for(run), run, resume=True)
    assert told(run) == told(whole)


def test_a_store_of_another_run_answers(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    store = str(tmp_path / "shared.db")
    first = search(settings_for(run, store=store), run)
    second = search(settings_for(other, store=store), other)
    assert not (other / "evaluations.db").exists()
    assert [e["reward"] for e in episodes_of(other)] == [e["reward"] for e in episodes_of(run)]
    assert first.summary["evaluations"]["made"] == len(trained(run))
    assert second.summary["evaluations"] == {"asked": 20, "made": 0, "cached": 20, "seconds": 0}
    assert not Path(f"{other}.trained").exists()


class Notices(Callback):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_notice(self, notice: str) -> None:
        self.lines.append(notice)


def test_another_store_than_before_is_said(tmp_path: Path) -> None:
    run, heard = tmp_path / "run", Notices()
    store = str(tmp_path / "shared.db")
    killed(settings_for(run), run, 5)
    search(settings_for(run, store=store, episodes=10), run, True, [heard])
    assert [line for line in heard.lines if line.startswith("store:")] == [
        f"store: now {store}, before the run's evaluations.db; a child that only the other one has "
        "is trained again where the search asks for it once more"
    ]
    again = Notices()
    search(settings_for(run, store=store), run, True, [again])
    assert not any(line.startswith("store:") for line in again.lines)


def test_what_another_store_has_is_not_trained_before_it_is_asked_for(tmp_path: Path) -> None:
    run, store = tmp_path / "run", str(tmp_path / "other.db")
    search(settings_for(run, "random"), run)
    once = sum(trained(run).values())
    assert (run / "checkpoint" / "state.pt").is_file()
    search(settings_for(run, "random", episodes=23, store=store), run, resume=True)
    assert once < sum(trained(run).values()) <= once + 3


def test_random_children_in_the_store_are_what_a_search_is_compared_with(tmp_path: Path) -> None:
    run, other = tmp_path / "run", tmp_path / "other"
    store = str(tmp_path / "shared.db")
    random = search(settings_for(other, "random", store=store), other)
    assert random.summary["random_search"] is None  # its own children are no comparison
    summary = search(settings_for(run, store=store, episodes=10), run).summary
    accuracies = np.array([each["accuracy"] for each in episodes_of(other)])
    assert summary["random_stored"] == len({each["architecture"] for each in episodes_of(other)})
    assert 0 < summary["random_search"] <= accuracies.max()
    [*_, source] = band_of(read_runs([run])) or [""]
    assert source == f"random search, from {summary['random_stored']} random children in the store"


ENV = "nas_gym/NASNet-v0"
TINY = ["--set", "blocks=1", "--set", "filters=2", "--set", "epochs=1", "--no-final"]


def started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nas_agents.cli.main", "search", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_sigkill(tmp_path: Path) -> None:
    """A real search with real workers; it goes on without them, and is interrupted later."""
    run = tmp_path / "run"
    more = ["--episodes", "100000", "--envs", "2", "--workers", "2"]  # than it can do
    process = started(ENV, *more, *TINY, "--run", str(run), "--resume")
    deadline = time.monotonic() + 300
    while not (run / "episodes.jsonl").exists() or len(episodes_of(run)) < 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    later = kill_after(len(episodes_of(run)) + 4, by=KeyboardInterrupt)
    settings = SearchSettings(
        ENV,
        episodes=100_000,
        envs=2,
        env_arguments={"blocks": 1, "filters": 2, "epochs": 1},
        final=False,
    )
    resumed = search(settings, run, True, later)
    whole = search(settings, tmp_path / "whole", callbacks=later)
    assert told(run) == told(whole.run)
    assert resumed.summary["best"] == whole.summary["best"]
    with Store(run / "evaluations.db") as store:
        assert store.size() == whole.summary["evaluations"]["made"]


def on_pets(dataset: str, folder: Path) -> SearchSettings:
    """A search of one child on twelve images, which are made if need be."""
    rng = np.random.default_rng(0)
    for name, place in itertools.product(("cat", "dog"), range(6)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(256, size=(8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name / f"{place}.png")
    tiny = {"epochs": 1, "filters": 2, "cells": 1, "image_size": 8, "batch_size": 2}
    arguments = {**tiny, "dataset": dataset}
    return SearchSettings(
        *("nas_gym/NASBench201-v0", "random"), episodes=1, env_arguments=arguments, final=False
    )


def test_a_data_set_is_found_from_any_working_directory_and_may_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run, pets = tmp_path / "run", tmp_path / "pets"
    search(on_pets("./pets", pets), run)
    record = json.loads((run / "settings.json").read_text())
    assert record["env_arguments"]["dataset"] == str(pets)
    search(replace(on_pets("pets", pets), seed=1), tmp_path / "other")
    assert compare([run, tmp_path / "other"])[0].runs == 2

    monkeypatch.chdir("/")
    moved = pets.rename(tmp_path / "moved")
    result = search(on_pets(str(moved), moved), run, resume=True)
    assert result.finished_before
    search(load_settings(run), run, resume=True)


def test_inherited_weights_are_found_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, run = tmp_path / "elsewhere", tmp_path / "run"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    settings = on_pets("pets", tmp_path / "pets")
    arguments = {**settings.env_arguments, "inherit_weights": "weights"}
    settings = replace(settings, env_arguments=arguments)
    search(settings, run)
    saved = load_settings(run, trusted=True)
    assert saved.env_arguments["inherit_weights"] == str(tmp_path / "weights")
    again = {"env_arguments": {"inherit_weights": "weights"}, "episodes": 2}
    assert resumed_settings(saved, again).episodes == 2

    monkeypatch.chdir(elsewhere)
    search(replace(saved, episodes=2), run, resume=True)
    assert list(elsewhere.iterdir()) == []
    with pytest.raises(InvalidSettings, match="--set inherit_weights: a resumed search goes on"):
        resumed_settings(saved, again)


def test_images_that_changed_are_the_reason_why_a_search_cannot_go_on(tmp_path: Path) -> None:
    settings, run = on_pets(str(tmp_path / "pets"), tmp_path / "pets"), tmp_path / "run"
    search(settings, run)
    record = json.loads((run / "settings.json").read_text())
    assert record["data"]["classes"] == {"cat": 6, "dog": 6}

    Image.new("RGB", (8, 8)).save(tmp_path / "pets" / "dog" / "7.png")
    with pytest.raises(InvalidRunFolder, match=r"the data changed .*12 images before, 13 images"):
        search(settings, run, resume=True)
