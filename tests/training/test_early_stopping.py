"""The rule that stops children: its chance, what it learns from, and how processes share it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_gym import InvalidSettings
from nas_gym.families.nasbench201.tiny_bench import tiny_bench_table
from nas_gym.training.early_stopping import EarlyStopping, FinishedCurve, StoppingRule, gain_band

EPOCHS = 6
SEEDS = 2**63


def curves(number: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Saturating curves with noise; good children are not those that begin well."""
    ends = rng.uniform(0.3, 0.9, (number, 1))
    speeds = rng.uniform(0.3, 1.5, (number, 1))
    rising = ends * (1 - np.exp(-speeds * np.arange(1, EPOCHS + 1)))
    noisy: NDArray[np.float64] = rising + rng.normal(0, 0.01, (number, EPOCHS))
    return noisy.clip(0, 1)


def replayed(
    rule: StoppingRule, all_curves: NDArray[np.float64], rng: np.random.Generator
) -> list[int]:
    """After how many epochs each child ended, one after the other."""
    lengths = []
    for curve in all_curves:
        seed = int(rng.integers(SEEDS))
        calibrates = rule.begin(seed)
        length = next(
            (n for n in range(1, EPOCHS) if not calibrates and rule.stops(curve[:n])), EPOCHS
        )
        if length == EPOCHS:
            rule.finish(FinishedCurve(seed, tuple(curve), calibrates))
        lengths.append(length)
    return lengths


def test_the_best_is_stopped_no_more_often_than_stated_and_epochs_are_saved() -> None:
    rng = np.random.default_rng(0)
    best_stopped, epochs = 0, 0
    for _ in range(100):
        found = curves(200, rng)
        lengths = replayed(StoppingRule(EarlyStopping(delta=0.2), EPOCHS, ""), found, rng)
        best_stopped += lengths[int(found[:, -1].argmax())] < EPOCHS
        epochs += sum(lengths)
    assert best_stopped <= 20
    assert epochs < 0.85 * 100 * 200 * EPOCHS


def test_a_stopped_child_is_below_the_best() -> None:
    rng = np.random.default_rng(1)
    rule = StoppingRule(EarlyStopping(delta=0.2), EPOCHS, "")
    found = curves(200, rng)
    lengths = replayed(rule, found, rng)
    reached = [max(curve[:n]) for curve, n in zip(found, lengths, strict=True) if n < EPOCHS]
    assert reached
    assert (
        max(reached)
        < rule.best
        == max(curve[-1] for curve, n in zip(found, lengths, strict=True) if n == EPOCHS)
    )


def test_nothing_is_stopped_before_enough_is_known() -> None:
    rule = StoppingRule(EarlyStopping(delta=0.2), 2, "")
    for seed in range(79):  # the best twentieth of 80 are needed: (4 + 1) * 0.8 = 4
        rule.finish(FinishedCurve(seed, (0.5, 0.5 + seed / 1000), calibrates=True))
        assert rule.band is None
        assert rule.begin(SEEDS - 1)
        assert not rule.stops((0.0,))
    rule.finish(FinishedCurve(80, (0.5, 0.6), calibrates=True))
    assert rule.band is not None
    assert not rule.begin(SEEDS - 1)
    assert rule.begin(0)  # one of those that always run to the end
    assert rule.stops((0.1,))
    assert not rule.stops((0.53,))  # as the best did, it may gain 0.078


def test_children_that_were_spared_for_looking_good_make_no_band() -> None:
    rule = StoppingRule(EarlyStopping(delta=0.5), 2, "")
    for seed in range(40):
        rule.finish(FinishedCurve(seed, (0.5, 0.6), calibrates=False))
    assert rule.band is None
    assert rule.best == 0.6


def test_the_band_covers_the_share_of_curves_that_it_promises() -> None:
    """At the fewest children that it can be made from."""
    rng = np.random.default_rng(2)
    outside = 0
    for _ in range(400):
        found = curves(81, rng)
        found = found[found[:, -1].argsort()]
        one = int(rng.integers(76, 81))  # of the best, any one: they are exchangeable
        band = gain_band(np.delete(found, one, axis=0), 0.2)
        assert band is not None
        gains = found[one, -1] - np.maximum.accumulate(found[one])[:-1]
        outside += bool((gains > band).any())
    assert 0.1 * 400 < outside < 0.24 * 400  # 1 / 5 is expected, with a standard error of 0.02


