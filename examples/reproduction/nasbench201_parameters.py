"""NAS-Bench-201: do our networks have the parameters of the released table, in all 15,625 rows?

    python examples/reproduction/nasbench201_parameters.py [--rows 200]

Every network is really built, on torch's meta device, in the benchmark's own skeleton for CIFAR-10
(N = 5, C = 16), and its parameters are counted. The table, `nasbench201_cifar10.npz` in
NAS_GYM_DATA, gives millions as float32: a row agrees if the two numbers of parameters are equal.
All rows take about 10 minutes on one core.

150 rows differ. In each, the table has the count of another cell of the same isomorphism class: one
convolution shared where this cell has two, or the reverse. Row 327, for instance, has three 1x1
convolutions a cell, 157,306 parameters in all, and a third more training time than row 10444, of
two and 129,306 parameters, whose count the table gives it.
"""

from __future__ import annotations

import time

import click
import numpy as np
from tqdm import tqdm

from nas_gym.data.loading import data_folder
from nas_gym.families.nasbench201.search_space import NASBench201Architecture
from nas_gym.networks import ImageShape, count_parameters, weightless_network

CIFAR = ImageShape(channels=3, height=32, width=32, classes=10)


@click.command()
@click.option("--rows", type=int, help="Number of rows to count, drawn at random; all by default.")
@click.pass_context
def main(context: click.Context, /, rows: int | None) -> None:
    """Count, and print how many rows agree; exit with 1 if one differs otherwise."""
    with np.load(data_folder() / "nasbench201_cifar10.npz", allow_pickle=False) as table:
        strings, millions = table["arch_str"], table["cifar10_params_m"]
        classes = table["iso_class"]
    counted = np.arange(len(strings))
    if rows is not None:
        counted = np.random.default_rng(0).choice(counted, min(rows, len(counted)), replace=False)
    start = time.perf_counter()
    ours = np.zeros(len(strings), dtype=np.int64)
    for row in tqdm(counted, "networks", leave=False, disable=None):
        architecture = NASBench201Architecture.from_string(strings[row].decode())
        ours[row] = count_parameters(weightless_network(architecture, CIFAR))
    table_has = np.round(millions.astype(np.float64) * 1e6).astype(np.int64)
    differences = (ours - table_has)[counted]
    mismatches = counted[differences != 0]
    of_another = sum(table_has[row] in ours[classes == classes[row]] for row in mismatches)
    print(f"rows: {len(counted):,} of {len(strings):,}")
    print(f"mismatches: {len(mismatches):,}")
    print(f"  where the table has another isomorphic cell's count: {of_another:,}")
    print(f"largest difference: {np.abs(differences).max():,} parameters")
    print(f"seconds: {time.perf_counter() - start:.0f}")
    context.exit(int(len(mismatches) > of_another))


if __name__ == "__main__":
    main()
