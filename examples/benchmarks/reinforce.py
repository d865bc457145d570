"""REINFORCE on NAS-Bench-201: how fast a search is, beside a bare loop of PyTorch.

    python examples/benchmarks/reinforce.py --searches 20

A search lasts 12,000 simulated seconds of training on CIFAR-10, some hundred architectures, each
with an update. It needs nasbench201_cifar10.npz in NAS_GYM_DATA. The bare loop draws, looks an
accuracy up in a list, and updates; it has no environment, and no algorithm around it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from torch.distributions import Categorical

from nas_agents.bench.searching import resolved, run_search
from nas_agents.bench.settings import Benchmark
from nas_agents.catalogue.defaults import NASBENCH201


def bare_loop(updates: int) -> float:
    """Return the seconds an update takes without anything around it."""
    accuracies = np.random.default_rng(0).random(5**6).tolist()
    logits = torch.nn.Parameter(1e-3 * torch.randn(6, 5))
    optimizer = torch.optim.Adam([logits], lr=0.1)
    average, started = 0.0, time.perf_counter()
    for _ in range(updates):
        distribution = Categorical(torch.softmax(logits, dim=-1))
        action = distribution.sample()
        row = 0
        for choice in action.tolist():
            row = 5 * row + choice
        average = 0.9 * average + 0.1 * accuracies[row]
        loss = (-distribution.log_prob(action) * (accuracies[row] - average)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - started) / updates


def main() -> None:
    """Print the time of an update, and its ratio to the bare loop's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--searches", type=int, default=20)
    given = parser.parse_args()
    torch.set_num_threads(1)
    benchmark = Benchmark(
        env_id="nas_gym/NASBench201-Recorded-v0",
        agents={"reinforce": {"agent": "reinforce", **NASBENCH201}},
        env_arguments={"epochs": 12},
        budget="simulated-seconds",
        limits=(12_000.0,),
        pay_repeats=True,
        seeds=given.searches,
        baseline="reinforce",
    )
    searches = [resolved(search) for search in benchmark.searches()]
    run_search(searches[0])  # imports and reads the table
    started = time.perf_counter()
    updates = sum(run_search(search)["asked"] for search in searches)
    ours, bare = (time.perf_counter() - started) / updates, bare_loop(2000)
    print(f"an update: {1e6 * ours:.0f} us; bare loop {1e6 * bare:.0f} us; ratio {ours / bare:.2f}")


if __name__ == "__main__":
    main()
