"""A search run: its records, its stop rules, what it leaves behind."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

from nas_agents.runs.progress import MOST_REPEATS, Progress, reached
from nas_agents.runs.reading import InvalidRunFolder
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import SearchResult
from nas_agents.search.evaluators import evaluated_by
from nas_agents.search.final import finish
from nas_agents.search.run import search
from nas_agents.search.subject import subject_of
from nas_gym import Architecture, InvalidSettings, NASEnv, NASGymError, NASNetSearchSpace
from nas_gym.data.loading import load_dataset
from nas_gym.families.nas.network import ChainNetworkSettings
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.models import load_image_model
from nas_gym.search_spaces.cells import ADD
from nas_gym.store.store import Store
from nas_gym.training import early_stopping
from nas_gym.training.presets import final_settings, without
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.tasks.language import LanguageSettings
from tests.agents.command import nas_gym
from tests.agents.stubs import STUB_ID, Calls, Children, each_child


def episodes_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("agent", ["ppo", "maskable-ppo", "a2c", "random"])
def test_every_agent_searches(agent: str, tmp_path: Path) -> None:
    result = search(SearchSettings(STUB_ID, agent, episodes=12), tmp_path / "run")
    records = episodes_of(result.run)
    assert [record["episode"] for record in records] == list(range(1, 13))
    assert result.stopped_by == "episodes"
    assert result.progress.best_reward == pytest.approx(max(r["reward"] for r in records))
    best = Architecture.load(result.run / "best.json")
    first_best = max(records, key=lambda record: record["reward"])
    assert best.to_json() == first_best["architecture"]
    assert (result.run / "best.png").stat().st_size > 0
    assert (result.run / "checkpoint" / "agent.zip").is_file() == (agent != "random")  # a strategy
    assert json.loads((result.run / "summary.json").read_text()) == result.summary
    assert json.loads((result.run / "settings.json").read_text())["agent"] == agent


@pytest.mark.parametrize(
    ("agent", "more"),
    [
        ("ppo", {"envs": 2}),
        ("reinforce", {}),
        ("dqn", {}),
        ("random", {"envs": 2, "episodes": None, "evaluations": 4}),
        ("ppo", {"envs": 2, "agent_arguments": {"verbose": 1, "n_steps": 20, "batch_size": 20}}),
    ],
)
def test_a_search_leaves_nothing_in_the_temporary_folder(
    agent: str,
    more: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("SB3_LOGDIR")
    search(SearchSettings(STUB_ID, agent, **{"episodes": 4, **more}), tmp_path / "run")
    assert list((tmp_path / "temporary").iterdir()) == []
    assert ("ep_rew_mean" in capsys.readouterr().out) == ("agent_arguments" in more)


def test_searches_that_start_in_one_second_have_their_own_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("time.strftime", lambda form: "20260101-120000")
    runs = [search(SearchSettings(STUB_ID, "random", episodes=1)).run for _ in range(3)]
    assert [run.name for run in runs] == [
        *("Stub-v0-random-20260101-120000", "Stub-v0-random-20260101-120000-2"),
        "Stub-v0-random-20260101-120000-3",
    ]
    assert all(len(episodes_of(run)) == 1 for run in runs)


MINE = """
from stable_baselines3 import A2C
from stable_baselines3.common.policies import ActorCriticPolicy

class Mine(A2C):
    pass

class MyPolicy(ActorCriticPolicy):
    pass
