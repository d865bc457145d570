"""Does it pay to evaluate finalists again? Random searches on DigitsBench, replayed.

    python examples/benchmarks/finalists.py --evaluations 200 --searches 3000

DigitsBench has three trainings of each of its 6,466 networks. A search sees one of them; its best
get the other two, and the mean of three decides. The optimism is the validation accuracy that is
reported above the test accuracy of the chosen network's three trainings, less what validation
accuracies are above test accuracies in the whole table. No network is trained.
"""

from __future__ import annotations

import argparse

import numpy as np

from nas_gym.families.nasbench201.digits_bench import digits_bench_table

TRAININGS = 3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--evaluations", type=int, default=200, help="networks a search")
    parser.add_argument("--searches", type=int, default=3000, help="random searches")
    parser.add_argument("--finalists", type=int, default=10, help="networks evaluated again")
    given = parser.parse_args()
    tables = [digits_bench_table(seed) for seed in range(TRAININGS)]
    validation = np.stack([table.accuracy[:-1] for table in tables], axis=1)  # (R, 3)
    test = np.stack([table.test[:-1] for table in tables], axis=1).mean(axis=1)  # (R,)
    offset = validation.mean() - test.mean()

    rng = np.random.default_rng(0)
    single, mean = [], []
    for _ in range(given.searches):
        rows = rng.choice(len(test), given.evaluations, replace=False)
        seen = validation[rows][:, rng.permutation(TRAININGS)]  # the search sees the first
        leaders = np.argsort(-seen[:, 0], kind="stable")[: given.finalists]
        first, best = leaders[0], leaders[seen[leaders].mean(axis=1).argmax()]
        single.append((test[rows[first]], seen[first, 0]))
        mean.append((test[rows[best]], seen[best].mean()))

    print(f"{given.searches:,} random searches of {given.evaluations:,} networks")
    print("| chosen by | test accuracy | optimism |")
    print("|---|---|---|")
    named = {"one evaluation": single, f"mean of {TRAININGS}, {given.finalists} finalists": mean}
    for name, found in named.items():
        tested, reported = np.mean(found, axis=0)
        print(f"| {name} | {tested:.2%} | {100 * (reported - tested - offset):+.2f} points |")


if __name__ == "__main__":
    main()
