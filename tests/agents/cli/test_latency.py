"""`nas-gym latency`: a table is recorded, and taken where a latency is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from nas_gym import NASBench201SearchSpace
from nas_gym.networks import LatencyTable
from tests.agents.command import nas_gym

RECORD = ["latency", "record", "nas_gym/NASBench201-v0"]
QUICK = [*("--latency-set", "warmup=0"), *("--latency-set", "repeats=1")]


def test_a_table_is_recorded_and_used(tmp_path: Path) -> None:
    path = tmp_path / "cpu.json"
    size = [*("--networks", "3"), *("--held-out", "1")]
    skeleton = [*("--set", "filters=2"), *("--set", "cells=1")]
    recorded = nas_gym(*RECORD, "--out", path, *size, *skeleton, *QUICK, "--json")
    facts = json.loads(recorded.stdout)
    table = LatencyTable.load(path)
    assert facts["table"] == str(path)
    assert (facts["operations"], len(facts["errors"])) == (len(table.operations), 1)
    assert facts["error"] == table.error

    search_space = NASBench201SearchSpace()
    first = search_space.decode(search_space.sample(np.random.default_rng(0)))
    first.save(tmp_path / "first.json")
    size = [*("--image-size", "8"), *("--channels", "1"), *("--latency-set", f"table={path}")]
    shown = nas_gym("show", tmp_path / "first.json", *skeleton, *size)
    assert f"ms a batch, by {path}" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--networks", "11"], "networks: expected at least 2 more than the 10 held out, got 11"),
        (["--held-out", "0"], "held_out: expected at least 1, got 0"),
        (["--seed", "-1"], "seed: expected at least 0, got -1"),
        (["--latency-set", "repeats=0"], "--latency-set: repeats: expected a number greater"),
        (["--set", "cels=1"], "'cels'"),
        (["--dataset", "digit"], "did you mean 'digits'"),
        (["--out", "."], "out: . is a folder; name a file, such as cpu.json"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, arguments: list[str], says: str) -> None:
    path = tmp_path / "cpu.json"
    result = nas_gym(*RECORD, "--out", path, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert not path.exists()


def test_networks_for_texts_have_no_table(tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "cpu.json")]
    result = nas_gym("latency", "record", "nas_gym/Gated-v0", *out)
    assert result.exit_code == 2
    assert "'nas_gym/Gated-v0' is none whose children are trained on images" in result.stderr


def test_a_folder_that_is_missing_is_named_before_anything_is_measured(tmp_path: Path) -> None:
    out = tmp_path / "missing" / "cpu.json"
    result = nas_gym(*RECORD, "--out", out)
    assert result.exit_code == 2
    assert f"out: {out.parent} is no folder" in result.stderr
