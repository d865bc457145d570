"""The events of a search."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_agents.runs.callbacks import Callback, Child, Start, Update
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import SearchResult
from nas_agents.search.run import search
from nas_gym import Evaluation
from tests.agents.stubs import STUB_ID


class Events(Callback):
    """All events, in order."""

    def __init__(self) -> None:
        self.all: list[Any] = []

    def on_start(self, start: Start) -> None:
        self.all.append(start)

    def on_child(self, child: Child) -> None:
        assert child.progress.episodes == child.number  # it is live
        self.all.append(child)

    def on_update(self, update: Update) -> None:
        self.all.append(update)

    def on_end(self, result: SearchResult) -> None:
        self.all.append(result)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.all if isinstance(event, kind)]


@pytest.mark.parametrize(("agent", "envs"), [("random", 1), ("random", 5), ("ppo", 1)])
def test_events_are_those_of_the_record(agent: str, envs: int, tmp_path: Path) -> None:
    events, run = Events(), tmp_path / "run"
    result = search(SearchSettings(STUB_ID, agent, 30, envs=envs), run, callbacks=[events])
    (start,) = events.of(Start)
    assert (events.all[0], events.all[-1]) == (start, result)
    assert start.settings == {**json.loads((run / "settings.json").read_text()), **start.settings}

    lines = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    children = events.of(Child)
    assert [child.number for child in children] == list(range(1, 31))
    for child, line in zip(children, lines, strict=True):
        assert isinstance(child.evaluation, Evaluation)
        assert (child.architecture.to_json(), child.reward) == (
            line["architecture"],
            line["reward"],
        )
        assert child.evaluation.accuracy == line["accuracy"]
        assert child.choices.tolist() == line["choices"]
        assert start.env.search_space.decode(child.choices) == child.architecture
    rewards = [child.reward for child in children]
    bests = [reward > max(rewards[:n], default=-1) for n, reward in enumerate(rewards)]
    assert [child.is_best for child in children] == bests

    updates = events.of(Update)
    if agent == "random":
        assert not updates
        assert not any((run / name).exists() for name in ("updates.jsonl", "checkpoint/agent.zip"))
        return
    kept = [json.loads(line) for line in (run / "updates.jsonl").read_text().splitlines()]
    assert [vars(update) for update in updates] == kept
    assert [update.children for update in updates] == [10, 20, 30]
    for update in updates:
        assert update.reward == np.mean(rewards[update.children - 10 : update.children])
        assert update.entropy == -update.logs["train/entropy_loss"] > 0
        assert "rollout/ep_rew_mean" in update.logs


def test_an_interrupted_search_has_an_end_and_a_resumed_one_the_rest(tmp_path: Path) -> None:
    class Stop(Events):
        def on_child(self, child: Child) -> None:
            super().on_child(child)
            if child.number == 4:
                raise KeyboardInterrupt

    first, second, settings = Stop(), Events(), SearchSettings(STUB_ID, "ppo", 8)
    search(settings, tmp_path / "run", callbacks=[first])
    assert first.of(SearchResult)[0].stopped_by == "interrupted"
    search(settings, tmp_path / "run", resume=True, callbacks=[second])
    numbers = [child.number for events in (first, second) for child in events.of(Child)]
    assert numbers == list(range(1, 9))
    third = Events()
    search(settings, tmp_path / "run", resume=True, callbacks=[third])
    assert [type(event) for event in third.all] == [SearchResult]  # it was finished
