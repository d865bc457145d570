"""The experiments with recurrent cells run at a tiny size, and go on where they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import pytest

from examples.reproduction.recurrent import Scale, run

TINY = {"vocabulary": 30, "searches": 1, "children": 8, "units": 4, "share": 0.2, "nodes": 2}
TINY |= {"epochs": 1, "cells": 3, "compared_units": 4, "compared_epochs": 1}


def test_experiments_give_their_tables_and_repeat_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("a b a c\na b b c\n" * 400)
    scale = Scale(text=str(text), **TINY)  # type: ignore[arg-type]
    run("all", tmp_path / "results", scale)
    printed = capsys.readouterr().out
    assert "3 cells: Kendall" in printed
    for name in ("found", "NASCell", "ENAS-Recurrent", "LSTM", "GRU"):
        assert f"| {name} | " in printed
    run("compare", tmp_path / "results", scale)
    again = capsys.readouterr().out.splitlines()
    assert not [line for line in again if line.startswith(("search/", "compare/"))]
    with pytest.raises(click.UsageError, match="of other sizes; give another --run"):
        run("compare", tmp_path / "results", replace(scale, children=9))
