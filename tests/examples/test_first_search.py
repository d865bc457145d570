"""The comparison of the default search with random search, on made-up children."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from examples.benchmarks import first_search


def test_searches_are_compared_with_the_recorded_random_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rising = np.linspace(0.7, 0.95, first_search.CHILDREN)
    runs = {Path(str(n)): SimpleNamespace(accuracies=rising * (1 + n / 1000)) for n in range(10)}
    monkeypatch.setattr(first_search, "children", runs.__getitem__)
    first_search.compare(list(runs))
    first_search.improvement(list(runs))
    printed = capsys.readouterr().out
    assert "best of 60, 10 searches: 95.43%" in printed
    assert "best of 60, 5 random searches: 9" in printed  # one of the package's own record
    assert "p = 0.00" in printed
    assert "last 20 less that of the first 20: 17.0" in printed


def test_the_share_of_right_answers_is_that_of_all_tests(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    summaries = iter([[[49, 1], [0, 50]], [[50, 0], [3, 47]]])
    monkeypatch.setattr(
        first_search, "read_summary", lambda run: {"final": {"confusion": next(summaries)}}
    )
    first_search.test([Path("a"), Path("b")])
    assert "tested: 98.00% of 200 answers (9" in capsys.readouterr().out
