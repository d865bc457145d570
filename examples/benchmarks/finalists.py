"""Does it pay to evaluate finalists again? Random searches on TinyBench, replayed.

    python examples/benchmarks/finalists.py --evaluations 100 --searches 3000

A tenth of TinyBench's networks, 647, have three trainings. A search among these sees one of them;
its best get the other two, and the mean of three decides. The optimism is the validation accuracy
that is reported above the test accuracy of the chosen network's three trainings, less what
validation accuracies are above test accuracies on average. No network is trained.
"""

from __future__ import annotations

import argparse

import numpy as np

from nas_gym.families.nasbench201.tiny_bench import repeated_trainings


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, default=100, help="networks a search")
    parser.add_argument("--searches", type=int, default=3000, help="random searches")
    parser.add_argument("--finalists", type=int, default=10, help="networks evaluated again")
    given = parser.parse_args()
    curves, tests = repeated_trainings()
    validation, test = curves[..., -1], tests.mean(axis=1)  # (R, 3), (R,)
    networks, trainings = validation.shape
    offset = validation.mean() - test.mean()

    rng = np.random.default_rng(0)
    single, mean = [], []
    for _ in range(given.searches):
        rows = rng.choice(networks, given.evaluations, replace=False)
        seen = validation[rows][:, rng.permutation(trainings)]  # the search sees the first
        leaders = np.argsort(-seen[:, 0], kind="stable")[: given.finalists]
        first, best = leaders[0], leaders[seen[leaders].mean(axis=1).argmax()]
        single.append((test[rows[first]], seen[first, 0]))
        mean.append((test[rows[best]], seen[best].mean()))

    print(f"{given.searches:,} random searches of {given.evaluations:,} of {networks:,} networks")
    print("| chosen by | test accuracy | optimism |")
    print("|---|---|---|")
    named = {"one evaluation": single, f"mean of {trainings}, {given.finalists} finalists": mean}
    for name, found in named.items():
        tested, reported = np.mean(found, axis=0)
        print(f"| {name} | {tested:.2%} | {100 * (reported - tested - offset):+.2f} points |")


if __name__ == "__main__":
    main()