"""


@pytest.fixture
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty working directory, which Python does not search for modules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [each for each in sys.path if each])


@pytest.mark.usefixtures("_elsewhere")
def test_an_agent_of_the_working_directory_is_found() -> None:
    Path("mine_of_the_test.py").write_text(MINE)
    agent = "mine_of_the_test:Mine"
    words = ["search", STUB_ID, "--run", "run", "--resume", "--no-final"]
    with pytest.raises(InvalidSettings, match="cannot be imported"):  # not by settings alone
        search(SearchSettings(STUB_ID, agent, episodes=1), Path("other"))
    few = ["--episodes", "2", "--agent-set", "n_steps=10"]
    result = nas_gym(*words, *few, "--agent", agent)
    assert result.exit_code == 0, result.output
    assert len(episodes_of(Path("run"))) == 2
    refused = nas_gym(*words, "--episodes", "3")
    assert (refused.exit_code, "--agent: the run folder asks for" in refused.stderr) == (2, True)


@pytest.mark.usefixtures("_elsewhere")
def test_a_policy_of_the_working_directory_is_found() -> None:
    Path("own_policy_of_the_test.py").write_text(MINE)
    policy = ["--agent-set", "policy=own_policy_of_the_test.MyPolicy"]
    words = ["search", STUB_ID, "--run", "run", "--no-final", "--episodes", "2", "--agent", "a2c"]
    result = nas_gym(*words, *policy)
    assert result.exit_code == 0, result.output


def test_the_same_seed_gives_the_same_episodes(tmp_path: Path) -> None:
    runs = [
        search(SearchSettings(STUB_ID, "ppo", episodes=25, seed=seed), tmp_path / str(number)).run
        for number, seed in enumerate((7, 7, 8))
    ]
    first, again, other = ([e["architecture"] for e in episodes_of(run)] for run in runs)
    assert first == again
    assert first != other


def test_a_real_search_trains_tests_and_leaves_weights(tmp_path: Path) -> None:
    tiny = {"blocks": 1, "filters": 4, "epochs": 1, "operations": ["identity", "1x1 convolution"]}
    settings = SearchSettings(
        "nas_gym/NASNet-v0",
        "random",
        episodes=3,
        env_arguments=tiny,
        final_arguments={"epochs": 2, "filters": 6},
    )
    epochs: list[tuple[int, int]] = []
    result = search(
        settings,
        tmp_path / "run",
        callbacks=[Calls(on_final_epoch=lambda *epoch: epochs.append(epoch))],
    )
    assert epochs == [(1, 2), (2, 2)]
    assert result.progress.statuses == {"ok": 3}
    assert result.final is not None
    assert 0.05 < result.summary["test_accuracy"] <= 1
    digits = load_dataset("digits")
    model = load_image_model(result.run / "model")
    assert model.architecture == Architecture.load(result.run / "best.json")
    found = model.predict(torch.from_numpy(digits.images[digits.test]).permute(0, 3, 1, 2)).classes
    correct = np.array(found) == np.array(digits.classes)[digits.labels[digits.test]]
    assert correct.mean() == pytest.approx(result.final.test_accuracy, abs=0.01)


def test_a_final_training_that_fails_loses_nothing(tmp_path: Path) -> None:
    settings = SearchSettings(
        "nas_gym/NASNet-v0",
        "random",
        episodes=1,
        env_arguments={"blocks": 1, "filters": 2, "epochs": 1},
        final_arguments={"epochs": 1, "learning_rate": 1e30},
    )
    result = search(settings, tmp_path / "run")
    assert result.final is None
    assert "Diverged" in json.loads((result.run / "summary.json").read_text())["final_failure"]
    assert (result.run / "best.json").is_file()


def test_the_final_training_is_longer_and_wider_unless_told() -> None:
    child = TrainingSettings(CellNetworkSettings(cells=1, filters=8), epochs=2)
    final = final_settings(child, {})
    assert (final.epochs, final.network) == (16, CellNetworkSettings(cells=1, filters=16))
    assert final_settings(replace(child, epochs=20), {}).epochs == 160
    given = final_settings(child, {"epochs": 3, "filters": 4, "cutout": 2})
    assert (given.epochs, given.cutout) == (3, 2)
    assert given.network == CellNetworkSettings(cells=1, filters=4)
    with pytest.raises(InvalidSettings, match=r"data_fraction: it is 1.0 here, got 0.5; a final"):
        final_settings(child, {"data_fraction": 0.5})
    with pytest.raises(InvalidSettings, match="epochs: expected"):
        final_settings(child, {"epochs": "ten"})
    chain = final_settings(TrainingSettings(ChainNetworkSettings(filter_scale=0.5)), {})
    assert chain.network == ChainNetworkSettings(filter_scale=1.0)


def test_a_papers_schedule_is_whole_and_fits_the_images() -> None:
    """Nothing of a child's own schedule is left, nor a square that blots out whole images."""
    child = TrainingSettings(
        CellNetworkSettings(cells=1, filters=8),
        optimizer="adamw",
        label_smoothing=0.3,
        warmup_epochs=2,
        ema_decay=0.9,
    )
    final = final_settings(child, {}, "darts", side=8)
    schedule = (final.optimizer, final.label_smoothing, final.warmup_epochs, final.ema_decay)
    assert (*schedule, final.cutout) == ("sgd", 0.0, 0, 0.0, 4)
    assert final_settings(child, {}, "darts", side=32).cutout == 16
    texts = LanguageSettings()
    assert final_settings(texts, {}, "adamw").learning_rate == 2e-3
    assert without(texts, "adamw") == ["label_smoothing"]


