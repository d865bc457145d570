"""How often does early stopping lose the best child, and what does it save? Measured on curves.

    python examples/benchmarks/early_stopping.py [REPLAYS]

1. `nas_gym/TinyBench-v0`'s recorded curves of four epochs, on which nothing was chosen.
2. Synthetic curves of six epochs that saturate at different speeds, with noise.

Each search is replayed with `StoppingRule` as a `Trainer` uses it; REPLAYS (default 300) of LATER
children after the first that can be stopped, and as many of SEARCH children in all. Of those in
which the best child was trained when it could be stopped, it is printed in how many it was (to be
held against delta), with the standard error; and the epochs trained as a share of all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from nas_gym.families.nasbench201.tiny_bench import tiny_bench_table
from nas_gym.training.early_stopping import EarlyStopping, FinishedCurve, StoppingRule, gain_band

REPLAYS, LATER, SEARCH = 300, 60, 600
DELTAS = (0.05, 0.1, 0.2)

Curves = NDArray[np.float64]
"""(n, E) validation accuracies."""


@cache
def recorded() -> Curves:
    """Return the curves of all networks of TinyBench."""
    return tiny_bench_table().curves[:-1]


def recorded_curves(number: int, rng: np.random.Generator) -> Curves:
    """Of random networks of TinyBench."""
    curves = recorded()
    return curves[rng.permutation(len(curves))[:number]]


def synthetic_curves(number: int, rng: np.random.Generator) -> Curves:
    """Of children of which the good ones are not those that begin well."""
    ends, speeds = rng.uniform(0.3, 0.9, (number, 1)), rng.uniform(0.3, 1.5, (number, 1))
    rising = ends * (1 - np.exp(-speeds * np.arange(1, 7)))
    noisy: Curves = rising + rng.normal(0, 0.01, rising.shape)
    return noisy.clip(0, 1)


def first_use(delta: float) -> int:
    """Return the number of children after which the rule can stop one."""
    return next(n for n in range(1, 10_000) if gain_band(np.zeros((n, 2)), delta) is not None)


def replay(curves: Curves, delta: float, rng: np.random.Generator) -> tuple[bool, bool, float]:
    """Return whether the best child could be stopped, whether it was, and the epochs' share."""
    epochs = curves.shape[1]
    rule = StoppingRule(EarlyStopping(delta), epochs, fingerprint="")
    lengths, exposed = np.full(len(curves), epochs), np.zeros(len(curves), dtype=np.bool_)
    for child, curve in enumerate(curves):
        seed = int(rng.integers(2**63))
        if not (calibrates := rule.begin(seed)):
            exposed[child] = True
            stops = (n for n in range(1, epochs) if rule.stops(curve[:n]))
            lengths[child] = next(stops, epochs)
        if lengths[child] == epochs:
            rule.finish(FinishedCurve(seed, tuple(curve), calibrates))
    best = curves[:, -1].argmax()
    share = float(lengths.mean() / epochs)
    return bool(exposed[best]), bool(lengths[best] < epochs), share


def report(title: str, draw: Callable[[int, np.random.Generator], Curves], replays: int) -> None:
    """Print the losses and savings of replayed searches."""
    for delta in DELTAS:
        for children in (first_use(delta) + LATER, SEARCH):
            rng = np.random.default_rng(0)
            every = [replay(draw(children, rng), delta, rng) for _ in range(replays)]
            exposed, stopped, trained = np.mean(every, axis=0)
            lost, number = stopped / exposed, exposed * replays
            error = (lost * (1 - lost) / number) ** 0.5
            print(
                f"{title}, delta {delta:.2f}, {children} children: best stopped in "
                f"{100 * lost:.1f}% (standard error {100 * error:.1f}) of {number:.0f} searches "
                f"that could, {100 * trained:.0f}% of the epochs trained",
                flush=True,
            )


def main() -> None:
    """Measures both kinds of curves."""
    replays = int(sys.argv[1]) if len(sys.argv) > 1 else REPLAYS
    report("TinyBench, 4 epochs", recorded_curves, replays)
    report("synthetic, 6 epochs", synthetic_curves, replays)


if __name__ == "__main__":
    main()
