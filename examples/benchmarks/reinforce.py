"""REINFORCE on NAS-Bench-201 in its bandit form: how fast, beside a bare loop of PyTorch.

    python examples/benchmarks/reinforce.py --searches 500 --processes 2

A search lasts 12,000 simulated seconds of training on CIFAR-10, some hundred architectures, each
with an update. Its worth is the test accuracy after 200 epochs of the architecture with the best
validation accuracy after 12. It needs nasbench201_cifar10.npz in NAS_GYM_DATA. The bare loop draws,
looks an accuracy up in a list, and updates; it has no environment, and no algorithm around it.
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch.distributions import Categorical

from nas_agents.catalogue.defaults import NASBENCH201
from nas_agents.controllers.reinforce import Reinforce
from nas_gym import Architecture
from nas_gym.sb3 import VecWholeArchitecture, make_vec_env
from nas_gym.tables.table import Table

ENV_ID = "nas_gym/NASBench201-Recorded-v0"


class Incumbent(BaseCallback):
    """Keeps the best architecture; ends the search when its simulated seconds are spent."""

    def __init__(self, budget: float) -> None:
        super().__init__()
        self.left = budget
        self.updates = 0
        self.accuracy = -1.0
        self.architecture = ""

    def _on_step(self) -> bool:
        (info,) = self.locals["infos"]
        evaluation = info["evaluation"]
        self.left -= evaluation["seconds"]
        if self.left < 0:
            return False
        self.updates += 1
        if evaluation["accuracy"] > self.accuracy:
            self.accuracy, self.architecture = evaluation["accuracy"], info["architecture"]
        return True


def searches(seeds: range, budget: float, rate: float) -> list[tuple[float, int]]:
    """Search with some seeds; return test accuracies, in percent, and numbers of updates."""
    torch.set_num_threads(1)
    vec_env = make_vec_env(ENV_ID, env_kwargs={"epochs": 12})
    trained = gym.make(ENV_ID, epochs=200)
    table = trained.get_wrapper_attr("memory").evaluator
    assert isinstance(table, Table)
    settings: dict[str, Any] = {**NASBENCH201, "learning_rate": rate}
    results = []
    for seed in seeds:
        found = Incumbent(budget)
        agent = Reinforce(env=VecWholeArchitecture(vec_env), seed=seed, device="cpu", **settings)
        agent.learn(10**6, found, log_interval=10**6)
        best = Architecture.from_json(found.architecture)
        results.append((100 * table.test_accuracy(best), found.updates))
    return results


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
    """Print the times and the accuracy."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--searches", type=int, default=500)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--budget", type=float, default=12_000, help="simulated seconds")
    parser.add_argument("--rate", type=float, default=NASBENCH201["learning_rate"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    started = time.perf_counter()
    shares = [range(n, given.searches, given.processes) for n in range(given.processes)]
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        parts = pool.starmap(searches, [(share, given.budget, given.rate) for share in shares])
    seconds = time.perf_counter() - started
    results = [result for part in parts for result in part]
    accuracies = [accuracy for accuracy, _ in results]
    updates = sum(number for _, number in results)
    print(
        f"{len(results)} searches in {seconds:.1f} s in {given.processes} processes, their start "
        f"included; test accuracy {statistics.mean(accuracies):.2f} +- "
        f"{statistics.stdev(accuracies):.2f}"
    )
    bare, ours = bare_loop(2000), given.processes * seconds / updates
    print(f"an update: {1e6 * ours:.0f} us; bare loop {1e6 * bare:.0f} us; ratio {ours / bare:.2f}")


if __name__ == "__main__":
    main()
