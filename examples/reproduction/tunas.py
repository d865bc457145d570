"""TuNAS (Bender et al. 2020) on CIFAR-10, scaled to two cores: one command, which goes on.

    python examples/reproduction/tunas.py --run runs/tunas

Five searches in a supernet, each with its own seed, for networks of a target number of
multiply-adds. What each finds is trained by itself, beside a random network whose multiply-adds are
within 2% of the target (rejection sampling, as in the paper). The report has the found networks'
costs and both accuracies. `--scale small` is a fifth of it; `--scale tiny` tries the program out.

Other than at the paper's scale, the reward's beta is -1, for a search of some hundred networks.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy import stats

from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_gym import Architecture, NASVectorEnv, Trainer, TrainingSettings, load_dataset
from nas_gym.data.dataset import Dataset
from nas_gym.families.tunas.search_space import TuNASSearchSpace
from nas_gym.networks.mobile import MobileNetworkSettings
from nas_gym.rewards import TuNASReward
from nas_gym.sb3 import NASVecEnv
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings

RUNS, TOGETHER = 5, 5
"""Searches, and architectures of an update of the controller, which are designed in lock-step."""
TARGET = 0.45
"""Target of the multiply-adds, relative to those of the largest network."""


@dataclass(frozen=True)
class Scale:
    """Sizes of the experiment."""

    dataset: str
    image_size: int
    train: int
    validation: int
    halvings: int
    epochs: int
    """Of the shared weights."""
    episodes: int
    alone: int
    """Epochs of a network by itself."""


SCALES = {
    "cifar10": Scale("cifar10", 16, 4_000, 4_000, 3, 20, 1_500, 10),
    "small": Scale("cifar10", 16, 1_280, 2_000, 3, 5, 600, 6),
    "tiny": Scale("digits", 8, 128, 128, 2, 2, 20, 1),
}


def part_of(scale: Scale) -> Dataset:
    """Return the data set with some of its training and validation images."""
    whole, rng = load_dataset(scale.dataset, scale.image_size), np.random.default_rng(0)
    train, validation = (
        np.sort(rng.permutation(part)[:number])
        for part, number in ((whole.train, scale.train), (whole.validation, scale.validation))
    )
    return replace(whole, train=train, validation=validation)


class Search:
    """One search, its supernet, and its target."""

    def __init__(self, scale: Scale, dataset: Dataset, seed: int) -> None:
        self.scale, self.dataset, self.seed = scale, dataset, seed
        self.space = TuNASSearchSpace()
        self.network = MobileNetworkSettings(width=0.25, divisor=1, halvings=scale.halvings)
        settings = WeightSharingSettings(
            self.network,
            scale.epochs,
            batch_size=64,
            period=scale.epochs,
            learning_rate=0.1,
            seed=seed,
        )
        self.shared = WeightSharing(self.space, dataset, settings)
        largest = self.space.decode([len(d.choices) - 1 for d in self._sizes()])
        self.target = TARGET * self.cost(largest)

    def _sizes(self) -> list[Any]:
        """Return the decisions; of those with a zero layer, only to keep the layer."""
        return [
            replace(each, choices=each.choices[:1]) if "zero" in each.choices else each
            for each in self.space.decisions
        ]

    def cost(self, architecture: Architecture) -> int:
        count = self.shared.supernet.count_multiply_adds(architecture)
        assert count is not None
        return count

    def found(self) -> Architecture:
        """Search, and return the most probable network at the end."""
        reward = TuNASReward(self.target, "multiply_adds", beta=-1.0)
        vector = NASVectorEnv(self.space, self.shared, TOGETHER, reward, autoreset_mode="SameStep")
        entry = find_agent("tunas")
        plan = Plan(len(self.space.decisions), self.scale.episodes, TOGETHER)
        arguments = entry.arguments(plan) | {
            **{"learning_rate": 0.2, "n_episodes": TOGETHER},
            "episodes_an_epoch": self.scale.episodes // self.scale.epochs,
        }
        agent: Any = entry.make(NASVecEnv(vector), arguments, self.seed)
        agent.learn(self.scale.episodes * plan.decisions)
        return agent.choose()[0]  # type: ignore[no-any-return]

    def random(self) -> Architecture:
        """Draw networks until one's multiply-adds are within 2% of the target."""
        rng = np.random.default_rng(self.seed)
        while True:
            drawn = self.space.decode(self.space.sample(rng))
            if abs(self.cost(drawn) / self.target - 1) < 0.02:
                return drawn

    def alone(self, architecture: Architecture) -> float:
        """Return a network's validation accuracy after training by itself."""
        settings = TrainingSettings(self.network, self.scale.alone, 64, seed=self.seed)
        return Trainer(self.dataset, settings).evaluate_one(architecture).accuracy


def run_one(scale: Scale, dataset: Dataset, seed: int) -> dict[str, Any]:
    """Return the results of one search."""
    started, search = time.process_time(), Search(scale, dataset, seed)
    found = search.found()
    searched = time.process_time()
    return {
        "ratio": search.cost(found) / search.target,
        "seconds": searched - started,
        "found": search.alone(found),
        "random": search.alone(search.random()),
        "alone_seconds": time.process_time() - searched,
        "architecture": found.to_dict(),
    }


def report(results: list[dict[str, Any]]) -> None:
    """Print the figures."""
    ratios = [each["ratio"] for each in results]
    within = sum(abs(ratio - 1) <= 0.05 for ratio in ratios)
    print("| figure | measured |\n|---|---|")
    costs = ", ".join(f"{100 * (ratio - 1):+.1f}%" for ratio in ratios)
    print(f"| found networks within 5% of the target | {within} of {len(ratios)}: {costs} |")
    for name in ("found", "random"):
        values = [100 * each[name] for each in results]
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
        print(f"| accuracy, {name} networks | {np.mean(values):.1f}% +- {half:.1f} |")
    test = stats.ttest_rel(*([each[name] for each in results] for name in ("found", "random")))
    print(f"| found against random, paired t-test | p = {test.pvalue:.2f} |")
    seconds = [sum(each[name] for each in results) for name in ("seconds", "alone_seconds")]
    print(f"| processor seconds: searches, trainings | {seconds[0]:.0f}, {seconds[1]:.0f} |")


@click.command()
@click.option(
    "--run",
    "folder",
    type=Path,
    default="runs/tunas",
    help="Folder of the results.",
)
@click.option("--scale", type=click.Choice(list(SCALES)), default="cifar10")
@click.option("--first-seed", default=0)
def main(folder: Path, scale: str, first_seed: int) -> None:
    """Run the experiment, or go on with it."""
    dataset, results = part_of(SCALES[scale]), []
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first_seed, first_seed + RUNS):
        path = folder / f"{scale}-{seed}.json"
        if not path.is_file():
            result = run_one(SCALES[scale], dataset, seed)
            path.write_text(json.dumps(result, indent=1) + "\n")
        results.append(json.loads(path.read_text()))
        shown = {name: value for name, value in results[-1].items() if name != "architecture"}
        print(seed, shown, flush=True)
    report(results)


if __name__ == "__main__":
    main()
