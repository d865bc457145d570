"""A small part of the fuzzer: malformed inputs end in one line, not in a traceback or a hang."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from examples.benchmarks import fuzz
from examples.benchmarks.fuzzing.files import Samples
from examples.benchmarks.fuzzing.inputs import Input, make_input

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits processes as Linux does")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return fuzz.make_samples(tmp_path_factory.mktemp("samples"), ["random"])


def test_malformed_inputs_end_in_one_line(samples: Samples, tmp_path: Path) -> None:
    inputs = [(number, make_input(7, number, samples)) for number in range(150)]
    outcomes = list(fuzz.run_inputs(inputs, tmp_path, jobs=2, timeout=120))
    assert len(outcomes) == 150
    failures = [
        f"{outcome.number}: {outcome.wrong}\n{outcome}" for outcome in outcomes if outcome.wrong
    ]
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import os; os.abort()", "killed by SIGABRT"),
        ("bytes(10**12)", "MemoryError"),
        ("import time; time.sleep(60)", "hangs"),
        ("raise NASGymError('one line')", ""),
    ],
)
def test_the_fuzzer_notices(code: str, wrong: str, tmp_path: Path) -> None:
    [outcome] = fuzz.run_inputs([(0, Input("call", code=code))], tmp_path, timeout=0.5)
    assert outcome.wrong.startswith(wrong)
    assert bool(outcome.wrong) == bool(wrong)


def test_inputs_follow_from_their_seed(samples: Samples) -> None:
    for number in range(30):
        assert make_input(3, number, samples) == make_input(3, number, samples)
