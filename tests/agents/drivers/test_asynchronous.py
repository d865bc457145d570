"""Strategies driven asynchronously: every worker busy, and what was recorded comes again."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier, Event, Lock
from types import SimpleNamespace
from typing import Any

import pytest

from nas_agents.drivers.asynchronous import AsynchronousSearch
from nas_agents.drivers.driver import ended_in_time
from nas_agents.runs.callbacks import Callback
from nas_agents.runs.recorder import NotReproduced, Recorder
from nas_agents.runs.run_folder import RunFolder
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.finalists import Finalists
from nas_agents.search.run import search
from nas_agents.strategies import Strategy
from nas_gym import Architecture, Evaluation, NASEnv, NASSearchSpace
from nas_gym.envs import composition
from nas_gym.evaluation.evaluator import ChildEvaluator
from nas_gym.search_spaces import Choices
from tests.agents.search.test_resume import Killed, killed, settings_for, told, trained
from tests.agents.search.test_run import episodes_of
from tests.helpers import StubEvaluator

EVOLUTION = {"agent_arguments": {"population": 5, "sample": 2}}


class Threads:
    """`LocalWorkers` with threads, whose children take a random time.

    If ``together``, the first ones wait for each other: all workers have to be busy at a time.
    """

    together = False

    def __init__(
        self,
        evaluator: ChildEvaluator,
        workers: int,
        timeout: float | None = None,
    ) -> None:
        self.evaluator, self.workers = evaluator, workers
        self.fingerprint = evaluator.fingerprint
        self._threads, self._lock = ThreadPoolExecutor(workers), Lock()
        self._begun, self._all_busy = 0, Barrier(workers, timeout=60)

    def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
        return self._threads.submit(self._evaluate, architecture, repeat)

    def _evaluate(self, architecture: Architecture, repeat: int) -> Evaluation:
        with self._lock:
            self._begun += 1
            first = self._begun <= self.workers
        if self.together and first:
            self._all_busy.wait()
        time.sleep(random.Random().uniform(0, 0.003))
        with self._lock:
            return self.evaluator.evaluate_one(architecture, repeat)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "LocalWorkers", Threads)


def test_one_worker_is_sequential(tmp_path: Path) -> None:
    runs = {}
    for name, more in {"none": {}, "one": {"workers": 1}}.items():
        run = tmp_path / name
        search(settings_for(run, "regularized-evolution", **EVOLUTION, **more), run)
        runs[name] = told(run)
    assert runs["none"] == runs["one"]
    assert [e["proposal"] for e in runs["none"]] == list(range(1, 21))
    assert [e["proposals"] for e in runs["none"]] == list(range(1, 21))


def test_all_workers_are_busy_and_every_proposal_is_observed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Threads, "together", True)
    run = tmp_path / "run"
    settings = settings_for(run, "regularized-evolution", workers=4, episodes=60, **EVOLUTION)
    result = search(settings, run)
    episodes = episodes_of(run)
    assert result.stopped_by == "episodes"
    assert sorted(episode["proposal"] for episode in episodes) == list(range(1, 61))
    assert max(trained(run).values()) == 1
    for observed, episode in enumerate(episodes):
        assert episode["proposals"] - observed <= 4  # no more under way than workers
    assert all(e["proposals"] - n == 4 for n, e in enumerate(episodes[:50]))
    assert result.summary["evaluations"]["made"] == len(trained(run))
    counts = result.summary["evaluations"]
    assert counts["asked"] == counts["made"] + counts["cached"] == 60


@pytest.mark.parametrize("agent", ["random", "regularized-evolution"])
def test_a_killed_search_keeps_its_order_and_trains_nothing_twice(
    agent: str, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    more = EVOLUTION if agent != "random" else {}
    settings = settings_for(run, agent, workers=3, episodes=40, **more)
    recorded: list[bytes] = []
    for after in (9, 10, 25):
        killed(settings, run, after)
        recorded.append((run / "episodes.jsonl").read_bytes())
    result = search(settings, run, resume=True)
    final = (run / "episodes.jsonl").read_bytes()
    assert all(final.startswith(before) for before in recorded)
    assert result.progress.episodes == 40
    assert sorted(e["proposal"] for e in episodes_of(run)) == list(range(1, 41))
    assert max(trained(run).values()) <= 2  # a thread that is killed with its process is in flight
    (run / "summary.json").unlink()  # all of it comes again, in the recorded order
    again = search(settings, run, resume=True)
    assert (run / "episodes.jsonl").read_bytes() == final
    assert again.progress.resumed == 40


def test_the_number_of_workers_may_change(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = settings_for(run, "regularized-evolution", workers=4, episodes=30, **EVOLUTION)
    killed(settings, run, 10)
    result = search(
        settings_for(run, "regularized-evolution", workers=1, episodes=30, **EVOLUTION),
        run,
        resume=True,
    )
    assert result.progress.episodes == 30
    episodes = episodes_of(run)
    assert sorted(e["proposal"] for e in episodes) == list(range(1, 31))
    assert episodes[-1]["proposals"] == 30
    assert [e["proposal"] for e in episodes[14:]] == list(range(15, 31))  # one after the other


def test_another_order_is_not_reproduced(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = settings_for(run, "random", workers=2)
    killed(settings, run, 10)
    lines = episodes_of(run)
    lines[3]["proposal"], lines[4]["proposal"] = lines[4]["proposal"], lines[3]["proposal"]
    (run / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(NotReproduced, match="episode 4 of"):
        search(settings, run, resume=True, verify=True)
    lines[3]["proposal"] = 1_000
    (run / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(NotReproduced, match=r"episode 4 of .* another proposal"):
        search(settings, run, resume=True, verify=True)
    assert search(settings, run, resume=True).progress.episodes == 20
    assert episodes_of(run)[:10] == lines


def test_lock_step_agents_use_all_workers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Threads, "together", True)
    whole, run = tmp_path / "whole", tmp_path / "run"
    search(settings_for(whole, "maskable-ppo", envs=6), whole)
    settings = settings_for(run, "maskable-ppo", envs=6, workers=3)
    killed(settings, run, 8)
    search(settings, run, resume=True)
    assert told(run) == told(whole)


class LastChoices(Strategy):
    """Always proposes the last choice of everything."""

    def propose(self) -> Choices:
        return self.search_space.encode(self.search_space.decode(self._last))

    @property
    def _last(self) -> Any:
        return [number - 1 for number in self.search_space.num_valid]

    def observe(self, choices: Choices, reward: float) -> None:
        assert choices.tolist() == self._last


def test_a_search_space_that_grows_bounds_proposals(tmp_path: Path) -> None:
    search_space = NASSearchSpace(layers=3, depth_schedule=[1, 1, 2])
    env = NASEnv(search_space, StubEvaluator())
    folder = RunFolder(tmp_path / "run")
    limits = SearchSettings("an id", episodes=5)
    recorder = Recorder(folder, limits, Callback(), {})
    AsynchronousSearch(LastChoices(search_space), env).run(recorder)
    folder.close()
    depths = [len(json.loads(e["architecture"])["layers"]) for e in episodes_of(folder.path)]
    assert depths == [1, 1, 2, 2, 3]


class FirstEnds(Threads):
    """Its first child ends at once, and the others when they are cancelled."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.waiting: list[Future[Evaluation]] | None = None

    def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
        if self.waiting is None:
            self.waiting = []
            return super().submit(architecture, repeat)
        self.waiting.append(Future())
        return self.waiting[-1]

    def cancel(self) -> None:
        for future in self.waiting or ():
            if not future.done():
                future.set_exception(CancelledError())


