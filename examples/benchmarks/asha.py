"""Does ASHA find what full training of all children finds, in less of its time?

    python examples/benchmarks/asha.py [FILE [RUN]]
    python examples/benchmarks/asha.py OTHER --seed 1 --lowest 3    # the tried settings

Random search trains some children to the end; ASHA begins with the same ones in the same order,
one at a time. Printed is the time at which ASHA had a full training as good as the best of all, as
a share of random search's time for all of them: the median of ORDERS orders, and each.

1. NAS-Bench-201's published CIFAR-10 accuracies after 12 and 200 epochs (`nasbench201_cifar10.npz`
   in the data folder), 100 other cells in each order. Each length was trained by itself, so a child
   that goes on pays for all 200 epochs.
2. With FILE: its curves of CHILDREN random cells of the same search space (N = 1, 8 filters),
   trained on a twentieth of CIFAR-10 (16x16) for EPOCHS epochs, with the processor's seconds. FILE
   is made if it is missing, in 24 seconds of one core a child; interrupt it at will. The lowest
   rung has LOWEST epochs of 35 steps. Of 40 children (seed 1, by which it was chosen), the best
   was the 18th after 3 epochs, and rungs of 3, 9 and 27 lost it in five of ten orders; after 9 it
   was the seventh.
3. With RUN: ASHA really searches there, with the children of FILE in their order and further ones,
   until it has one as good as the best in FILE, or has asked for twice as many trainings; it can be
   interrupted and goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_agents.runs.callbacks import Callback, Child
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_agents.strategies import Strategy
from nas_agents.strategies.asha import ASHA, rungs_of
from nas_agents.strategies.random_search import RandomSearch
from nas_gym import Architecture, NASBench201SearchSpace, Trainer, TrainingSettings, load_dataset
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.search_spaces import Choices

PUBLISHED, CHILDREN, ORDERS = 100, 40, 10
SEED = 2
"""Of the children of FILE and RUN, unless another is given."""
EPOCHS, LOWEST = 27, 9
BATCH_SIZE, DATA_FRACTION, IMAGE_SIZE = 64, 0.05, 16
CELLS, FILTERS = 1, 8
SEARCH_SPACE = NASBench201SearchSpace()


def record(file: Path, number: int, seed: int) -> list[dict[str, Any]]:
    """Train the children that the file does not have yet; return its first lines."""
    strategy = RandomSearch(SEARCH_SPACE, seed, repeats=False)
    children: list[Architecture] = [SEARCH_SPACE.decode(strategy.propose()) for _ in range(number)]
    lines = file.read_text().splitlines() if file.exists() else []
    settings = TrainingSettings(
        NASBench201Settings(cells=CELLS, filters=FILTERS),
        epochs=EPOCHS,
        batch_size=BATCH_SIZE,
        data_fraction=DATA_FRACTION,
    )
    trainer = Trainer(load_dataset("cifar10", IMAGE_SIZE), settings, "cpu", False)
    for child in children[len(lines) :]:
        started = time.process_time()
        made = trainer.evaluate_one(child)
        seconds = time.process_time() - started
        line = {"architecture": child.to_json(), "curve": made.curve, "seconds": seconds}
        lines.append(json.dumps(line))
        with file.open("a") as kept:
            kept.write(lines[-1] + "\n")
    return [json.loads(line) for line in lines[:number]]


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
    choices: list[Choices],
    fidelities: Sequence[int],
    accuracies: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> float:
    """Return ASHA's time to the best of all children, as a share of the time of all.

    Args:
        choices: n children, in the order in which they are begun.
        fidelities: The f numbers of epochs of the rungs.
        accuracies: (n, f).
        seconds: (n, f) what a child costs that goes on to a rung from the one below.
    """
    place = {each.tobytes(): number for number, each in enumerate(choices)}
    strategy = ASHA(SEARCH_SPACE, 0, fidelities, proposer=InOrder(choices))
    spent = 0.0
    while True:
        try:
            child, epochs = strategy.next_training()
        except StopIteration:
            return float("inf")
        at = place[child.tobytes()], fidelities.index(epochs)
        spent += seconds[at]
        strategy.trained(child, epochs, float(accuracies[at]), failed=False)
        if epochs == fidelities[-1] and accuracies[at] >= accuracies[:, -1].max():
            return float(spent)


def published(seed: int, children: int) -> float:
    """Return the share of time in one order of NAS-Bench-201's cells."""
    short, full = (nasbench201_table("cifar10", epochs) for epochs in (12, 200))
    strategy = RandomSearch(SEARCH_SPACE, seed, repeats=False)
    choices = [strategy.propose() for _ in range(children)]
    rows = full.rows(np.stack(choices))
    accuracies = np.stack([short.accuracy[rows], full.accuracy[rows]], axis=1)
    seconds = np.stack([short.seconds[rows], full.seconds[rows]], axis=1)
    return replayed(choices, (12, 200), accuracies, seconds / seconds[:, 1].sum())


