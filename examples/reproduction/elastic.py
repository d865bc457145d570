"""Once-for-All (Cai et al. 2020) on CIFAR-10, scaled to two cores: one command, which goes on.

    python examples/reproduction/elastic.py --run runs/elastic

The elastic network is trained once by progressive shrinking. Then 20 sub-networks of all sizes are
validated with its weights, and trained by themselves, each for a twentieth of the elastic network's
multiply-adds. The report has the rank correlation of both accuracies, their mean difference, and
the processor seconds of each. `--scale tiny` tries the program out on digits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy import stats

from nas_gym import Architecture, OFASearchSpace, Trainer, TrainingSettings, load_dataset
from nas_gym.data.dataset import Dataset
from nas_gym.families.mobile.architecture import OFAArchitecture
from nas_gym.families.mobile.once_for_all import OnceForAll
from nas_gym.families.mobile.shrinking import PHASES, ShrinkingSettings
from nas_gym.networks.mobile import MobileNetworkSettings

NUMBER = 20
"""Sub-networks that are compared."""


@dataclass(frozen=True)
class Scale:
    """Sizes of the experiment."""

    dataset: str
    train: int
    """Training images."""
    validation: int
    network: MobileNetworkSettings
    epochs: int
    phase_epochs: tuple[int, int, int, int, int]


SCALES = {
    "cifar10": Scale(
        *("cifar10", 4_000, 5_000, MobileNetworkSettings(width=0.25, divisor=1, halvings=5)),
        *(20, (4, 1, 4, 1, 6)),
    ),
    "tiny": Scale(
        *("digits", 256, 128, MobileNetworkSettings(width=0.25, divisor=1, halvings=2)),
        *(2, (1, 0, 1, 0, 1)),
    ),
}


def part_of(scale: Scale) -> Dataset:
    """Return the data set with some of its training and validation images."""
    whole, rng = load_dataset(scale.dataset), np.random.default_rng(0)
    train, validation = (
        np.sort(rng.permutation(part)[:number])
        for part, number in ((whole.train, scale.train), (whole.validation, scale.validation))
    )
    return replace(whole, train=train, validation=validation)


def sub_networks(space: OFASearchSpace) -> list[OFAArchitecture]:
    """Draw sub-networks of all sizes: each with its own mean of small and large choices."""
    rng, drawn = np.random.default_rng(0), list[OFAArchitecture]()
    for mean in rng.permutation(np.linspace(0.05, 0.95, NUMBER)):
        sizes = rng.binomial(2, mean, size=len(space.decisions))
        labels = {d.name: d.choices[size] for d, size in zip(space.decisions, sizes, strict=True)}
        drawn.append(space.of_labels(labels))
    return drawn


def spent(once: OnceForAll) -> float:
    """Return the multiply-adds of the elastic network's training: thrice those of each forward."""
    rng, total = np.random.default_rng(0), 0.0
    cost = once.elastic.cost
    for number, phase in enumerate(PHASES):
        drawn = [phase.draw(once.search_space, rng, None) for _ in range(20)]
        mean = sum(cost(each).multiply_adds for each in drawn) / len(drawn)
        a_step = 3 * phase.networks * mean
        a_step += cost(once.elastic.largest).multiply_adds if number else 0  # the teacher's
        total += a_step * once.settings.of_phase(number)[0] * len(once.task.training)
    return total