def test_the_best_of_recorded_curves_is_stopped_no_more_often_than_stated() -> None:
    recorded = tiny_bench_table().curves[:-1]
    rng = np.random.default_rng(4)
    stopped = 0
    for _ in range(1000):
        found = recorded[rng.permutation(len(recorded))[:250]]
        found = found[(-found[:, -1]).argsort(kind="stable")]
        band = gain_band(rng.permutation(found[1:])[:180], 0.1)
        assert band is not None
        stopped += bool((np.maximum.accumulate(found[0])[:-1] + band < found[1, -1]).any())
    assert stopped <= 100


def test_a_band_needs_epochs_and_curves() -> None:
    assert gain_band(np.zeros((0, 3)), 0.5) is None
    assert gain_band(np.zeros((50, 1)), 0.5) is None
    assert gain_band(np.zeros((3, 3)), 0.1) is None
    falling = gain_band(np.linspace(1, 0, 3)[None].repeat(40, axis=0), 0.5)
    assert falling is not None
    assert (falling == 0).all()


def test_processes_share_their_curves(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "curves.jsonl"
    settings = EarlyStopping(delta=0.5, curves=str(file))
    writer, reader, other = (
        StoppingRule(settings, 2, fingerprint) for fingerprint in ("a", "a", "b")
    )
    for seed in range(4):
        writer.finish(FinishedCurve(seed, (0.5, 0.6), calibrates=True))
    writer.finish(FinishedCurve(3, (0.5, 0.6), calibrates=True))  # again, after a crash
    with file.open("a") as lines:
        lines.write("torn\n" + json.dumps({"fingerprint": "a"}) + "\n" + '{"fingerprint": "a", "se')
    for rule in (reader, other):
        rule.begin(SEEDS - 1)
    assert reader.finished == writer.finished
    assert len(reader.finished) == 4
    assert reader.band == writer.band
    assert other.finished == {}
    again = StoppingRule(settings, 2, "a")  # a run that is resumed
    again.begin(SEEDS - 1)
    assert again.finished == writer.finished


def test_a_child_that_is_trained_again_changes_nothing(tmp_path: Path) -> None:
    """Its first curve counts, however the file is read, and it is not stopped by its own."""
    path = tmp_path / "curves.jsonl"
    rule, rng = (
        StoppingRule(EarlyStopping(0.2, curves=str(path)), EPOCHS, ""),
        np.random.default_rng(3),
    )
    found = curves(100, rng)
    for seed, curve in enumerate(found):
        rule.finish(FinishedCurve(SEEDS - 1 - seed, tuple(curve), True))
    text, band, known = path.read_text(), rule.band, SEEDS - 1
    assert rule.stops([0.0])
    assert rule.begin(known)
    assert not rule.begin(SEEDS // 2)
    rule.finish(FinishedCurve(known, (1.0,) * EPOCHS, True))
    assert path.read_text() == text
    first = json.loads(text.splitlines()[0])
    path.write_text(text + json.dumps({**first, "curve": [0.0] * 5 + [1.0]}) + "\n")
    other = StoppingRule(EarlyStopping(0.2, curves=str(path)), EPOCHS, "")
    other.begin(0)
    assert other.finished == rule.finished
    np.testing.assert_array_equal(other.band, band)


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"curves: .* cannot be used"):
        StoppingRule(EarlyStopping(curves=str(tmp_path)), 2, "").begin(0)


@pytest.mark.parametrize("wrong", [{"delta": 1.0}, {"delta": "a"}, {"exempt": 0}, {"curves": 1}])
def test_bad_settings(wrong: dict[str, object]) -> None:
    [name] = wrong
    with pytest.raises(InvalidSettings, match=name):
        EarlyStopping(**wrong)  # type: ignore[arg-type]


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "curves")
    with pytest.raises(InvalidSettings, match=r"^curves: .* it is not a regular file$"):
        StoppingRule(EarlyStopping(curves=str(tmp_path / "curves")), EPOCHS, "")


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000,
        "1" * 5_000,
        '"text"',
        '{"fingerprint": "f"}',
        '{"fingerprint": "f", "seed": "x", "curve": [0.5, 0.6], "calibrates": true}',
        '{"fingerprint": "f", "seed": 1, "curve": [0.5, "0x"], "calibrates": true}',
        '{"fingerprint": "f", "seed": 1, "curve": [0.5, NaN], "calibrates": true}',
        '{"fingerprint": "f", "seed": 1e400, "curve": [0.5, 0.6], "calibrates": true}',
        '{"fingerprint": "f", "seed": 1, "curve": [0.5, [[]]], "calibrates": true}',
    ],
)
def test_a_line_that_is_no_curve_is_ignored(line: str, tmp_path: Path) -> None:
    file = tmp_path / "curves"
    file.write_text(f"{line}\n\x00\xff\n")
    rule = StoppingRule(EarlyStopping(curves=str(file)), 2, "f")
    assert rule.begin(0)
    assert rule.finished == {}
