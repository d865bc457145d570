"""Children that fail, what is counted of them, and the options about them on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from nas_agents.catalogue.presets import PRESETS
from nas_agents.cli.main import app
from nas_agents.cli.terminal.search_options import settings_from
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.evaluators import lasting_store
from nas_agents.search.run import search
from nas_gym.search_spaces.cells import ADD
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import CHILDREN_ID, STUB_ID


def nas_gym(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["search", *arguments])


def test_a_search_in_which_every_child_fails_stops(tmp_path: Path) -> None:
    settings = SearchSettings(
        STUB_ID, "random", episodes=50, max_failures=6, env_arguments={"fails": True}
    )
    result = search(settings, tmp_path / "run")
    assert result.stopped_by == "failures"
    assert len(episodes_of(result.run)) == result.summary["statuses"]["diverged"] == 6
    assert result.final is None
    assert "6 children in a row failed" in result.complaint
    assert "diverged: the loss is nan" in result.complaint
    further = search(
        SearchSettings(
            STUB_ID, "random", episodes=50, max_failures=9, env_arguments={"fails": True}
        ),
        result.run,
        resume=True,
    )
    assert len(episodes_of(result.run)) == 9
    assert further.progress.resumed == 6


def test_answers_from_memory_are_no_further_failures(tmp_path: Path) -> None:
    one = {"blocks": 1, "operations": ["identity"], "combines": [ADD]}
    settings = SearchSettings(
        "nas_gym/NASNet-v0",
        "random",
        episodes=30,
        max_failures=10,  # there are 9 networks
        env_arguments={**one, "filters": 2, "epochs": 1, "learning_rate": 1e30},
    )
    result = search(settings, tmp_path / "run")
    assert result.stopped_by == "episodes"
    assert result.summary["failed"] == 30


def test_failures_among_others_do_not_stop_it_and_add_up(tmp_path: Path) -> None:
    settings = SearchSettings(
        CHILDREN_ID,
        "random",
        episodes=200,
        max_failures=5,
        env_arguments={"fragile": True, "blocks": 3},
    )
    result = search(settings, tmp_path / "run")
    counts, statuses = result.summary["evaluations"], result.summary["statuses"]
    assert result.stopped_by == "episodes"
    assert counts["asked"] == counts["made"] + counts["cached"] == sum(statuses.values()) == 200
    assert 0 < result.summary["failed"] == statuses["diverged"] < 100
    failed = [episode for episode in episodes_of(result.run) if episode["status"] != "ok"]
    assert {episode["reward"] for episode in failed} == {0.0}
    assert {episode["message"] for episode in failed} == {"the loss is nan"}


def test_too_many_failures_are_exit_code_1_and_a_message(tmp_path: Path) -> None:
    result = nas_gym(
        *(STUB_ID, "--agent", "random", "--set", "fails=true", "--max-failures", "3"),
        *("--run", str(tmp_path / "run"), "--json"),
    )
    assert result.exit_code == 1
    assert json.loads(result.stdout)["stopped_by"] == "failures"
    assert "3 children in a row failed" in result.stderr
    assert "the last one: diverged: the loss is nan" in result.stderr


def test_resuming_from_the_command_line(tmp_path: Path) -> None:
    run = str(tmp_path / "run")
    begun = (CHILDREN_ID, "--agent", "random", "--episodes", "5", "--run", run)
    assert nas_gym(*begun, "--resume", "--seed", "3").exit_code == 0  # there is none yet: it starts
    assert "exists already" in nas_gym(*begun).stderr
    again = nas_gym("--resume", "--run", run)
    assert again.exit_code == 0, again.stderr
    assert "this search was finished before" in again.stdout
    assert nas_gym(*begun, "--resume").exit_code == 0  # as it began, but for what is left out
    other = nas_gym("--resume", "--run", run, "--seed", "4")
    assert other.exit_code == 2
    assert "--seed: a resumed search goes on as it began, with 3, not 4" in other.stderr
    other = nas_gym("--resume", "--run", run, "--reward", "nas")
    assert "error: --reward: a resumed search goes on as it began" in other.stderr
    assert nas_gym("--resume", "--run", run, "--episodes", "6").exit_code == 0
    summary = json.loads(nas_gym("--resume", "--run", run, "--max-failures", "2", "--json").stdout)
    assert summary["episodes"] == 6
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["seed"] == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--episodes", "3"], "environment: name one"),
        (["--resume"], "resume: say which run"),
        ([CHILDREN_ID, "--workers", "0"], "workers: expected a number greater than"),
        ([CHILDREN_ID, "--agent", "dqn", "--workers", "2"], "give --envs 4"),
        ([CHILDREN_ID, "--child-timeout", "0"], "child_timeout: expected a number greater than 0"),
        ([CHILDREN_ID, "--repeats", "0"], "repeats"),
        ([CHILDREN_ID, "--max-failures", "0"], "max_failures"),
        ([CHILDREN_ID, "--store", "mysql://somewhere/else"], "mysql"),
        ([CHILDREN_ID, "--store", '"sqlite:///x"'], "no URL that can be read"),
        ([CHILDREN_ID, "--store", "/proc/nothing/here.db"], "/proc/nothing/here.db"),
        ([STUB_ID, "--workers", "2"], "--workers: this environment's evaluator"),
        (["nas_gym/TinyBench-v0", "--store", "some.db"], "trains no children"),
        (["nas_gym/TinyBench-v0", "--final-set", "epochs=2"], "trains nothing"),
        (["nas_gym/TinyBench-v0", "--repeats", "2"], "one answer for an architecture"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_folder(
    arguments: list[str], says: str, tmp_path: Path
) -> None:
    where = [] if arguments == ["--resume"] else ["--run", str(tmp_path / "run")]
    result = nas_gym(*arguments, *where)
    assert result.exit_code == 2, result.stdout
    assert result.stderr.startswith("nas-gym: error: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_preset_with_what_is_given_beside_it() -> None:
    given = {"preset": "nas-laptop", "seed": 3, "env_arguments": {"epochs": 1}, "seconds": 5.0}
    settings = settings_from(given)
    laptop = PRESETS["nas-laptop"]
    assert (settings.env_id, settings.agent, settings.envs) == (
        laptop.env_id,
        laptop.agent,
        laptop.envs,
    )
    assert settings.env_arguments == {**laptop.env_arguments, "epochs": 1}
    assert (settings.seed, settings.seconds, settings.episodes) == (3, 5.0, laptop.episodes)


def test_a_password_is_not_written_down(tmp_path: Path) -> None:
    assert lasting_store("postgresql://me:secret@host/db") == "postgresql://me:***@host/db"
    in_query = lasting_store("postgresql://me@host/db?password=secret&sslpassword=secret")
    assert in_query is not None
    assert "secret" not in in_query
    assert "***" in in_query
    for store in ("some.db", "sqlite:///some.db"):
        assert lasting_store(store) == str(Path("some.db").resolve())
    assert lasting_store("~/some.db") == str(Path("~/some.db").expanduser().resolve())
    run = tmp_path / "run"
    begun = (CHILDREN_ID, "--agent", "random", "--episodes", "3", "--run", str(run))
    assert nas_gym(*begun).exit_code == 0
    record = json.loads((run / "settings.json").read_text())
    record["store"] = "postgresql://me:***@host/db"
    (run / "settings.json").write_text(json.dumps(record))
    (run / "summary.json").unlink()  # there is more to do
    resumed = nas_gym("--resume", "--run", str(run))
    assert resumed.exit_code == 2
    assert "--store: the run folder asks for" in resumed.stderr
    assert nas_gym("--resume", "--run", str(run), "--store", str(run / "other.db")).exit_code == 0


def test_nothing_to_resume(tmp_path: Path) -> None:
    result = nas_gym("--resume", "--run", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert "holds no run that could be resumed" in result.stderr
