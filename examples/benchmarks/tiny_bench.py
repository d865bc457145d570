"""What TinyBench is worth: its noise, and how its ranks agree with the published table's.

    python examples/benchmarks/tiny_bench.py

The first figures need nothing but the package. The agreement is with NAS-Bench-201's test accuracy
on CIFAR-10 after 200 epochs, from its file in NAS_GYM_DATA: over the 6,466 distinct networks, and
over the 15,625 cells, of which isomorphic ones have one value here and several there. Beside it
stand what the file has after 12 epochs, and the number of parameters.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_gym import InvalidDataset, NASBench201SearchSpace
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.families.nasbench201.tiny_bench import repeated_trainings, tiny_bench_table

Values = NDArray[np.float64]
BETTER_HALF = 50
"""Percentile of the published accuracies above which a network is in the better half."""


def spearman(one: Values, other: Values) -> float:
    """Return the rank correlation of two (n,) arrays."""
    return float(stats.spearmanr(one, other).statistic)


def of_the_record() -> None:
    """Print what the accuracies are, and how large their noise is."""
    table = tiny_bench_table()
    choices, rows = every_cell(table.index.rows)
    validation, test = table.accuracy[:-1], table.test[:-1]
    best = int(validation.argmax())
    leaders = np.count_nonzero(validation == validation[best])
    cells = validation[rows]
    print("| one training | validation | test |")
    print("|---|---|---|")
    for name, of in (("best", np.max), ("mean", np.mean), ("standard deviation", np.std)):
        print(f"| {name} of 6,466 networks | {of(validation):.4f} | {of(test):.4f} |")
    print(f"| worst | {validation.min():.4f} | {test.min():.4f} |")
    print(f"| mean of 15,625 cells | {cells.mean():.4f} | {test[rows].mean():.4f} |")
    print(f"| 99th percentile of them | {np.percentile(cells, 99):.4f} | |")
    print(f"networks that share the best: {leaders}; its choices: {choices[rows == best].tolist()}")
    print(f"test accuracy of the best: {test[best]:.4f}")
    print(f"Spearman, validation and test: {spearman(validation, test):.3f}")
    print(f"seconds of the processor: {table.seconds[:-1].mean():.2f} a network")

    curves, tests = repeated_trainings()
    last = curves[..., -1]
    pairs = list(itertools.combinations(range(last.shape[1]), 2))
    between = [f"{spearman(last[:, a], last[:, b]):.3f}" for a, b in pairs]
    within = np.sqrt(last.var(axis=1, ddof=1).mean())
    print(f"{len(last)} networks, trained {last.shape[1]} times each")
    print(f"  Spearman between two trainings: {', '.join(between)}")
    between_networks = last.mean(axis=1).std(ddof=1)
    print(f"  standard deviation between trainings: {100 * within:.2f} points")
    print(f"  between networks: {100 * between_networks:.2f} points")
    of_means = spearman(last.mean(axis=1), tests.mean(axis=1))
    print(f"  Spearman of the means, validation and test: {of_means:.3f}")


def every_cell(
    rows_of: Callable[[NDArray[np.int64]], NDArray[np.int64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the choices of all 15,625 cells, and their rows in a table."""
    numbers = NASBench201SearchSpace().num_choices
    choices = np.array(list(itertools.product(*map(range, numbers))))
    return choices, rows_of(choices)


def agreement() -> None:
    """Print how ranks agree with those of published test accuracies after 200 epochs."""
    table = tiny_bench_table()
    published, early = nasbench201_table(epochs=200), nasbench201_table(epochs=12)
    choices, rows = every_cell(table.index.rows)
    _, first = np.unique(rows, return_index=True)  # the first cell of each network stands for it
    truth = published.test[published.index.rows(choices)]
    ours = {
        "TinyBench": table.accuracy[rows],
        "12 epochs, published": early.accuracy[early.index.rows(choices)],
        "parameters": table.parameters[rows],
    }
    print("| ranks by | Spearman, 15,625 cells | 6,466 networks | their better half | Kendall |")
    print("|---|---|---|---|---|")
    of_networks = truth[first]
    better = of_networks > np.percentile(of_networks, BETTER_HALF)
    for name, values in ours.items():
        own = values[first]
        print(
            f"| {name} | {spearman(values, truth):.3f} | {spearman(own, of_networks):.3f} "
            f"| {spearman(own[better], of_networks[better]):.3f} "
            f"| {stats.kendalltau(own, of_networks).statistic:.3f} |"
        )
    cells = truth[rows == int(table.accuracy[:-1].argmax())]
    above = (truth > cells.mean()).mean()
    print(f"the best network: {cells.mean():.4f} published; {above:.1%} of the cells are better")


def main() -> None:
    """Print all figures."""
    of_the_record()
    try:
        agreement()
    except InvalidDataset as error:
        print(f"no agreement: {error}")


if __name__ == "__main__":
    main()