def test_the_final_network_keeps_the_limits_of_children_or_it_is_said(tmp_path: Path) -> None:
    run, said = tmp_path / "run", list[str]()
    settings = SearchSettings(
        *("nas_gym/NASNet-v0", "random"),
        episodes=1,
        env_arguments={
            **{"blocks": 1, "filters": 2, "epochs": 1, "operations": ["identity"]},
            "at_most": {"parameters": 1_000},
        },
        final_arguments={"epochs": 1},
    )
    calls = [Calls(on_notice=said.append)]
    result = search(settings, run, callbacks=calls)
    assert result.summary["final"]["parameters"] <= 1_000
    assert not any("at_most" in line for line in said)
    _, again = subject_of(str(run), {}, {})  # of `nas-gym train`
    network: Any = again.settings.network
    assert network.filters == 2
    wider = replace(settings, final_arguments={"epochs": 1, "filters": 32})
    parameters = search(wider, run, resume=True, callbacks=calls).summary["final"]["parameters"]
    [line] = [each for each in said if "at_most" in each]
    assert line.endswith(f"(parameters: {parameters:,}, and at most 1,000 are allowed)")


def test_a_target_stops_the_search(tmp_path: Path) -> None:
    settings = SearchSettings(STUB_ID, "random", episodes=500, target_accuracy=0.375)
    result = search(settings, tmp_path / "run")
    records = episodes_of(result.run)
    assert result.stopped_by == "target_accuracy"
    assert records[-1]["accuracy"] >= 0.375
    assert all(record["accuracy"] < 0.375 for record in records[:-1])


def test_recorded_seconds_stop_the_search(tmp_path: Path) -> None:
    settings = SearchSettings(
        "nas_gym/TinyBench-v0", "ppo", episodes=None, simulated_seconds=3.0, final=False
    )
    result = search(settings, tmp_path / "run")
    assert result.stopped_by == "simulated_seconds"
    paid = [record["seconds"] for record in episodes_of(result.run) if not record["cached"]]
    assert sum(paid[:-1]) < 3.0 <= sum(paid) == result.summary["evaluations"]["seconds"]
    with pytest.raises(InvalidSettings, match="simulated-seconds: this environment records none"):
        search(replace(settings, env_id=STUB_ID), tmp_path / "stub")
    limited = replace(settings, env_arguments={"limit": 3})
    with pytest.raises(InvalidSettings, match="limits: a search has limits of its own"):
        search(limited, tmp_path / "limited")


@pytest.mark.parametrize("agent", ["ppo", "reinforce", "random"])
def test_evaluations_are_counted_without_repeats(tmp_path: Path, agent: str) -> None:
    """More episodes than evaluations are played, beyond those that a rollout was planned for."""
    settings = SearchSettings(
        "nas_gym/TinyBench-v0", agent, episodes=None, evaluations=45, final=False, envs=2
    )
    result = search(settings, tmp_path / "run")
    assert result.stopped_by == "evaluations"
    assert result.progress.made in (45, 46)  # a batch is evaluated as a whole
    keys = {Architecture.from_json(each["architecture"]).key for each in episodes_of(result.run)}
    assert len(keys) == result.progress.made


@pytest.mark.parametrize("agent", ["ppo", "random", "regularized-evolution"])
def test_a_batch_is_no_larger_than_the_search_and_the_last_is_whole(
    tmp_path: Path, agent: str
) -> None:
    few = SearchSettings("nas_gym/TinyBench-v0", agent, episodes=3, final=False, envs=10_000)
    assert search(few, tmp_path / "few").progress.episodes == 3
    uneven = replace(few, episodes=7, envs=5)
    assert search(uneven, tmp_path / "uneven").progress.episodes == 10
    with pytest.raises(InvalidSettings, match=r"envs: .*100000"):
        replace(few, envs=100_000)


