"""A small part of the fuzzer: malformed inputs end in one line, not in a traceback or a hang."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from examples.benchmarks import fuzz
from examples.benchmarks.fuzzing.files import LINK, LOCKED, Samples
from examples.benchmarks.fuzzing.inputs import Input, make_input
from examples.benchmarks.fuzzing.samples import make_samples

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits processes as Linux does")
PATIENCE = 300.0
"""Seconds that no input takes, however busy the machine; a busy loop ends after 20 of its own."""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return make_samples(tmp_path_factory.mktemp("samples"), searches=1)


def test_malformed_inputs_end_in_one_line(samples: Samples, tmp_path: Path) -> None:
    inputs = [(number, make_input(7, number, samples)) for number in range(90)]
    inputs = [each for each in inputs if not each[1].kind.startswith("search: ")][:40]  # train
    outcomes = list(fuzz.run_inputs(inputs, tmp_path, jobs=2, timeout=PATIENCE))
    assert len(outcomes) == 40
    failures = [
        f"{outcome.number}: {outcome.wrong}\n{outcome}" for outcome in outcomes if outcome.wrong
    ]
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import os; os.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("bytes(10**12)", "MemoryError"),
        ("import signal; signal.pause()", "hangs"),
        ("open('../outside/victim', 'a').write('mine')", "touched ['victim'] outside"),
        ("open('locked')", "PermissionError"),
        ("open('link', 'a').write('mine')", "touched ['victim'] outside"),
        ("raise NASGymError('one line')", ""),
    ],
)
def test_the_fuzzer_notices(code: str, wrong: str, tmp_path: Path) -> None:
    timeout = 0.0 if wrong == "hangs" else PATIENCE
    given = Input("call", code=code, files={"locked": LOCKED, "link": LINK})
    [outcome] = fuzz.run_inputs([(0, given)], tmp_path, timeout=timeout)
    assert outcome.wrong.startswith(wrong)
    assert bool(outcome.wrong) == bool(wrong)


def test_inputs_follow_from_their_seed(samples: Samples) -> None:
    for number in range(30):
        assert make_input(3, number, samples) == make_input(3, number, samples)
