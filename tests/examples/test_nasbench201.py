"""What NAS-Bench-201's protocol counts, and how it is reported."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from examples.reproduction import nasbench201
from examples.reproduction.nasbench201 import ALGORITHMS, Algorithm, Result, Trace, traces
from tests.agents.stubs import RECORDED_FILE

needs_table = pytest.mark.skipif(not RECORDED_FILE.is_file(), reason=f"{RECORDED_FILE} is missing")
BUDGET = 2_000.0


@needs_table
def test_the_query_that_exceeds_the_budget_does_not_count() -> None:
    accuracy = nasbench201.accuracies().accuracy
    worst, best = int(accuracy.argmin()), int(accuracy.argmax())
    trace = Trace(np.array([worst, best]), np.array([60.0, 40.0]))
    assert trace.best(100.0) == best
    assert trace.best(99.0) == worst


@needs_table
@pytest.mark.parametrize("name", ["RS", "REA", "LS", "REINFORCE", "PPO"])
def test_searches_spend_their_budget_and_follow_from_their_seed(name: str) -> None:
    found = traces(ALGORITHMS[name], range(2), BUDGET, free=False)
    seconds = nasbench201.accuracies().seconds
    for trace in found:
        np.testing.assert_array_equal(trace.seconds, seconds[trace.rows])
        assert trace.seconds.sum() > BUDGET
    assert not np.array_equal(found[0].rows[:10], found[1].rows[:10])
    [alone] = traces(ALGORITHMS[name], [1], BUDGET, free=False)
    np.testing.assert_array_equal(alone.rows, found[1].rows[: len(alone.rows)])


@needs_table
@pytest.mark.parametrize("name", ["REA", "REINFORCE"])
def test_repeats_are_paid_for_unless_they_are_free(name: str) -> None:
    [trace] = traces(ALGORITHMS[name], [0], 9_000.0, free=True)
    rows, first = np.unique(trace.rows, return_index=True)
    assert len(rows) < len(trace.rows)
    again = np.delete(np.arange(len(trace.rows)), first)
    assert (trace.seconds[again] == 0).all()
    assert (trace.seconds[first] > 0).all()


@needs_table
def test_an_agent_sees_nothing_but_the_reward_after_12_epochs() -> None:
    table = nasbench201.accuracies()
    for name in ("REA", "PPO"):
        with pytest.MonkeyPatch.context() as patch:
            hidden = replace(table, test=np.full_like(table.test, np.nan))
            patch.setattr(nasbench201, "accuracies", lambda hidden=hidden: hidden)
            patch.setattr(nasbench201, "finals", lambda: pytest.fail("the final accuracy was read"))
            [blind] = traces(ALGORITHMS[name], [0], BUDGET, free=False)
        [seeing] = traces(ALGORITHMS[name], [0], BUDGET, free=False)
        np.testing.assert_array_equal(blind.rows, seeing.rows)


def test_statistics_of_a_row() -> None:
    rea = Result("REA", 12_000, [94.0, 93.0, 95.0], 100.0, 1.0, 1.0)
    other = Result("RS", 12_000, [91.0, 92.0, 93.0], 100.0, 1.0, 1.0)
    assert (rea.mean, rea.deviation) == (94.0, 1.0)
    low, high = rea.interval  # 4.3027: Student's t of two degrees of freedom
    assert (94 - low, high - 94) == pytest.approx((4.3027 / math.sqrt(3),) * 2, abs=1e-4)
    assert nasbench201.p_value(other, rea) == pytest.approx(0.0705, abs=1e-4)
    cells = nasbench201.line(other, [rea, other]).split(" | ")
    assert cells[2:5] == ["93.70 ± 0.36", "92.00 ± 1.00", "3"]
    assert nasbench201.record(other, [rea, other])["p_welch"] == pytest.approx(0.0705, abs=1e-4)
    assert "p_welch" not in nasbench201.record(rea, [rea, other])


@needs_table
def test_any_agent_by_its_name(tmp_path: Path) -> None:
    [trace] = traces(Algorithm("grid"), [0], BUDGET, free=False)
    assert len(trace.rows) > 10