def test_children_under_way_end_with_the_search_and_are_trained_when_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        patched.setattr(composition, "LocalWorkers", FirstEnds)
        settings = settings_for(run, "regularized-evolution", workers=2, **EVOLUTION)
        settings = replace(settings, seconds=0.01)
        assert search(settings, run).stopped_by == "seconds"
    [first] = episodes_of(run)
    result = search(replace(settings, seconds=None), run, resume=True)
    assert (result.stopped_by, result.progress.episodes) == ("episodes", 20)
    assert episodes_of(run)[0] == first
    assert sorted(e["proposal"] for e in episodes_of(run)) == list(range(1, 21))
    assert max(trained(run).values()) == 1


def test_a_search_that_time_ended_goes_on_with_its_finalists(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    monkeypatch.setattr(composition, "LocalWorkers", FirstEnds)
    run = tmp_path / "run"
    settings = settings_for(run, "random", workers=2, episodes=None, seconds=0.3, finalists=1)
    with monkeypatch.context() as patched:
        patched.setattr(Finalists, "decide", die)
        with pytest.raises(Killed):
            search(settings, run)
    monkeypatch.setattr(composition, "LocalWorkers", Threads)
    result = search(settings, run, resume=True)
    assert (result.stopped_by, result.progress.episodes) == ("seconds", 1)
    assert len(result.summary["finalists"]["standing"]) == 1
    assert search(settings, run, resume=True, verify=True).verified == 1


def test_children_under_way_are_ended_before_finalists_are_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancelled: list[int] = []
    monkeypatch.setattr(Threads, "cancel", lambda pool: cancelled.append(1), raising=False)
    run = tmp_path / "run"
    settings = settings_for(run, "random", workers=2, target_accuracy=1e-6)
    assert search(settings, run).stopped_by == "target_accuracy"
    assert cancelled == [1]


def test_nothing_is_cancelled_after_the_search() -> None:
    """The time is over just as the search ends: what follows, the finalists' trainings, goes on."""
    looking = Event()
    looks: list[float] = []
    cancelled: list[float] = []

    class Standing:
        episodes = 1

        @property
        def seconds(self) -> float:
            looks.append(5.0)
            if len(looks) == 2:  # the first one says how long to wait
                looking.set()
                time.sleep(0.1)
            return 5.0

    limits = SimpleNamespace(seconds=0.01)
    recorder: Any = SimpleNamespace(limits=limits, progress=Standing(), replaying=False)
    with ended_in_time(recorder, lambda: cancelled.append(time.perf_counter())):
        looking.wait()
    over = time.perf_counter()
    time.sleep(0.4)
    assert all(moment <= over for moment in cancelled)
