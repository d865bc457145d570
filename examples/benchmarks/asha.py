"""Does ASHA find what full training of all children finds, in less of its time?

    python examples/benchmarks/asha.py FILE [RUN]

FILE keeps the curves of CHILDREN random cells of NAS-Bench-201's search space (N = 1, 8 filters),
trained on a twentieth of CIFAR-10 (16x16) for EPOCHS epochs each, and the processor's seconds. They
are trained once, some twelve minutes of one core; interrupt it at will.

The children are then brought into ORDERS orders. In each, random search trains all of them to the
end; ASHA begins with them in this order, one at a time. Printed is the time at which ASHA had a
full training as good as the best of all, as a share of random search's (inf if it never had).

With RUN, a folder, ASHA also really searches there, until it has a child as good as the best in
FILE, or has trained as many as there are; it can be interrupted and goes on.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_agents.runs.callbacks import Callback, Child
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_agents.strategies import Strategy
from nas_agents.strategies.asha import ASHA
from nas_gym import Architecture, NASBench201SearchSpace, Trainer, TrainingSettings, load_dataset
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.search_spaces import Choices

CHILDREN, EPOCHS, ORDERS = 100, 9, 10
BATCH_SIZE, DATA_FRACTION, IMAGE_SIZE = 64, 0.05, 16
CELLS, FILTERS = 1, 8
SEARCH_SPACE = NASBench201SearchSpace()


def record(file: Path) -> list[dict[str, Any]]:
    """Train the children that the file does not have yet; return its lines."""
    rng = np.random.default_rng(0)
    children: dict[str, Architecture] = {}
    while len(children) < CHILDREN:
        child = SEARCH_SPACE.decode(SEARCH_SPACE.sample(rng))
        children.setdefault(child.key, child)
    lines = file.read_text().splitlines() if file.exists() else []
    settings = TrainingSettings(
        NASBench201Settings(cells=CELLS, filters=FILTERS),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        data_fraction=DATA_FRACTION,
    )
    trainer = Trainer(load_dataset("cifar10", IMAGE_SIZE), settings, "cpu", False)
    for child in list(children.values())[len(lines) :]:
        started = time.process_time()
        made = trainer.evaluate_one(child)
        seconds = time.process_time() - started
        line = {"architecture": child.to_json(), "curve": made.curve, "seconds": seconds}
        lines.append(json.dumps(line))
        with file.open("a") as kept:
            kept.write(lines[-1] + "\n")
    return [json.loads(line) for line in lines]


class InOrder(Strategy):
    """Proposes given children, one after the other."""

    def __init__(self, children: list[Choices]) -> None:
        super().__init__(SEARCH_SPACE)
        self.left = iter(children)

    def propose(self) -> Choices:
        return next(self.left)

    def observe(self, choices: Choices, reward: float) -> None:
        """Ignore the reward."""


def replayed(
    choices: list[Choices], curves: NDArray[np.float64], seconds: NDArray[np.float64]
) -> float:
    """Return ASHA's time to the best of all children, as a share of the time of all.

    Args:
        choices: n children, in the order in which they are begun.
        curves: (n, EPOCHS) their accuracies.
        seconds: (n,) the times of their full trainings.
    """
    place = {each.tobytes(): number for number, each in enumerate(choices)}
    strategy = ASHA(SEARCH_SPACE, 0, range(1, EPOCHS + 1), proposer=InOrder(choices))
    trained, spent = np.zeros(len(choices)), 0.0
    while True:
        try:
            child, epochs = strategy.next_training()
        except StopIteration:
            return float("inf")
        number = place[child.tobytes()]
        spent += seconds[number] * (epochs - trained[number]) / EPOCHS
        trained[number] = epochs
        strategy.trained(child, epochs, float(curves[number, epochs - 1]), failed=False)
        if epochs == EPOCHS and curves[number, -1] >= curves[:, -1].max():
            return float(spent / seconds.sum())


class Clock(Callback):
    """Adds the processor's seconds of each child to a file, and ends the search at an accuracy."""

    def __init__(self, file: Path) -> None:
        self.file, self.last = file, time.process_time()

    def on_child(self, child: Child) -> None:
        now = time.process_time()
        with self.file.open("a") as lines:
            lines.write(f"{now - self.last}\n")
        self.last = time.process_time()


def really_searched(run: Path, target: float, children: int) -> tuple[float, float]:
    """Search until a full training has an accuracy; return the best accuracy, and the seconds."""
    of_children = {"cells": CELLS, "filters": FILTERS, "epochs": EPOCHS, "batch_size": BATCH_SIZE}
    of_data = {"dataset": "cifar10", "image_size": IMAGE_SIZE, "data_fraction": DATA_FRACTION}
    settings = SearchSettings(
        *("nas_gym/NASBench201-v0", "asha"),
        episodes=round(children * (1 + 1 / 3 + 1 / 9)),
        target_accuracy=target,
        seed=1,
        final=False,
        env_arguments={**of_children, **of_data, "device": "cpu"},
    )
    clock = run.with_suffix(".seconds")
    result = search(settings, run, resume=True, callbacks=[Clock(clock)])
    seconds = sum(map(float, clock.read_text().split()))
    return result.progress.best_accuracy, seconds


def main() -> None:
    """Measure."""
    lines = record(Path(sys.argv[1]))
    curves = np.array([line["curve"] for line in lines])
    seconds = np.array([line["seconds"] for line in lines])
    choices = [SEARCH_SPACE.encode(Architecture.from_json(x["architecture"])) for x in lines]
    best = curves[:, -1].max()
    orders = [np.random.default_rng(seed).permutation(len(lines)) for seed in range(ORDERS)]
    shares = [replayed([choices[n] for n in o], curves[o], seconds[o]) for o in orders]
    print(
        f"{len(lines)} CIFAR-10 children of {EPOCHS} epochs, {seconds.sum():.0f} s in all, the "
        f"best {best:.4f}: ASHA has it after {np.median(shares):.2f} of the time (median of "
        f"{ORDERS} orders; {', '.join(f'{share:.2f}' for share in sorted(shares))})"
    )
    if len(sys.argv) > 2:
        found, spent = really_searched(Path(sys.argv[2]), float(best), len(lines))
        print(f"a real search: {found:.4f} after {spent / seconds.sum():.2f} of the time")


if __name__ == "__main__":
    main()
