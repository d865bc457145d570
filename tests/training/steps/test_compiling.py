"""The choice between a step and the same step compiled, by a clock that is set here."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from torch import Tensor

from nas_gym.training.steps.compiling import PROBE, FasterOf, NotCompiled

CPU = torch.device("cpu")


class Clock:
    """Two steps that take their seconds on it."""

    def __init__(self, plain: float, compiled: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.calls = 0.0, Counter[str]()
        self.seconds = {"plain": plain, "compiled": compiled}
        monkeypatch.setattr("time.perf_counter", lambda: self.now)

    def step(self, name: str, x: Tensor) -> Tensor:
        self.now += self.seconds[name] if self.calls[name] else 100.0  # the first one sets up
        self.calls[name] += 1
        return x + 1


def run(clock: Clock, steps: int, compiled: Any = None) -> None:
    given = compiled or (lambda x: clock.step("compiled", x))
    step = FasterOf(lambda x: clock.step("plain", x), given, steps, CPU)
    assert all(step(torch.zeros(())).item() == 1 for _ in range(steps))


@pytest.mark.parametrize(
    ("plain", "compiled", "expected"),
    [
        (1.0, 0.5, {"plain": PROBE + 1, "compiled": 2999 - PROBE}),
        (1.0, 1.5, {"plain": 2999 - PROBE, "compiled": PROBE + 1}),
        (0.1, 0.05, {"plain": 3000}),  # the training is over before it would pay
    ],
)
def test_the_faster_step_is_taken(
    plain: float, compiled: float, expected: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(plain, compiled, monkeypatch)
    run(clock, 3000)
    assert clock.calls == expected


def test_what_does_not_compile_is_trained_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(x: Tensor) -> Tensor:
        raise NotImplementedError("no such operation\nand more")

    clock = Clock(1.0, 0.5, monkeypatch)
    with pytest.warns(NotCompiled, match="NotImplementedError: no such operation$") as warned:
        run(clock, 3000, broken)
    assert len(warned) == 1
    assert clock.calls == {"plain": 3000}


def test_a_failure_of_the_step_itself_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(x: Tensor) -> Tensor:
        raise KeyError("of the step")

    with pytest.raises(KeyError):
        FasterOf(broken, broken, 9, CPU)(torch.zeros(()))
