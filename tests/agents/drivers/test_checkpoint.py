"""A resumed search goes on from its last checkpoint, and never refuses."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from nas_agents.cli.terminal.results import describe
from nas_agents.controllers.priority_queue import Decided
from nas_agents.drivers import checkpoint
from nas_agents.drivers.checkpoint import STATE, Checkpoints, differences
from nas_agents.drivers.state import NotPlain, restore, state_of
from nas_agents.runs.callbacks import Callback
from nas_agents.runs.reading import InvalidRunFolder
from nas_agents.runs.run_folder import RunFolder
from nas_agents.search.run import search
from nas_agents.strategies.local_search import LocalSearch
from nas_agents.strategies.model_based import ModelBased
from nas_agents.strategies.random_search import RandomSearch
from nas_agents.strategies.regularized_evolution import RegularizedEvolution
from nas_gym import NASBench201SearchSpace
from nas_gym.pareto import Member
from nas_gym.search_spaces import Choices
from tests.agents.search.test_resume import Killed, killed, settings_for, told, trained
from tests.agents.search.test_run import episodes_of


@pytest.fixture(autouse=True)
def _after_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SHARE", 1e9)


class Notices(Callback):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_notice(self, line: str) -> None:
        self.lines.append(line)


def steps_of_learning(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The steps that an agent makes in its environment from now on, or proposals of a strategy."""
    counts: Counter[str] = Counter()
    update, propose = BaseAlgorithm._update_info_buffer, RegularizedEvolution.propose

    def counted_update(self: Any, *args: Any) -> None:
        counts["steps"] += 1
        update(self, *args)

    def counted_propose(self: Any) -> Choices:
        counts["steps"] += 1
        return propose(self)

    monkeypatch.setattr(BaseAlgorithm, "_update_info_buffer", counted_update)
    monkeypatch.setattr(RegularizedEvolution, "propose", counted_propose)
    return counts


LOCK_STEP: dict[str, Any] = {"envs": 2}
AGENTS: list[tuple[str, dict[str, Any]]] = [
    ("maskable-ppo", {"agent_arguments": {"n_steps": 40, "batch_size": 20}}),
    ("recurrent-ppo", {"agent_arguments": {"n_steps": 40, "batch_size": 40, "n_epochs": 1}}),
    ("nasnet", {"agent_arguments": {"n_steps": 40, "batch_size": 40}}),
    ("reinforce", {"agent_arguments": {"n_episodes": 2, "queue_size": 2}}),
    ("ppo", {**LOCK_STEP, "agent_arguments": {"n_steps": 20, "batch_size": 20}}),
    ("recurrent-ppo", {**LOCK_STEP, "agent_arguments": {"n_steps": 30, "n_epochs": 1}}),
    ("dqn", {}),
    ("sac", {"agent_arguments": {"gradient_steps": 1}}),
    ("dqn", {"agent_arguments": {"train_freq": 7, "gradient_steps": 1}}),
    ("regularized-evolution", {"agent_arguments": {"population": 4, "sample": 2}}),
    ("local-search", {"agent_arguments": {"initial": 2}}),
    ("model-based", {"agent_arguments": {"warm_up": 3, "updates": 2}}),
    ("random", {"agent_arguments": {"repeats": False}}),
    ("tpe", {}),
    ("ars", {"agent_arguments": {"n_delta": 2, "n_top": 1}}),
]