class Run:
    """A folder, and what is in it by now."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "results.json"
        folder.mkdir(parents=True, exist_ok=True)
        empty: dict[str, Any] = {"seconds": 0.0, "inherited": {}, "alone": {}}
        self.results = json.loads(self.path.read_text()) if self.path.is_file() else empty

    def write(self) -> None:
        part = self.folder / "results.json.part"
        part.write_text(json.dumps(self.results, indent=1) + "\n")
        part.replace(self.path)


def train(run: Run, once: OnceForAll) -> None:
    """Train the elastic network, or go on."""
    since = time.process_time()

    def on_epoch(phase: str, epoch: int, loss: float) -> None:
        nonlocal since
        now = time.process_time()
        run.results["seconds"] += now - since
        since = now
        run.write()
        print(
            f"{phase}: epoch {epoch}, loss {loss:.3f}, {run.results['seconds']:.0f} s", flush=True
        )

    once.train(on_epoch)


def alone(run: Run, once: OnceForAll, children: Sequence[Architecture], number: int) -> None:
    """Train one sub-network by itself, for its share of the elastic network's multiply-adds."""
    child, key = children[number], str(number)
    if key in run.results["alone"]:
        return
    a_pass = 3 * once.elastic.cost(child).multiply_adds * len(once.task.training)
    epochs = max(1, round(spent(once) / len(children) / a_pass))
    own = once.settings
    settings = TrainingSettings(
        own.network, epochs, own.batch_size, learning_rate=own.learning_rate, seed=own.seed
    )
    started = time.process_time()
    evaluation = Trainer(once.dataset, settings, str(once.device)).evaluate_one(child)
    record = {"accuracy": evaluation.accuracy, "epochs": epochs}
    run.results["alone"][key] = {**record, "seconds": time.process_time() - started}
    run.write()
    print(key, run.results["alone"][key], "inherited", run.results["inherited"][key], flush=True)


def report(run: Run, once: OnceForAll) -> None:
    """Print the figures."""
    results = run.results
    own = [results["alone"][str(n)]["accuracy"] for n in range(NUMBER)]
    inherited = [results["inherited"][str(n)] for n in range(NUMBER)]
    spearman, kendall = stats.spearmanr(inherited, own), stats.kendalltau(inherited, own)
    gaps = 100 * (np.array(inherited) - own)
    half = stats.t.ppf(0.975, NUMBER - 1) * stats.sem(gaps)
    seconds = sum(each["seconds"] for each in results["alone"].values())
    print("| figure | measured |\n|---|---|")
    print(f"| Spearman's correlation, n = {NUMBER} | {spearman.statistic:.2f} |")
    print(f"| Kendall's | {kendall.statistic:.2f}, p = {kendall.pvalue:.3f} |")
    print(f"| inherited minus alone, points | {gaps.mean():+.2f} +- {half:.2f} |")
    means = f"{100 * np.mean(inherited):.1f}%, {100 * np.mean(own):.1f}%"
    print(f"| mean accuracy: inherited, alone | {means} |")
    print(f"| elastic network, seconds | {results['seconds']:.0f} |")
    print(f"| all {NUMBER} alone, seconds | {seconds:.0f} |")


@click.command()
@click.option(
    "--run",
    "folder",
    type=Path,
    default="runs/elastic",
    help="Folder of weights and results.",
)
@click.option("--scale", type=click.Choice(list(SCALES)), default="cifar10")
@click.option("--seed", default=0)
def main(folder: Path, scale: str, seed: int) -> None:
    """Run the experiment, or go on with it."""
    sizes, run = SCALES[scale], Run(folder / f"{scale}-{seed}")
    settings = ShrinkingSettings(
        sizes.network,
        sizes.epochs,
        batch_size=64,
        learning_rate=0.1,
        seed=seed,
        phase_epochs=sizes.phase_epochs,
        phase_rates=(0.5, 0.2, 0.3, 0.2, 0.3),
        weights=str(run.folder / "elastic.pt"),
    )
    once = OnceForAll(OFASearchSpace(), part_of(sizes), settings)
    train(run, once)
    children = sub_networks(once.search_space)
    for number, child in enumerate(children):
        if str(number) not in run.results["inherited"]:
            run.results["inherited"][str(number)] = once.evaluate_one(child).accuracy
            run.write()
        alone(run, once, children, number)
    report(run, once)


if __name__ == "__main__":
    main()
