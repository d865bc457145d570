"""Importance of decisions and effects of choices, where the truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_agents.report.importance import (
    LEAST,
    distinct,
    effects_of,
    importance_of,
    standing_out,
)

LABELS = ["none", "skip", "conv"]
DECISIONS = {f"op_{n}": LABELS for n in range(4)}
TRUE = np.array([[-0.04, 0.0, 0.04], [0.01, -0.02, 0.01], [0, 0, 0], [0, 0, 0]])
"""(T, k): op_0 matters most, op_1 less, the others do not."""


def children(seed: int, number: int = 200, noise: float = 0.01) -> tuple[NDArray, NDArray]:  # type: ignore[type-arg]
    rng = np.random.default_rng(seed)
    choices = rng.integers(3, size=(number, 4))
    accuracies = 0.7 + TRUE[np.arange(4), choices].sum(axis=1) + rng.normal(0, noise, number)
    return distinct(choices, accuracies)


def test_the_decision_that_matters_is_the_most_important() -> None:
    found = importance_of(*children(0), list(DECISIONS))
    assert found is not None
    assert found.predicted > 0.5
    assert list(found.decisions)[:2] == ["op_0", "op_1"]
    for name in ("op_2", "op_3"):
        assert abs(found.decisions[name][0]) < 0.1 < found.decisions["op_0"][0]


def test_nothing_is_important_in_noise() -> None:
    rows, accuracies = children(1)
    noise = np.random.default_rng(2).permutation(accuracies)
    found = importance_of(rows, noise, list(DECISIONS))
    assert found is not None
    assert found.predicted < 0.1


def test_standard_errors_cover_the_true_effects() -> None:
    inside, clear = [], set()
    for seed in range(20):
        for effect in effects_of(*children(seed), DECISIONS):
            if effect.decision in DECISIONS:
                step = list(DECISIONS).index(effect.decision)
                true = TRUE[step, LABELS.index(effect.label)]
                inside.append(abs(effect.gain - true) < 2 * effect.error)
        clear |= {
            (each.decision, each.label)
            for each in standing_out(effects_of(*children(seed), DECISIONS))[:1]
        }
    assert len(inside) == 20 * 12
    assert np.mean(inside) > 0.9
    assert clear == {("op_0", "conv")}


def test_a_label_of_several_decisions_has_its_mean_effect() -> None:
    effects = {(e.decision, e.label): e for e in effects_of(*children(0), DECISIONS)}
    mean = effects["4 decisions on average", "conv"]
    assert mean.gain == pytest.approx(np.mean([effects[f"op_{n}", "conv"].gain for n in range(4)]))
    assert mean.error < effects["op_0", "conv"].error
    assert mean.sentence.startswith("conv in 4 decisions on average gains 1.")


@pytest.mark.parametrize("number", [0, 1, LEAST - 1])
def test_of_few_children_nothing_is_said(number: int) -> None:
    choices, accuracies = (
        np.unique(np.indices((3,) * 4).reshape(4, -1).T, axis=0),
        np.linspace(0, 1, 81),
    )
    assert importance_of(choices[:number], accuracies[:number], list(DECISIONS)) is None
    assert effects_of(choices[:number], accuracies[:number], DECISIONS) == []


def test_equal_children_count_once() -> None:
    rows, means = distinct(np.array([[1, 0], [0, 1], [1, 0]]), np.array([0.2, 0.5, 0.4]))
    assert rows.tolist() == [[0, 1], [1, 0]]
    assert means.tolist() == pytest.approx([0.5, 0.3])