@pytest.mark.parametrize(("agent", "more"), AGENTS)
def test_it_goes_on_to_the_bit(agent: str, more: dict[str, Any], tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    search(settings_for(whole, agent, episodes=14, **more), whole)
    settings = settings_for(parts, agent, episodes=14, **more)
    killed(settings, parts, 7, 10)
    assert (parts / STATE).is_file() == (agent not in ("tpe", "ars"))
    search(settings, parts, resume=True)
    assert told(parts) == told(whole)
    assert trained(parts) == trained(whole)
    if (parts / "updates.jsonl").exists():
        lines = (parts / "updates.jsonl").read_text().splitlines()
        numbers = [json.loads(line)["number"] for line in lines]
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("agent", ["ppo", "dqn", "regularized-evolution"])
def test_nothing_is_repeated(agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    more: dict[str, Any] = {}
    if agent == "ppo":
        more = {"envs": 2, "agent_arguments": {"n_steps": 20, "batch_size": 20}}
    settings = settings_for(run, agent, episodes=20, **more)
    killed(settings, run, 16)
    counts = steps_of_learning(monkeypatch)
    search(settings, run, resume=True)
    assert counts["steps"] <= {"ppo": 3 * 20, "dqn": 5 * 20, "regularized-evolution": 5}[agent]


@pytest.mark.parametrize("agent", ["maskable-ppo", "dqn", "model-based", "tpe"])
@pytest.mark.parametrize("with_state", [True, False])
def test_what_comes_out_otherwise_comes_after(
    agent: str, with_state: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the floats of another machine let the agent choose otherwise."""
    run = tmp_path / "run"
    settings = settings_for(run, agent, episodes=16)
    killed(settings, run, 12)
    before = (run / "episodes.jsonl").read_bytes()
    if not with_state:
        (run / STATE).unlink(missing_ok=True)
    lines = [json.loads(line) for line in before.splitlines()]
    lines[11] = {**lines[11], "reward": 0.123}  # it will not come out in this place
    (run / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    watcher = Notices()
    result = search(settings, run, resume=True, callbacks=[watcher])
    assert result.progress.episodes == 16
    assert episodes_of(run)[:12] == lines
    assert [e["episode"] for e in episodes_of(run)] == list(range(1, 17))
    assert sum("comes out otherwise" in line for line in watcher.lines) == 1
    assert max(trained(run).values()) == 1


@pytest.mark.parametrize("agent", ["maskable-ppo", "dqn", "regularized-evolution"])
@pytest.mark.parametrize(
    "limit", [{"episodes": 10}, {"episodes": 8}, {"target_accuracy": 0.01}, {"seconds": 1e-9}]
)
def test_where_a_limit_is_reached_nothing_is_designed(
    agent: str, limit: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    more: dict[str, Any] = {}
    if agent == "maskable-ppo":
        more = {**LOCK_STEP, "agent_arguments": {"n_steps": 20, "batch_size": 20}}
    settings = settings_for(run, agent, episodes=12, **more)
    save = Checkpoints.save

    def killed_after(self: Checkpoints) -> None:
        save(self)
        if self.recorder.progress.episodes == 10:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "save", killed_after)
        with pytest.raises(Killed):
            search(settings, run)
    before = told(run), trained(run)
    counts = steps_of_learning(monkeypatch)
    result = search(replace(settings, **limit), run, resume=True)
    assert (told(run), trained(run)) == before
    assert counts["steps"] == 0
    assert [result.stopped_by] == [*limit]


@pytest.mark.parametrize("agent", ["maskable-ppo", "model-based"])
@pytest.mark.parametrize("envs", [1, 2])
def test_what_comes_out_otherwise_adds_nothing_where_a_limit_is_reached(
    agent: str, envs: int, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    settings = settings_for(run, agent, episodes=12, envs=envs)
    killed(settings, run, 12)
    (run / STATE).unlink(missing_ok=True)
    lines = episodes_of(run)
    lines[6] = {**lines[6], "reward": 0.123}
    (run / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert search(settings, run, resume=True).stopped_by == "episodes"
    assert episodes_of(run) == lines


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", {"record": {}}, {"record": {"episodes": -1, "digest": ""}}, "cut", "nan"],
)
def test_a_broken_checkpoint_is_passed_over(content: Any, tmp_path: Path) -> None:
    whole, run = tmp_path / "whole", tmp_path / "run"
    search(settings_for(whole, "maskable-ppo", episodes=14), whole)
    settings = settings_for(run, "maskable-ppo", episodes=14)
    killed(settings, run, 12)
    file = run / STATE
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif isinstance(content, dict):
        torch.save(content, file)
    elif content == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        state = torch.load(file, weights_only=True)
        state["search"]["agent"]["parameters"]["policy"].popitem()
        torch.save(state, file)
    search(settings, run, resume=True)
    assert told(run) == told(whole)


def test_a_strangers_checkpoint_runs_no_code(tmp_path: Path) -> None:
    run, called = tmp_path / "run", tmp_path / "called"
    settings = settings_for(run, "maskable-ppo", episodes=14)
    killed(settings, run, 12)

    class Calls:
        def __reduce__(self) -> Any:
            return Path.touch, (called,)

    torch.save({"record": Calls()}, run / STATE)
    search(settings, run, resume=True)
    assert not called.exists()


def test_verify_repeats_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    settings = settings_for(run, "regularized-evolution", episodes=12)
    search(settings, run)
    before = (run / "episodes.jsonl").read_bytes()
    counts = steps_of_learning(monkeypatch)
    verified = search(settings, run, resume=True, verify=True)
    assert counts["steps"] == 12
    assert (run / "episodes.jsonl").read_bytes() == before
    assert describe(verified).splitlines()[0] == "verified: 12 episodes came out as recorded"


def test_what_is_interrupted_while_it_repeats_was_not_finished_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    settings = settings_for(run, "regularized-evolution", episodes=12)
    search(settings, run)
    observed: list[Choices] = []

    def observe(self: Any, choices: Choices, reward: float) -> None:
        observed.append(choices)
        if len(observed) == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(RegularizedEvolution, "observe", observe)
    result = search(settings, run, resume=True, verify=True)
    assert (result.stopped_by, len(observed)) == ("interrupted", 5)
    assert not result.finished_before
    assert json.loads((run / "summary.json").read_text())["episodes"] == 12


def test_other_threads_are_said(tmp_path: Path) -> None:
    run, watcher = tmp_path / "run", Notices()
    settings = settings_for(run, "reinforce", episodes=12)
    killed(settings, run, 6)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        search(settings, run, resume=True, callbacks=[watcher])
    finally:
        torch.set_num_threads(threads)
    said = f"(threads: {threads} then, {threads + 1} now)"
    assert next(line for line in watcher.lines if "floats may differ" in line).endswith(said)
    assert differences({"threads": 1}, {"threads": 1, "instructions": "x"}) == ""


@pytest.mark.parametrize("kind", [RandomSearch, RegularizedEvolution, LocalSearch, ModelBased])
def test_the_state_of_a_strategy(kind: type[Any]) -> None:
    space = NASBench201SearchSpace()
    first, again = kind(space, 1), kind(space, 2)
    for number in range(30):
        choices = first.propose()
        if number % 5:
            first.observe(choices, float(choices.sum()))
    restore(again, torch_round_trip(state_of(first)))
    for _ in range(30):
        one, other = first.propose(), again.propose()
        assert one.tolist() == other.tolist()
        first.observe(one, float(one.sum()))
        again.observe(other, float(other.sum()))


def torch_round_trip(state: Any) -> Any:
    import io

    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


class Odd:
    def __init__(self) -> None:
        self.array = np.zeros((0, 3), dtype=np.float32)
        self.flags = {(1, b"x"): np.array([True, False])}
        self.function: Any = None


def test_states_of_odd_values() -> None:
    one, other = Odd(), Odd()
    one.array = np.arange(6, dtype=np.float32).reshape(2, 3)
    one.flags[(2, b"")] = np.array(False)
    restore(other, torch_round_trip({**state_of(one), "new": 3}))
    assert other.array.tolist() == one.array.tolist()
    assert other.flags.keys() == one.flags.keys()
    assert other.flags[(2, b"")].shape == ()
    assert not hasattr(other, "new")
    values: list[Any] = [len, Counter("a"), [defaultdict(list)], Member((0.5,), "", 1)]
    # What would come back as another thing than it was
    values += [torch.nn.Linear(1, 1), torch.zeros(1, requires_grad=True), [one.flags]]
    for value in values:
        one.function = value
        with pytest.raises(NotPlain):
            state_of(one)
    one.function = "explore"
    restore(other, torch_round_trip(state_of(one)))
    assert other.function == "explore"


class Pair(NamedTuple):
    first: int
    second: Any


def test_named_tuples_stay_what_they_are() -> None:
    one, other = Odd(), Odd()
    one.function = [Pair(1, [Decided(0.5, torch.ones(1), torch.zeros(1), None)])]
    state = torch_round_trip(state_of(one))
    restore(other, state)
    assert other.function[0].second[0].reward == 0.5
    assert type(other.function[0]) is Pair
    for name in (["nas_gym.pareto", "Member"], ["sys", "version_info"], ["json", "loads"]):
        with pytest.raises(TypeError, match="is no class of named tuples"):
            restore(other, {"function": {"kind": "named", "class": name, "items": []}})


def test_a_full_disk_is_an_error_of_the_run_folder(tmp_path: Path) -> None:
    resource: Any = pytest.importorskip("resource")
    folder = RunFolder(tmp_path / "run")
    folder.start()
    recorder: Any = SimpleNamespace(folder=folder, place=dict)
    env: Any = SimpleNamespace(memory=SimpleNamespace(evaluator=None))
    checkpoints = Checkpoints(recorder, env, lambda: torch.zeros(100_000), lambda _: None)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(InvalidRunFolder, match="cannot be written"):
            checkpoints.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    folder.close()
