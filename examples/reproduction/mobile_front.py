"""Accuracy and latency together in Once-for-All's search space: hypervolumes, by the surrogate.

    NAS_GYM_DATA=folder python examples/reproduction/mobile_front.py --run runs/front

Three agents search for fronts, with 20 seeds each: NSGA-II, PPO that is conditioned on random
weights, and random search. The report has the mean hypervolume after 100, 300 and 1,000 networks:
the share that a front dominates of all between an accuracy of 0.75 at 80 ms and one of 1 at 0 ms. A
network counts each time that it is asked for. The folder keeps what was searched, for later calls.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click
import gymnasium as gym
import numpy as np
from scipy import stats
from stable_baselines3.common.callbacks import BaseCallback

import nas_gym  # noqa: F401 - it registers the environments
from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_gym import NASVectorEnv
from nas_gym.objectives import Objectives
from nas_gym.pareto import Front, Member
from nas_gym.sb3 import NASVecEnv

AGENTS = ("nsga2", "conditioned-ppo", "random")
BUDGETS = (100, 300, 1_000)
TOGETHER = 10
"""Networks that are designed in lock-step: those of an update of PPO."""
OBJECTIVES = {"accuracy": 0.75, "-latency": 0.08}


class Hypervolumes(BaseCallback):
    """Keeps the front of all networks, and its hypervolume after each of `BUDGETS`."""

    def __init__(self) -> None:
        super().__init__()
        self.front = Front(Objectives.of(OBJECTIVES))
        self.found: list[float] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "evaluation" in info:
                number = len(self.front.children)
                reward = self.front.objectives.of_record(info["evaluation"])
                self.front.add(Member(reward, info["architecture"], number))
                if number + 1 in BUDGETS:
                    self.found.append(self.front.hypervolume())
        return len(self.found) < len(BUDGETS)


def search(name: str, seed: int) -> dict[str, Any]:
    """Return the hypervolumes of one search, and its processor seconds."""
    started, watched = time.process_time(), Hypervolumes()
    arguments: dict[str, Any] = {"evaluator": "surrogate", "objectives": OBJECTIVES}
    env: Any = gym.make("nas_gym/MO-OFA-v0", **arguments).unwrapped
    vector = NASVectorEnv.of(env, TOGETHER, autoreset_mode="SameStep")
    plan = Plan(env.decisions, max(BUDGETS), TOGETHER, len(OBJECTIVES))
    agent = find_agent(name)
    made = agent.make(NASVecEnv(vector), agent.arguments(plan), seed)
    made.learn(plan.episodes * plan.decisions, watched)
    return {"hypervolumes": watched.found, "seconds": time.process_time() - started}


def report(results: dict[str, list[list[float]]]) -> None:
    """Print a table; p is Welch's, against random search."""
    print("| evaluations | agent | hypervolume, mean ± sd | p, Welch |\n|---|---|---|---|")
    for place, budget in enumerate(BUDGETS):
        columns = {name: np.array(found)[:, place] for name, found in results.items()}
        for name, values in columns.items():
            test = stats.ttest_ind(values, columns["random"], equal_var=False)
            p = "" if name == "random" else f"{test.pvalue:.2g}"
            print(f"| {budget:,} | {name} | {values.mean():.4f} ± {values.std(ddof=1):.4f} | {p} |")


@click.command()
@click.option("--run", "folder", type=Path, default="runs/front", help="Folder of the results.")
@click.option("--seeds", default=20)
@click.option("--first-seed", default=0)
def main(folder: Path, seeds: int, first_seed: int) -> None:
    """Run the searches that are not there yet, and print the table."""
    folder.mkdir(parents=True, exist_ok=True)
    results: dict[str, list[list[float]]] = {name: [] for name in AGENTS}
    for seed in range(first_seed, first_seed + seeds):
        for name in AGENTS:
            path = folder / f"{name}-{seed}.json"
            if not path.is_file():
                path.write_text(json.dumps(search(name, seed)) + "\n")
            results[name].append(json.loads(path.read_text())["hypervolumes"])
    report(results)


if __name__ == "__main__":
    main()
