"""Run folders that another process damaged: one line, and nothing in them is changed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest
import torch
from gymnasium import registry

from nas_agents.runs.progress import Progress
from nas_agents.runs.reading import (
    SHARED_WEIGHTS,
    InvalidRunFolder,
    read_episodes,
)
from nas_agents.runs.recorder import NotReproduced
from nas_agents.runs.run_folder import RunFolder
from nas_agents.runs.settings import SearchSettings, load_settings
from nas_agents.search.run import search
from nas_gym import Architecture, InvalidSettings, NASGymError
from nas_gym.store.database import StoreError
from nas_gym.store.rows import Record
from nas_gym.store.store import Store
from tests.agents.command import nas_gym
from tests.agents.search.test_resume import kill_after, killed, settings_for
from tests.agents.search.test_run import episodes_of


def content(run: Path) -> dict[str, bytes]:
    """All files of a run, but for the logs and the empty lock."""
    files = [file for file in run.rglob("*") if file.is_file() and file.name != "lock"]
    kept = [file for file in files if "tensorboard" not in file.parts]
    return {str(file.relative_to(run)): file.read_bytes() for file in kept}


def test_a_resume_that_fails_changes_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = settings_for(run, episodes=8, max_failures=3)
    search(settings, run)
    file = run / "episodes.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    lines[4] = json.dumps({**json.loads(lines[4]), "reward": 0.125}) + "\n"
    file.write_text("".join([*lines, '{"cut sho']))
    before = content(run)
    with pytest.raises(NotReproduced, match="episode 5"):
        search(settings_for(run, episodes=8, max_failures=4), run, resume=True, verify=True)
    assert content(run) == before
    assert "summary.json" in before


def test_a_finished_run_that_cannot_go_on_stays_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    search(settings_for(run, episodes=8, max_failures=3, target_accuracy=0.01), run)
    before = content(run)

    def full(*_: object) -> None:
        raise InvalidRunFolder("no space left")

    further = settings_for(run, episodes=8, max_failures=3, target_accuracy=1.0)
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "add_episode", full)
        with pytest.raises(InvalidRunFolder, match="no space left"):
            search(further, run, resume=True)
    after = content(run)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {"evaluations.db"}
    killed(further, run, 4)
    assert content(run)["summary.json"] == before["summary.json"]
    result = search(load_settings(run), run, resume=True)
    assert result.progress.episodes == 8


def test_a_resume_that_is_interrupted_in_what_is_recorded_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    killed(settings_for(run), run, 8)
    before = content(run)
    add = Progress.add

    def interrupted(progress: Progress, record: dict[str, object]) -> bool:
        if progress.episodes == 4:
            raise KeyboardInterrupt
        return add(progress, record)

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "add", interrupted)
        assert search(settings_for(run), run, resume=True).stopped_by == "interrupted"
    assert content(run) == before
    assert search(settings_for(run), run, resume=True).progress.episodes == 20


@pytest.mark.parametrize("name", ["episodes.jsonl", "settings.json", "best.json"])
def test_a_pipe_does_not_hang(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(settings_for(run, "random", episodes=2), run)
    (run / name).unlink()
    os.mkfifo(run / name)
    with pytest.raises(NASGymError):
        search(settings_for(run, "random", episodes=2), run, resume=True)


@pytest.mark.parametrize("name", ["checkpoint", "model", "tensorboard"])
def test_a_file_in_the_place_of_a_folder(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(settings_for(run, "random", episodes=2), run)
    shutil.rmtree(run / name, ignore_errors=True)
    (run / name).touch()
    before = content(run)
    with pytest.raises(InvalidRunFolder, match="cannot be written"):
        search(settings_for(run, "random", episodes=4), run, resume=True)
    assert content(run) == before


@pytest.mark.parametrize("name", ["checkpoint/agent.zip", "updates.jsonl", "report.html"])
def test_a_folder_in_the_place_of_a_file(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(settings_for(run, episodes=2), run)
    (run / name).unlink(missing_ok=True)
    (run / name).mkdir()
    before = content(run)
    with pytest.raises(InvalidRunFolder, match="cannot be written"):
        search(settings_for(run, episodes=4), run, resume=True)
    assert content(run) == before


def test_a_line_of_json_nested_too_deep(tmp_path: Path) -> None:
    (tmp_path / "episodes.jsonl").write_text("[" * 3000 + "]" * 3000 + "\n")
    with pytest.raises(InvalidRunFolder, match=r"line 1 of .* is not JSON: nested"):
        read_episodes(tmp_path / "episodes.jsonl", {})


@pytest.mark.parametrize("name", ["episodes.jsonl", "settings.json"])
def test_a_pipe_does_not_hang_a_comparison(name: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(settings_for(run, "random", episodes=2), run)
    (run / name).unlink()
    os.mkfifo(run / name)
    result = nas_gym("compare", str(run))
    assert result.exit_code == 2
    assert f"{name}: cannot be read: it is not a regular file" in result.stderr


@pytest.mark.parametrize("agent", ["ppo", "random"])
def test_a_resume_that_a_corrupt_store_ends_changes_nothing(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store fails at the first child that is new: the record of the run still stands."""
    run = tmp_path / "run"
    interrupt = kill_after(4, by=KeyboardInterrupt)
    assert search(settings_for(run, agent), run, callbacks=interrupt).stopped_by == "interrupted"
    before, get = content(run), Store.get

    def corrupt(store: Store, key: str, fingerprint: str, repeat: int, run: str) -> Record | None:
        found = get(store, key, fingerprint, repeat, run)
        if found is None:
            raise StoreError("store: it is corrupt")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Store, "get", corrupt)
        with pytest.raises(StoreError, match="corrupt"):
            search(settings_for(run, agent, max_failures=7), run, resume=True)
    after = content(run)
    assert "summary.json" in after
    assert {name: after[name] for name in before if ".db" not in name} == {
        name: before[name] for name in before if ".db" not in name
    }
    assert search(settings_for(run, agent), run, resume=True).progress.episodes == 20