def trained(lines: list[dict[str, Any]], lowest: int, seed: int) -> float:
    """Return the share of time in one order of the children of a file."""
    order = np.random.default_rng(seed).permutation(len(lines))
    rungs = rungs_of(range(1, EPOCHS + 1), 3, lowest)
    children = [Architecture.from_json(lines[number]["architecture"]) for number in order]
    curves = np.array([lines[number]["curve"] for number in order])
    whole = np.array([lines[number]["seconds"] for number in order])
    parts = np.diff(rungs, prepend=0) / EPOCHS
    choices = [SEARCH_SPACE.encode(child) for child in children]
    accuracies = curves[:, [epochs - 1 for epochs in rungs]]
    return replayed(choices, rungs, accuracies, whole[:, None] * parts / whole.sum())


def report(what: str, shares: list[float]) -> None:
    """Print the shares of all orders."""
    each = ", ".join(f"{share:.2f}" for share in sorted(shares))
    print(f"{what}: ASHA has the best after {np.median(shares):.2f} of the time ({each})")


class Clock(Callback):
    """Adds the processor's seconds of each child to a file, and ends the search at an accuracy."""

    def __init__(self, file: Path) -> None:
        self.file, self.last = file, time.process_time()

    def on_child(self, child: Child) -> None:
        now = time.process_time()
        with self.file.open("a") as lines:
            lines.write(f"{now - self.last}\n")
        self.last = time.process_time()


def really_searched(
    run: Path, target: float, children: int, lowest: int, seed: int
) -> tuple[float, float]:
    """Search until a full training has an accuracy; return the best accuracy, and the seconds."""
    of_children = {"cells": CELLS, "filters": FILTERS, "epochs": EPOCHS, "batch_size": BATCH_SIZE}
    of_children["training_seed"] = TrainingSettings.seed  # so that each is the one in the file
    of_data = {"dataset": "cifar10", "image_size": IMAGE_SIZE, "data_fraction": DATA_FRACTION}
    settings = SearchSettings(
        *("nas_gym/NASBench201-v0", "asha"),
        episodes=3 * children,
        target_accuracy=target,
        seed=seed,
        final=False,
        agent_arguments={"lowest": lowest, "proposer_arguments": {"repeats": False}},
        env_arguments={**of_children, **of_data, "device": "cpu"},
    )
    clock = run.with_suffix(".seconds")
    result = search(settings, run, resume=True, callbacks=[Clock(clock)])
    seconds = sum(map(float, clock.read_text().split()))
    return result.progress.best_accuracy, seconds


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--children", type=int, default=CHILDREN)
    parser.add_argument("--lowest", type=int, default=LOWEST)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    shares = [published(seed, PUBLISHED) for seed in range(ORDERS)]
    report(f"NAS-Bench-201, 12 and 200 epochs, {PUBLISHED} children", shares)
    if given.file is None:
        return
    lines = record(given.file, given.children, given.seed)
    best = max(line["curve"][-1] for line in lines)
    seconds = sum(line["seconds"] for line in lines)
    of_file = f"{len(lines)} children of {seconds:.0f} s in all, the best {best:.4f}"
    report(of_file, [trained(lines, given.lowest, seed) for seed in range(ORDERS)])
    if given.run is not None:
        found, spent = really_searched(given.run, best, len(lines), given.lowest, given.seed)
        print(f"a real search: {found:.4f} after {spent / seconds:.2f} of the time")


if __name__ == "__main__":
    main()
