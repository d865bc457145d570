"""The benchmarks, which take too long to run here, are importable, and find what they replace."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import examples.benchmarks

FOLDER = Path(examples.benchmarks.__path__[0])


@pytest.mark.parametrize("name", sorted(each.stem for each in FOLDER.glob("*.py")))
def test_a_benchmark_is_imported(name: str) -> None:
    if name == "report_page":
        pytest.importorskip("playwright")
    importlib.import_module(f"examples.benchmarks.{name}")
