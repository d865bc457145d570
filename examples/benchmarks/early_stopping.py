"""How often does early stopping lose the best child, and what does it save? Measured on curves.

    python examples/benchmarks/early_stopping.py [CHILDREN]

1. `nas_gym/DigitsBench-v0`'s recorded curves of two epochs: 300 of its 6,466 networks at a time.
2. Curves of CHILDREN (default 150) random cells of NAS-Bench-201's search space (N = 1, 8 filters),
   trained here on digits for 6 epochs, in random orders. It takes some minutes.

Each search is replayed with `StoppingRule` as a `Trainer` uses it. Of REPLAYS searches it prints in
how many the child that had the best accuracy in the end was stopped (to be held against delta), and
the epochs trained as a share of all.
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from nas_gym import NASBench201SearchSpace, Trainer, TrainingSettings, load_dataset
from nas_gym.families.nasbench201.digits_bench import DIGITS_BENCH
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.tables.columns import read_arrays
from nas_gym.training.early_stopping import EarlyStopping, FinishedCurve, StoppingRule

REPLAYS, CHILDREN, EPOCHS = 300, 150, 6
DELTAS = (0.05, 0.1, 0.2)
SEARCH = 300
"""Networks of DigitsBench in a search."""

Curves = NDArray[np.float64]
"""(n, E) validation accuracies."""


def recorded_curves() -> Curves:
    """DigitsBench's, with its first seed."""
    right = read_arrays(DIGITS_BENCH, ("validation_right",))["validation_right"][:, 0]
    return np.asarray(right / right.max(), np.float64)


def trained_curves(children: int) -> Curves:
    """Of random children, trained to the end."""
    settings = TrainingSettings(
        NASBench201Settings(cells=1, filters=8), epochs=EPOCHS, batch_size=64
    )
    trainer = Trainer(load_dataset("digits"), settings, "cpu", count_multiply_adds=False)
    search_space, rng = NASBench201SearchSpace(), np.random.default_rng(0)
    sampled = [search_space.decode(search_space.sample(rng)) for _ in range(children)]
    return np.array([trainer.evaluate_one(child).curve for child in sampled])


def replay(curves: Curves, delta: float, rng: np.random.Generator) -> tuple[bool, float]:
    """Return True if a search stops its best child, and the share of epochs that are trained."""
    epochs = curves.shape[1]
    rule = StoppingRule(EarlyStopping(delta), epochs, fingerprint="")
    lengths = np.full(len(curves), epochs)
    for child, curve in enumerate(curves):
        seed = int(rng.integers(2**63))
        if not (calibrates := rule.begin(seed)):
            stops = (n for n in range(1, epochs) if rule.stops(curve[:n]))
            lengths[child] = next(stops, epochs)
        if lengths[child] == epochs:
            rule.finish(FinishedCurve(seed, tuple(curve), calibrates))
    return bool(lengths[curves[:, -1].argmax()] < epochs), float(lengths.mean() / epochs)


def report(title: str, curves: Curves, search: int) -> None:
    """Print the losses and savings of replayed searches of ``search`` children each."""
    for delta in DELTAS:
        rng = np.random.default_rng(0)
        replays = [
            replay(curves[rng.permutation(len(curves))[:search]], delta, rng)
            for _ in range(REPLAYS)
        ]
        lost, trained = np.mean(replays, axis=0)
        print(
            f"{title}: delta {delta:.2f}: best child stopped in {100 * lost:.1f}% of {REPLAYS} "
            f"searches of {search} children, {100 * trained:.0f}% of the epochs trained"
        )


def main() -> None:
    """Measures both kinds of curves."""
    report("DigitsBench, 2 epochs", recorded_curves(), SEARCH)
    children = int(sys.argv[1]) if len(sys.argv) > 1 else CHILDREN
    report(f"digits, {EPOCHS} epochs", trained_curves(children), children)


if __name__ == "__main__":
    main()
