"""``nas-gym`` as a user types it: results, JSON, errors, exit codes."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nas_agents.cli.main import app
from nas_agents.cli.terminal.display import Display
from nas_gym import __version__
from nas_gym.architecture import published
from tests.agents.command import nas_gym
from tests.agents.stubs import CHILDREN_ID

TINY = ["--set", "blocks=1", "--set", "filters=2", "--set", "epochs=1"]
ENV = "nas_gym/NASNet-v0"


def test_help_and_version() -> None:
    result = nas_gym("--help")
    assert "nas-gym search nas_gym/NASNet-v0" in result.stdout
    assert "..." not in result.stdout.partition("Commands:")[2]
    assert nas_gym("--version").stdout == f"nas-gym {__version__}\n"


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("nas-gym se", "plain,search\n"),
        ("nas-gym store ex", "plain,export\n"),
        ("nas-gym search --finalist-", "plain,--finalist-seeds\n"),
        ("nas-gym show --module nothing --pict", "plain,--picture\n"),
    ],
)
def test_shells_complete_words(typed: str, completed: str) -> None:
    words = typed.split()
    ask = {"COMP_WORDS": typed, "COMP_CWORD": str(len(words) - 1)}
    result = CliRunner().invoke(app, env={"_NAS_GYM_COMPLETE": "bash_complete", **ask})
    assert (result.exit_code, result.stdout) == (0, completed)


def test_what_goes_on_with_a_search_can_be_typed_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run folder does not say what is imported or written elsewhere; the command does."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    run, store = tmp_path / "run", tmp_path / "a store.db"
    own = "nas_agents.strategies.random_search:RandomSearch"
    words = [f"tests.agents.stubs:{CHILDREN_ID}", "--agent", own, "--episodes", "3"]
    with monkeypatch.context() as patch:
        patch.setattr(Display, "on_child", interrupt)
        stopped = nas_gym("search", *words, "--store", str(store), "--run", str(run))
    assert stopped.exit_code == 130, stopped.output
    printed = stopped.stderr.partition("go on with: nas-gym ")[2]
    result = nas_gym(*shlex.split(printed))
    assert result.exit_code == 0, result.output
    assert "3 children" in result.stdout


def test_an_id_as_gymnasium_takes_it_is_the_same_environment(tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ["--agent", "random", "--episodes", "2", "--no-final", "--run", str(run)]
    result = nas_gym("search", "nas_gym:nas_gym/TinyBench-v0", *words)
    assert result.exit_code == 0, result.output
    assert json.loads((run / "settings.json").read_text())["env_id"] == "nas_gym/TinyBench-v0"
    refused = nas_gym(
        "search", f"nas_gym:{ENV}", *words[:-1], str(run / "x"), "--set", "store=x.db"
    )
    assert "give --store instead" in refused.stderr


def test_envs() -> None:
    result = nas_gym("envs")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [ENV, "50", "2", "to", "13", "5.23e+36"] in lines
    assert ["nas_gym/TinyBench-v0", "6", "5", "1.56e+4"] in lines


def test_envs_as_json() -> None:
    rows = {row["id"]: row for row in json.loads(nas_gym("envs", "--json").stdout)}
    row = rows[ENV]
    assert row["decisions"] == 50
    assert row["choices"][:10] == [2, 2, 13, 13, 2, 3, 3, 13, 13, 2]
    assert row["size"] == 5229943396058757337940161399357440000


def test_show_prints_exact_costs(tmp_path: Path) -> None:
    picture = tmp_path / "picture.png"
    result = nas_gym("show", "NASNet-A", "--picture", str(picture))
    assert "3,346,538 parameters, 544,333,312 multiply-adds" in result.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_show_as_json() -> None:
    result = nas_gym(
        *("show", "NASNet-A", "--json", "--stem", "imagenet", "--classes", "1000"),
        *("--cells", "4", "--filters", "44"),
    )
    facts = json.loads(result.stdout)
    assert facts["parameters"] == 5_289_978
    assert facts["multiply_adds"] == 563_638_816


def test_show_knows_every_family() -> None:
    result = nas_gym("show", "NAS-Bench-201-ResNet")
    assert "559,386 parameters" in result.stdout
    wrong = nas_gym("show", "NAS-Bench-201-ResNet", "--stem", "imagenet")
    assert wrong.exit_code == 2
    assert "stem: this kind of architecture has no such setting" in wrong.stderr


def run_of(folder: Path, **record: object) -> str:
    """A folder as that of a search whose children were tiny."""
    published("NAS-Bench-201-ResNet").save(folder / "best.json")
    data = {"shape": [8, 8, 1], "classes": {"cat": 3, "dog": 4}}
    network = {"cells": 1, "filters": 4}
    written = {"data": data, "training": {"network": network}, "final_training": None, **record}
    (folder / "settings.json").write_text(json.dumps(written))
    return str(folder)


@pytest.mark.parametrize("filters", [4, 8])
def test_show_builds_a_run_s_own_network(filters: int, tmp_path: Path) -> None:
    final = {"network": {"cells": 1, "filters": filters}} if filters == 8 else None
    run = run_of(tmp_path, final_training=final)
    own = ("--cells", "1", "--classes", "2", "--image-size", "8", "--channels", "1", "--json")
    told = ("show", "NAS-Bench-201-ResNet", "--filters", str(filters), *own)
    assert nas_gym("show", run, "--json").stdout == nas_gym(*told).stdout
    assert nas_gym("show", run, *told[2:]).stdout == nas_gym(*told).stdout


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": 3},
        {"data": {"shape": [8, 8], "classes": {}}},
        {"data": {"shape": [8, 8, -1], "classes": {"cat": 3}}},
        {"training": {}},
        {"training": {"network": 3}},
        {"training": {"network": {"filters": 10**9}}},
        {"final_training": [1]},
    ],
)
def test_show_names_a_run_s_broken_settings(wrong: dict[str, Any], tmp_path: Path) -> None:
    result = nas_gym("show", run_of(tmp_path, **wrong))
    assert result.exit_code == 2
    assert "settings.json" in result.stderr or "filters" in result.stderr
    assert result.stderr.count("\n") == 1


def test_show_takes_any_setting_of_the_network() -> None:
    result = nas_gym(
        *("show", "PNASNet-5", "--cells", "3", "--filters", "48"),
        *("--set", "separate_reductions=false", "--set", "skip_reduction_input=true"),
    )
    assert "3,189,082 parameters" in result.stdout
    assert "concatenation" in result.stdout


def test_show_measures_latency_where_asked() -> None:
    facts = json.loads(
        nas_gym(
            *("show", "MnasNet-A1", "--json", "--width", "0.25", "--image-size", "8"),
            *("--latency-set", "repeats=2", "--latency-set", "warmup=0"),
        ).stdout
    )
    assert 0 < facts["latency"] < 10
    assert facts["latency_spread"] >= 0
    shown = nas_gym("show", "MnasNet-small", "--image-size", "8", "--latency")
    assert "2,030,264" not in shown.stdout  # that is with 1000 classes
    assert "ms a batch of 1, interquartile range" in shown.stdout
    assert "latency" not in nas_gym("show", "MnasNet-small").stdout


def test_a_search_for_accuracy_and_speed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = nas_gym(
        *("search", ENV, "--agent", "random", "--episodes", "1", "--no-final", *TINY),
        *("--set", 'latency={"repeats": 2}', "--run", str(run), "--json"),
        *("--reward", '{"name": "mnasnet", "target": 0.001, "beta": -1}'),
    )
    assert result.exit_code == 0, result.stderr
    best = json.loads(result.stdout)["best"]
    expected = best["validation_accuracy"]
    if best["latency"] > 0.001:
        expected *= 0.001 / best["latency"]
    else:
        expected *= (best["latency"] / 0.001) ** -0.07
    assert best["reward"] == pytest.approx(expected, abs=1e-6)  # Monitor rounds it
    episode = json.loads((run / "episodes.jsonl").read_text())
    assert episode["latency"] == best["latency"]


def test_search_then_show(tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = nas_gym(
        *("search", ENV, "--agent", "random", "--episodes", "2", "--run", str(run), *TINY),
        *("--final-set", "epochs=1", "--final-set", "filters=2", "--json"),
    )
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary["episodes"] == 2
    assert summary["run"] == str(run)
    assert 0 <= summary["test_accuracy"] <= 1
    shown = json.loads(nas_gym("show", str(run), "--json").stdout)
    assert shown["architecture"] == json.loads((run / "best.json").read_text())


def test_search_names_the_best(tmp_path: Path) -> None:
    result = nas_gym(
        *("search", ENV, "--agent", "random", "--episodes", "1", "--no-final", *TINY),
        *("--run", str(tmp_path / "run")),
    )
    assert result.exit_code == 0
    assert "best: " in result.stdout
    assert "validation accuracy" in result.stdout
    assert "1/1 children" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search", "nas_gym/NASNet-v9"], "nas_gym/NASNet-v0"),
        (["search", ENV, "--agent", "ppoo"], "maskable-ppo"),
        (["search", ENV, "--dataset", "digitz"], "did you mean 'digits'"),
        (["search", ENV, "--dataset", "nothing.npz"], "nothing.npz"),
        (["search", ENV, "--device", "cuda:99"], "device"),
        (["search", ENV, "--reward", "acuracy"], "did you mean 'accuracy'"),
        (["search", ENV, "--reward", '{"name": "mnasnet", "target": 1}'], "needs latency"),
        (["search", ENV, "--run", "/proc/nothing/run"], "--run"),
        (["search", ENV, "--set", "blocks=0"], "blocks"),
        (["search", ENV, "--set", 'operations=["4x4 convolution"]'], "4x4 convolution"),
        (["search", ENV, "--set", "blocks"], "NAME=VALUE"),
        (
            ["search", "nas_gym/TinyBench-v0", "--device", "cpu"],
            "error: unexpected keyword argument 'device' of an environment whose children are ",
        ),
        (["search", "nas_gym/TinyBench-v0", "--set", "sed=1"], "choices: 'training_seed'"),
        (["search", ENV, "--episodes", "0"], "episodes"),
        (["show", "NASNet-Z"], "AmoebaNet-A"),
        (["show", "NASNet-A", "--cells", "0"], "cells"),
        (["show", "NASNet-A", "--stem", "cifar100"], "stem"),
        (["show", "NASNet-A", "--latency-set", "repeat=3"], "did you mean 'repeats'"),
        (["show", "NASNet-A", "--width", "2"], "width: this kind of architecture has no"),
        (["show", "NASNet-A", "--picture", "/proc/nothing.png"], "picture"),
        (["show", "NASNet-A", "--image-size", "0"], "image_size: "),
        (
            ["show", "NASNet-A", "--set", "cells=" + "9" * 5000],
            "an integer of 5,000 digits",
        ),
        (
            ["show", "NASNet-A", "--set", "cells=" + "[" * 3000 + "]" * 3000],
            "cells: not JSON: nested",
        ),
        (["show", "[/red]\x1b[31m"], r"'[/red]\x1b[31m' is no file"),
        (["show", "a" * 5000], "is no file"),
        (["presets", "--rate", "nan"], "rate: expected a number from 1"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], says: str) -> None:
    result = nas_gym(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("nas-gym: error: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr


def test_ctrl_c_ends_cleanly(tmp_path: Path) -> None:
    run = tmp_path / "run"
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "  # if ignored
        "from nas_agents.cli.main import main; main()"
    )
    command = [sys.executable, "-c", program, "search", ENV, "--agent", "random"]
    process = subprocess.Popen(
        [*command, "--episodes", "100000", "--run", str(run), *TINY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if (run / "best.json").is_file():
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "stopped by: interrupted" in output
    summary = json.loads((run / "summary.json").read_text())
    assert summary["episodes"] == len((run / "episodes.jsonl").read_text().splitlines())