def test_a_search_that_designs_nothing_new_ends() -> None:
    progress, limits = Progress(), SearchSettings(STUB_ID, episodes=None, evaluations=9)
    progress.recent.append(0.5)
    progress.made, progress.repeats_in_a_row = 8, MOST_REPEATS - 1
    assert reached(limits, progress) is None
    progress.repeats_in_a_row += 1
    assert reached(limits, progress) == "converged"
    assert reached(replace(limits, evaluations=None, episodes=9), progress) is None
    seconds = SearchSettings(STUB_ID, episodes=None, simulated_seconds=1e9)
    assert reached(seconds, progress) is None
    line = {"elapsed": 0.0, "accuracy": 0.0, "status": "unrecorded", "message": "", "reward": 0.0}
    for cached in [False, True] * (MOST_REPEATS // 2):
        progress.add({**line, "cached": cached, "seconds": 9.0 * cached})
    assert reached(seconds, progress) == "converged"
    progress.add({**line, "cached": False, "seconds": 9.0})
    assert reached(seconds, progress) is None


def test_time_stops_the_search(tmp_path: Path) -> None:
    settings = SearchSettings(STUB_ID, "random", episodes=None, seconds=0.05)
    result = search(settings, tmp_path / "run")
    assert result.stopped_by == "seconds"
    assert result.progress.episodes >= 1


def test_ctrl_c_keeps_what_was_found(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.episodes == 5:
            raise KeyboardInterrupt

    settings = SearchSettings(STUB_ID, "ppo", episodes=50)
    result = search(settings, tmp_path / "run", callbacks=each_child(interrupt))
    assert result.stopped_by == "interrupted"
    assert len(episodes_of(result.run)) == 5
    assert json.loads((result.run / "summary.json").read_text())["episodes"] == 5
    assert (result.run / "best.json").is_file()
    assert PPO.load(result.run / "checkpoint" / "agent.zip").n_steps > 0


def test_a_search_in_which_every_child_fails_ends(tmp_path: Path) -> None:
    settings = SearchSettings(STUB_ID, episodes=10, env_arguments={"fails": True})
    result = search(settings, tmp_path / "run")
    assert result.summary["statuses"] == {"diverged": 10}
    assert result.summary["best"] is None
    assert not (result.run / "best.json").exists()


def test_repeated_children_are_cached(tmp_path: Path) -> None:
    nine = {"blocks": 1, "operations": ["identity"], "combines": [ADD]}  # distinct networks
    settings = SearchSettings(
        "nas_gym/NASNet-v0",
        "random",
        episodes=12,
        final=False,
        env_arguments={"filters": 2, "epochs": 1, **nine},
    )
    result = search(settings, tmp_path / "run")
    records = episodes_of(result.run)
    made = result.summary["evaluations"]["made"]
    assert result.summary["evaluations"]["asked"] == 12
    assert made == sum(not record["cached"] for record in records) <= 9
    assert len({r["reward"] for r in records}) <= made


def test_a_run_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "something").write_text("mine")
    with pytest.raises(InvalidRunFolder, match="is there already, and holds no run"):
        search(SearchSettings(STUB_ID), tmp_path)
    assert (tmp_path / "something").read_text() == "mine"


def test_a_run_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidRunFolder, match="cannot be written"):
        search(SearchSettings(STUB_ID), tmp_path / "file" / "run")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"episodes": None}, "nothing would stop"),
        ({"episodes": 0}, "episodes"),
        ({"seconds": -1.0}, "seconds"),
        ({"target_accuracy": 1.5}, "target_accuracy"),
        ({"seconds": float("inf")}, "seconds: expected a finite number"),
        ({"envs": 10**20}, "envs: expected a number less than or equal to"),
        ({"seed": -1}, "seed"),
        ({"seed": "1"}, "seed: expected a valid integer"),
        ({"seconds": "1"}, "seconds: expected a valid number"),
        ({"env_arguments": None}, "env_arguments: expected a valid dictionary"),
        ({"agent": None}, "agent: expected a valid string"),
    ],
)
def test_bad_limits(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        SearchSettings(STUB_ID, **wrong)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (SearchSettings("nas_gym/NASNett-v0"), "did you mean 'nas_gym/NASNet-v0'"),
        (SearchSettings("CartPole-v1"), "does not take these arguments"),
        (SearchSettings("no_such_module_at_all:Env-v0"), "cannot be made"),
        (SearchSettings(STUB_ID, agent="pppo"), "did you mean 'ppo'"),
        (SearchSettings(STUB_ID, agent="json:loads"), "no Stable-Baselines3 algorithm"),
        (SearchSettings(STUB_ID, agent="no_such_module_at_all:Agent"), "cannot be imported"),
        (SearchSettings(STUB_ID, agent_arguments={"n_stepz": 1}), "n_stepz"),
        (
            SearchSettings(STUB_ID, "maskable-ppo", agent_arguments={"batch_size": 1}, envs=2),
            "batch_size: of .* leave one alone",
        ),
        (SearchSettings(STUB_ID, env_arguments={"blockz": 1}), "blockz"),
        (SearchSettings("nas_gym/NASNet-v0", final_arguments={"epochz": 1}), "epochz"),
        (SearchSettings("nas_gym/NASNet-v0", final_arguments={"epochs": 0}), "epochs"),
    ],
)
def test_bad_settings_leave_no_run_folder(
    settings: SearchSettings, says: str, tmp_path: Path
) -> None:
    with pytest.raises(NASGymError, match=says):
        search(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_early_stopping_keeps_its_curves_in_the_run_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumed search goes on as one that was never interrupted, rule and all."""
    monkeypatch.setattr(early_stopping, "PER_BEST", 4)  # it stops children earlier
    arguments = {
        "filters": 2,
        "epochs": 2,
        "data_fraction": 0.2,
        "early_stopping": {"delta": 0.5},
        "blocks": 1,
    }

    def begun(episodes: int) -> SearchSettings:
        return SearchSettings(
            "nas_gym/NASNet-v0",
            "random",
            episodes=episodes,
            env_arguments=arguments,
            final=False,
        )

    whole = search(begun(14), tmp_path / "whole").run
    curves = (whole / "curves.jsonl").read_text(encoding="utf-8").splitlines()
    lengths = [len(record.evaluation.curve) for record in Store(whole / "evaluations.db").records()]
    assert 1 in lengths
    assert lengths.count(2) == len(curves)
    part = tmp_path / "part"

    def fall(progress: Progress) -> None:
        if progress.episodes == 9:
            raise ConnectionError("the power is gone")

    with pytest.raises(ConnectionError):
        search(begun(14), part, callbacks=each_child(fall))
    search(begun(14), part, resume=True)
    results = [
        [(line["architecture"], line["reward"]) for line in episodes_of(run)]
        for run in (whole, part)
    ]
    assert results[0] == results[1]


def test_workers_end_before_the_final_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = []

    @contextmanager
    def watched(*arguments: Any) -> Iterator[NASEnv]:
        with evaluated_by(*arguments) as env:
            yield env
        events.append("the workers ended")

    def finished(*arguments: Any) -> SearchResult:
        events.append("the final training began")
        return finish(*arguments)

    monkeypatch.setattr("nas_agents.search.run.evaluated_by", watched)
    monkeypatch.setattr("nas_agents.search.run.finish", finished)
    search(SearchSettings(STUB_ID, "random", episodes=2), tmp_path / "run")
    assert events == ["the workers ended", "the final training began"]


def test_a_full_disk_loses_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run"
    tiny = {"blocks": 1, "filters": 2, "epochs": 1, "operations": ["identity"]}
    settings = SearchSettings(
        *("nas_gym/NASNet-v0", "random"),
        episodes=1,
        env_arguments=tiny,
        final_arguments={"epochs": 1},
    )
    search(settings, run)
    files = ("summary.json", "settings.json", "model/weights.safetensors", "model/model.json")
    before = [(run / name).read_bytes() for name in files]

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    again = replace(settings, final_arguments={"epochs": 2})
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(InvalidRunFolder, match=r"No space left on device.*--resume"):
            search(again, run, resume=True)
    assert [(run / name).read_bytes() for name in files] == before
    assert not list(run.glob(".part*"))
    assert search(again, run, resume=True).summary["final"]["epochs"] == 2
    assert load_image_model(run / "model").facts.training["epochs"] == 2


def make_one_hot(training_seed: int = 0) -> NASEnv:
    return NASEnv(NASNetSearchSpace(2), Children(), observation="one-hot")


def test_one_hot_observations_reach_the_agent_and_choices_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = gym.envs.registration.EnvSpec("tests/OneHot-v0", entry_point=make_one_hot)  # type: ignore[arg-type]
    monkeypatch.setitem(gym.registry, spec.id, spec)
    result = search(SearchSettings(spec.id, "a2c", episodes=2, envs=2), tmp_path / "a2c")
    for episode in episodes_of(result.run):
        architecture = Architecture.from_json(episode["architecture"])
        assert NASNetSearchSpace(2).encode(architecture).tolist() == episode["choices"]
    with pytest.raises(InvalidSettings, match="controller: it reads the choices themselves"):
        search(SearchSettings(spec.id, "lstm-ppo", episodes=2, envs=2), tmp_path / "lstm")
