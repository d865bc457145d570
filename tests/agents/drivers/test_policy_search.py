"""Searches in which a policy keeps every worker busy, and learns as children end."""

from __future__ import annotations

import json
from concurrent.futures import Future, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from examples.benchmarks.asynchronous import Cluster, Ended
from nas_agents.drivers import asynchronous
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import Architecture, Evaluation, InvalidSettings
from nas_gym.envs import composition
from nas_gym.store import evaluator
from nas_gym.store.rows import Record
from nas_gym.store.writer import Writer
from tests.agents.command import nas_gym
from tests.agents.drivers.test_asynchronous import Threads
from tests.agents.search.test_resume import killed, settings_for, told, trained
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import CHILDREN_ID


class Pool(Cluster):
    """`LocalWorkers` on a fake clock, in which no child is trained."""

    latest: Pool

    def __init__(self, evaluator: Any, workers: int, timeout: None = None) -> None:
        super().__init__(evaluator, workers, controller=False)
        self.fingerprint, self.costs = evaluator.fingerprint, ()
        Pool.latest = self

    def submit(self, architecture: Architecture, repeat: int = 0) -> Any:
        return super().submit(architecture)

    def evaluated(self, architecture: Architecture) -> Evaluation:
        worth = int(architecture.key[:4], 16) / 2**16
        return Evaluation("ok", worth, (worth,), 1.0, 0, self.fingerprint)

    def close(self) -> None:
        """Nothing runs."""


class Queue(Ended):
    """The queue of the latest pool."""

    @property
    def cluster(self) -> Cluster:  # type: ignore[override]
        return Pool.latest


class Written(Writer):
    """Writes before it returns: on a fake clock, writing takes no time."""

    def add(self, *arguments: Any) -> Future[Record]:
        future = super().add(*arguments)
        wait([future])
        return future


@pytest.mark.slow
def test_nasnet_with_its_450_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluator, "Writer", Written)
    monkeypatch.setattr(composition, "LocalWorkers", Pool)
    monkeypatch.setattr(asynchronous, "SimpleQueue", Queue)
    run = tmp_path / "run"
    options = ["--preset", "nasnet-paper", "--workers", "450", "--episodes", "480", "--no-final"]
    smaller = ["--set", "dataset=digits", "--set", "blocks=2", "--finalists", "0"]
    result = nas_gym("search", *options, *smaller, "--run", run)
    assert result.exit_code == 0, result.output
    episodes = episodes_of(run)
    assert len(episodes) == 480
    assert all(e["proposals"] - n == 450 for n, e in enumerate(episodes[:30]))
    assert Pool.latest.busy_share > 0.999
    assert json.loads((run / "settings.json").read_text())["asynchronous"]


@pytest.mark.parametrize("agent", ["maskable-ppo", "reinforce", "nasnet"])
def test_a_policy_on_workers(agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "LocalWorkers", Threads)
    monkeypatch.setattr(Threads, "together", True)
    run = tmp_path / "run"
    given = {"n_episodes": 4} if agent == "reinforce" else {"n_steps": 80, "batch_size": 80}
    settings = settings_for(run, agent, workers=4, agent_arguments=given)
    killed(settings, run, 9)
    before = (run / "episodes.jsonl").read_bytes()
    result = search(replace(settings, workers=3), run, resume=True)
    assert result.stopped_by == "episodes"
    assert (run / "episodes.jsonl").read_bytes().startswith(before)
    assert sorted(e["proposal"] for e in episodes_of(run)) == list(range(1, 21))
    assert max(trained(run).values()) <= 2  # a thread that is killed with its process is in flight
    assert (run / "checkpoint/agent.zip").is_file()


def test_one_worker_is_sequential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "LocalWorkers", Threads)
    runs = []
    for workers in (None, 1):
        run = tmp_path / str(workers)
        search(settings_for(run, "maskable-ppo", workers=workers), run)
        runs.append(told(run))
    assert runs[0] == runs[1]
    assert [e["proposal"] for e in runs[0]] == list(range(1, 21))


def test_a_search_goes_on_as_it_began(tmp_path: Path) -> None:
    """In lock-step, or not, whatever the number of workers is now."""
    run, step = tmp_path / "run", tmp_path / "step"
    killed(settings_for(step, "maskable-ppo", envs=2), step, 6)
    with pytest.raises(InvalidSettings, match=r"workers: the agent designs 2 .*give --workers 2$"):
        search(settings_for(step, "maskable-ppo", envs=2, workers=3), step, resume=True)
    killed(settings_for(run, "maskable-ppo", envs=2, workers=3), run, 6)
    search(settings_for(run, "maskable-ppo", envs=2, workers=1), run, resume=True)
    assert np.all(["proposal" in each for each in episodes_of(run)])


@pytest.mark.parametrize(("agent", "asynchronous"), [("auto", True), ("ppo", True), ("dqn", False)])
def test_a_cluster_has_more_workers_than_networks_at_a_time(
    agent: str, asynchronous: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cluster(evaluator: Any, address: str, workers: None, timeout: None) -> Threads:
        return Threads(evaluator, 4)

    monkeypatch.setattr(composition, "RayWorkers", cluster)
    settings = SearchSettings(CHILDREN_ID, agent, episodes=1_001, ray="auto", envs=2)
    search(replace(settings, target_accuracy=0.01), tmp_path)
    record = json.loads((tmp_path / "settings.json").read_text())
    chosen = "regularized-evolution" if agent == "auto" else agent
    assert (record["chosen_agent"], record["asynchronous"]) == (chosen, asynchronous)


def test_agents_that_cannot_are_refused(tmp_path: Path) -> None:
    settings = SearchSettings("nas_gym/NASBench201-v0", "dqn", workers=2)
    with pytest.raises(InvalidSettings, match=r"workers: the agent designs 1 .*give --envs 4"):
        search(settings, tmp_path / "run")
    with pytest.raises(InvalidSettings, match=r"of which 2 workers .*; leave --workers out$"):
        search(replace(settings, agent="ars"), tmp_path / "run")