@pytest.mark.parametrize("damage", ["text", "other"])
def test_damaged_shared_weights_are_named(damage: str, tmp_path: Path) -> None:
    tiny = {"evaluator": "weight-sharing", "layers": 2, "filters": 2, "batch_size": 256}
    settings = SearchSettings(
        "nas_gym/ENASMacro-v0", "random", episodes=11, env_arguments=tiny, final=False
    )
    run = tmp_path / "run"
    search(settings, run)
    (run / "summary.json").unlink()
    file = run / SHARED_WEIGHTS
    if damage == "text":
        file.write_text("no weights")
    else:
        torch.save({"episodes": 11, "shared": {}}, file)
    with pytest.raises(InvalidRunFolder, match=r"shared_weights.pt holds no .*; remove it, and"):
        search(settings, run, resume=True)
    assert len(episodes_of(run)) == 11


def test_runs_of_ones_own_environment_are_shown_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a process that has not imported the module, its kind of architectures is not known."""
    (tmp_path / "own_networks.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    settings = SearchSettings("own_networks:own/Net-v0", "random", episodes=4, final=False)
    search(settings, run)

    def forget() -> None:
        sys.modules.pop("own_networks")
        Architecture._kinds.pop("own_kind")
        registry.pop("own/Net-v0")

    forget()
    for command in ("compare", "show"):  # a folder's settings have nothing imported
        failed = nas_gym(command, str(run))
        assert failed.exit_code == 2
        assert failed.stderr.count("\n") == 1
        assert "--module" in failed.stderr
        assert "own_networks" not in sys.modules
        assert "cut it off" not in failed.stderr
    result = nas_gym("compare", str(run), "--module", "own_networks", "--json")
    assert result.exit_code == 0, result.stderr
    forget()
    (tmp_path / "own_networks.py").unlink()
    failed = nas_gym("show", str(run), "--module", "own_networks")
    assert failed.exit_code == 2
    assert "module: 'own_networks' cannot be imported" in failed.stderr


def test_a_store_is_no_argument_of_the_environment() -> None:
    url = "postgresql://me:hunter2@host/db"  # it would be written down with its password
    with pytest.raises(InvalidSettings, match=r"store: .* give --store instead") as refused:
        SearchSettings("nas_gym/NASNet-v0", episodes=1, env_arguments={"store": url})
    assert "hunter2" not in str(refused.value)


NESTED = {"proposer_arguments": {"policy": "os.system"}}


@pytest.mark.parametrize(
    ("fields", "option"),
    [
        ({"agent": "os:system"}, "--agent"),
        ({"env_id": "antigravity:x/Y-v0"}, "the environment"),
        ({"agent_arguments": {"policy": "os.system"}}, "--agent-set policy"),
        ({"agent_made_with": {"policy": "os.system"}}, "--agent-set policy"),
        ({"agent_arguments": {"proposer": "os:system"}}, "--agent-set proposer"),
        ({"agent_made_with": {"proposer": "os:system"}}, "--agent-set proposer"),
        ({"agent_arguments": NESTED}, "--agent-set proposer_arguments"),
        ({"agent_made_with": NESTED}, "--agent-set policy"),
        ({"agent_made_with": {"tensorboard_log": "/x"}}, "--agent-set tensorboard_log"),
        ({"agent_arguments": {"tensorboard_log": "/x"}}, "--agent-set tensorboard_log"),
        ({"store": "../other.db"}, "--store"),
        ({"store": "postgresql://host/db"}, "--store"),
        ({"ray": "elsewhere:6379"}, "--ray"),
        ({"env_arguments": {"early_stopping": {"curves": "../x"}}}, "--set early_stopping"),
        ({"env_arguments": {"inherit_weights": "../x"}}, "--set inherit_weights"),
        ({"env_arguments": {"weights": "../x"}}, "--set weights"),
    ],
)
def test_what_settings_would_have_imported_or_written_is_asked_for_again(
    fields: dict[str, object], option: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    search(settings_for(run, "ppo", episodes=2), run)
    file = run / "settings.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))
    before = content(run)
    result = nas_gym("search", "--run", str(run), "--resume")
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith(f"nas-gym: error: {option}: the run folder asks for")
    assert content(run) == before
    if "agent_made_with" not in fields:
        with pytest.raises(InvalidSettings, match="the run folder asks for"):
            load_settings(run)
        load_settings(run, trusted=True)


def test_a_final_training_that_failed_is_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise RuntimeError("no luck")

    monkeypatch.setattr("nas_agents.search.final.train_model", failing)
    small = ["--set", "filters=2", "--set", "blocks=1", "--set", "epochs=1"]
    small += ["--set", "data_fraction=0.1", "--agent", "random", "--episodes", "1"]
    result = nas_gym("search", "nas_gym/NASNet-v0", *small, "--run", str(tmp_path / "run"))
    assert result.exit_code == 1, result.output
    assert "the final training failed: RuntimeError: no luck" in result.stderr
    assert "--resume" in result.stderr


OWN = """
from dataclasses import dataclass

import gymnasium as gym

from nas_gym import Architecture, Decision, NASEnv, SearchSpace
from tests.helpers import StubEvaluator


@dataclass(frozen=True)
class OwnArchitecture(Architecture, kind="own_kind"):
    choices: tuple

    def body(self):
        return {"choices": list(self.choices)}

    @classmethod
    def from_body(cls, body):
        return cls(tuple(body["choices"]))


class OwnSpace(SearchSpace):
    def __init__(self):
        super().__init__("own", [Decision(f"d{n}", ("a", "b", "c")) for n in range(3)])

    def decode(self, choices):
        return OwnArchitecture(tuple(int(choice) for choice in choices))

    def encode(self, architecture):
        return architecture.choices


gym.register("own/Net-v0", entry_point=lambda training_seed=0: NASEnv(OwnSpace(), StubEvaluator()))
"""
