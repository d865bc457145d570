r"""Does the LSTM controller learn NASNet's 50 decisions? How near it comes to a known optimum.

    python examples/benchmarks/controller.py --episodes 1600 --seeds 2
    python examples/benchmarks/controller.py --episodes 120 --seeds 5 --environments 1 \
        --agents model-based,local-search,regularized-evolution
    python examples/benchmarks/controller.py --agents nasnet --agent-set learning_rate=0.003

The reward is `examples.benchmarks.landscape`'s, whose best is worth 1 and whose worst 0.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from examples.benchmarks.landscape import Landscape
from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.cli.terminal.options import assignments
from nas_gym import NASNetSearchSpace, NASVectorEnv
from nas_gym.sb3 import NASVecEnv

GOAL = 0.95
ENVIRONMENTS = 20
"""Architectures designed at a time, and then rewarded."""
AGENTS: dict[str, dict[str, Any]] = {
    "nasnet": {},
    "lstm-ppo": {},
    "maskable-ppo": {
        "policy": "nas_agents.controllers.lstm_policy.MaskableControllerPolicy",
        "policy_kwargs": {"controller": "nasnet"},
        "learning_rate": 3e-3,
        "n_steps": 50,
        "batch_size": 250,
        "n_epochs": 4,
        "ent_coef": 0.03,
    },
    "reinforce": {
        "policy_kwargs": {"controller": "nasnet"},
        "learning_rate": 3e-3,
        "n_episodes": 20,
    },
}
"""Settings that differ from the agents' defaults. "nasnet" is NASNet's controller with the
settings of the paper, made for 20,000 architectures; "lstm-ppo" has larger steps, more entropy, and
advantages that are normalized in each update, so that the moving average cancels out."""


@dataclass
class Run:
    """The rewards of a search, in order."""

    rewards: list[float]
    seconds: float

    @property
    def reached(self) -> int | None:
        """Return the number of architectures until the goal."""
        return next((n for n, reward in enumerate(self.rewards, 1) if reward >= GOAL), None)


def learn(
    agent: str,
    episodes: int,
    seed: int,
    landscape: Landscape | None = None,
    given: Mapping[str, Any] | None = None,
    environments: int = ENVIRONMENTS,
) -> Run:
    """One search by an agent; ``given`` takes the place of `AGENTS`'."""
    landscape = landscape or Landscape(NASNetSearchSpace(), seed)
    venv = NASVectorEnv(landscape.search_space, landscape, environments, autoreset_mode="SameStep")
    plan = Plan(venv.decisions, episodes, environments)
    rewards: list[float] = []

    def keep(local: dict[str, Any], _: dict[str, Any]) -> bool:
        if np.all(local["dones"]):
            rewards.extend(np.asarray(local["rewards"]).tolist())
        return True

    started = time.perf_counter()
    settings = AGENTS.get(agent, {}) if given is None else given
    agent = agent.partition("@")[0]
    found = find_agent(agent)
    arguments = found.arguments(plan, settings)
    found.make(NASVecEnv(venv), arguments, seed).learn(episodes * venv.decisions, keep)
    return Run(rewards, time.perf_counter() - started)


def draw(episodes: int, seed: int, landscape: Landscape | None = None) -> Run:
    """One random search."""
    landscape = landscape or Landscape(NASNetSearchSpace(), seed)
    started = time.perf_counter()
    rng = np.random.default_rng(seed)
    samples = (landscape.search_space.sample(rng) for _ in range(episodes))
    return Run([landscape.reward(choices) for choices in samples], time.perf_counter() - started)


def row(name: str, runs: Sequence[Run]) -> str:
    """One line of the table."""
    last = statistics.mean(statistics.mean(run.rewards[-100:]) for run in runs)
    best = [max(run.rewards) for run in runs]
    reached = [f"{run.reached:,}" if run.reached else "-" for run in runs]
    seconds = statistics.mean(run.seconds for run in runs)
    return (
        f"| {name} | {min(best):.3f} to {max(best):.3f} | {last:.3f} | "
        f"{', '.join(reached)} | {seconds:.0f} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--agents", default=",".join(AGENTS), help="names, with commas")
    parser.add_argument("--episodes", type=int, default=1600, help="architectures a run")
    parser.add_argument("--seeds", type=int, default=2, help="runs, each in its own landscape")
    parser.add_argument("--first-seed", type=int, default=0, help="of these runs")
    parser.add_argument(
        "--environments", type=int, default=ENVIRONMENTS, help="architectures designed at a time"
    )
    parser.add_argument(
        "--agent-set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of all agents, in JSON",
    )
    given = parser.parse_args()
    changed = assignments("--agent-set", given.agent_set)
    torch.set_num_threads(1)
    print(f"{given.episodes:,} architectures; the optimum is worth 1")
    print("| controller | best | mean of the last 100 | architectures to 0.95 | seconds |")
    print("|---|---|---|---|---|")
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    print(row("random search", [draw(given.episodes, seed) for seed in seeds]), flush=True)
    for agent in given.agents.split(","):
        settings = {**AGENTS.get(agent, {}), **changed}
        runs = [
            learn(agent, given.episodes, seed, given=settings, environments=given.environments)
            for seed in seeds
        ]
        print(row(agent, runs), flush=True)


if __name__ == "__main__":
    main()
