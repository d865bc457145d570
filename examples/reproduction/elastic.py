"""Once-for-All (Cai et al. 2020) on CIFAR-10, scaled to two cores: one command, which goes on.

    python examples/reproduction/elastic.py --run runs/elastic

The elastic network is trained once by progressive shrinking. Then 20 sub-networks, of all sizes and
for images of five resolutions, are validated with its weights, and trained by themselves twice: all
for the same number of epochs, which ranks them, and each for a twentieth of the elastic network's
multiply-adds, which says what sharing the weights is worth. The report has the rank correlations of
the accuracies, within the resolutions too, their mean difference, and the processor seconds of
each. `--scale tiny` tries the program out on digits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_gym import Architecture, OFASearchSpace, Trainer, TrainingSettings, load_dataset
from nas_gym.data.dataset import Dataset
from nas_gym.families.mobile.architecture import OFAArchitecture
from nas_gym.families.mobile.once_for_all import OnceForAll
from nas_gym.families.mobile.shrinking import PHASES, ShrinkingSettings
from nas_gym.networks.mobile import MobileNetworkSettings

Values = NDArray[np.float64]
BATCH_SIZE, LEARNING_RATE = 64, 0.1
NUMBER = 20
"""Sub-networks that are compared."""
WAYS = {"epochs": "as many epochs", "share": "as much as a share"}
"""How sub-networks are trained by themselves."""


@dataclass(frozen=True)
class Scale:
    """Sizes of the experiment."""

    dataset: str
    train: int
    """Training images."""
    validation: int
    network: MobileNetworkSettings
    resolutions: tuple[int, ...]
    epochs: int
    phase_epochs: tuple[int, int, int, int, int]
    alone: int
    """Epochs of a sub-network that is trained by itself to be ranked."""


SCALES = {
    "cifar10": Scale(
        *("cifar10", 8_000, 5_000, MobileNetworkSettings(width=0.25, divisor=1, halvings=4)),
        *((16, 20, 24, 28, 32), 20, (4, 1, 4, 1, 6), 24),
    ),
    "tiny": Scale(
        *("digits", 256, 128, MobileNetworkSettings(width=0.25, divisor=1, halvings=2)),
        *((6, 8), 2, (1, 0, 1, 0, 1), 1),
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
    """Draw sub-networks of all sizes: each with its own mean of small and large choices.

    Their resolutions have nothing to do with their sizes, and are equally frequent.
    """
    rng, drawn = np.random.default_rng(0), list[OFAArchitecture]()
    means = rng.permutation(np.linspace(0.05, 0.95, NUMBER))
    resolutions = rng.permutation(np.resize(space.resolutions, NUMBER))
    for mean, resolution in zip(means, resolutions, strict=True):
        labels = {d.name: d.choices[rng.binomial(2, mean)] for d in space.decisions[1:]}
        drawn.append(space.of_labels({"resolution": str(resolution), **labels}))
    return drawn


def spent(once: OnceForAll) -> float:
    """Return the multiply-adds of the elastic network's training: thrice those of each forward."""
    rng, total, space = np.random.default_rng(0), 0.0, once.search_space
    for number, phase in enumerate(PHASES):
        costs, teachers = list[int](), list[int]()
        for resolution in space.resolutions:
            drawn = [phase.draw(space, rng, str(resolution)) for _ in range(20)]
            costs += [once.elastic.cost(each).multiply_adds for each in drawn]
            teacher = replace(once.elastic.largest, resolution=resolution)
            teachers.append(once.elastic.cost(teacher).multiply_adds)
        an_image = 3 * phase.networks * np.mean(costs) + (np.mean(teachers) if number else 0)
        total += float(an_image) * once.settings.of_phase(number)[0] * len(once.task.training)
    return total


class Run:
    """A folder, and what is in it by now."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / "results.json"
        folder.mkdir(parents=True, exist_ok=True)
        empty: dict[str, Any] = {"seconds": 0.0, "inherited": {}, **{way: {} for way in WAYS}}
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


def alone(scale: str, child: Architecture, epochs: int, seed: int) -> dict[str, float]:
    """Train one sub-network by itself; return its accuracy, epochs, and processor seconds."""
    sizes, started = SCALES[scale], time.process_time()
    settings = TrainingSettings(
        sizes.network, epochs, BATCH_SIZE, learning_rate=LEARNING_RATE, seed=seed
    )
    evaluation = Trainer(part_of(sizes), settings).evaluate_one(child)
    seconds = time.process_time() - started
    return {"accuracy": evaluation.accuracy, "epochs": epochs, "seconds": seconds}


def centred(values: Values, groups: NDArray[np.int64]) -> Values:
    """Return values less the mean of their group."""
    return np.array(
        [one - values[groups == group].mean() for one, group in zip(values, groups, strict=True)]
    )


def report(run: Run, once: OnceForAll, children: Sequence[OFAArchitecture]) -> None:
    """Print the figures."""
    results, keys = run.results, [str(number) for number in range(NUMBER)]
    inherited = np.array([results["inherited"][key] for key in keys])
    own = {w: np.array([results[w][key]["accuracy"] for key in keys]) for w in WAYS}
    resolutions = np.array([child.resolution for child in children])
    costs = np.array([once.elastic.cost(child).multiply_adds for child in children])
    print("| figure | measured |\n|---|---|")
    for way, accuracies in own.items():
        correlated = {
            "inherited": inherited,
            "resolution": resolutions,
            "multiply-adds": costs,
            "inherited, within resolutions": centred(inherited, resolutions),
        }
        for name, values in correlated.items():
            other = centred(accuracies, resolutions) if "within" in name else accuracies
            rho, tau = stats.spearmanr(values, other), stats.kendalltau(values, other)
            figures = f"{rho.statistic:.2f}, Kendall's {tau.statistic:.2f}, p = {tau.pvalue:.2g}"
            print(f"| Spearman's correlation, {name} and {WAYS[way]} alone | {figures} |")
    for way, accuracies in own.items():
        gaps = 100 * (inherited - accuracies)
        half = stats.t.ppf(0.975, NUMBER - 1) * stats.sem(gaps)
        print(f"| inherited less {WAYS[way]} alone, points | {gaps.mean():+.2f} +- {half:.2f} |")
    for name, values in {"inherited": inherited, **own}.items():
        low, mean, high = 100 * values.min(), 100 * values.mean(), 100 * values.max()
        how = f"{WAYS[name]} alone" if name in WAYS else name
        print(f"| accuracy, {how} | {mean:.1f}% ({low:.1f} to {high:.1f}) |")
    print(f"| elastic network, processor seconds | {results['seconds']:.0f} |")
    for way, named in WAYS.items():
        epochs = [results[way][key]["epochs"] for key in keys]
        seconds = sum(results[way][key]["seconds"] for key in keys)
        print(f"| epochs, {named} alone | {min(epochs)} to {max(epochs)} |")
        print(f"| all {NUMBER}, {named} alone, processor seconds | {seconds:.0f} |")


@click.command()
@click.option("--run", "folder", type=Path, default="runs/elastic", help="Weights and results.")
@click.option("--scale", type=click.Choice(list(SCALES)), default="cifar10")
@click.option("--seed", default=0)
@click.option("--jobs", default=1, help="Sub-networks that are trained by themselves at once.")
def main(folder: Path, scale: str, seed: int, jobs: int) -> None:
    """Run the experiment, or go on with it."""
    sizes, run = SCALES[scale], Run(folder / f"{scale}-{seed}")
    settings = ShrinkingSettings(
        sizes.network,
        sizes.epochs,
        batch_size=BATCH_SIZE,
        learning_rate=LEARNING_RATE,
        seed=seed,
        phase_epochs=sizes.phase_epochs,
        phase_rates=(0.5, 0.2, 0.3, 0.2, 0.3),
        weights=str(run.folder / "elastic.pt"),
    )
    space = OFASearchSpace(resolutions=sizes.resolutions)
    once = OnceForAll(space, part_of(sizes), settings)
    train(run, once)
    children, share = sub_networks(space), spent(once) / NUMBER
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        trainings = {}
        for number, child in enumerate(children):
            key, a_pass = str(number), 3 * once.elastic.cost(child).multiply_adds
            if key not in run.results["inherited"]:
                run.results["inherited"][key] = once.evaluate_one(child).accuracy
                run.write()
            affordable = max(1, round(share / a_pass / len(once.task.training)))
            for way, epochs in (("epochs", sizes.alone), ("share", affordable)):
                if key not in run.results[way]:
                    trainings[pool.submit(alone, scale, child, epochs, seed)] = (way, key)
        for training in as_completed(trainings):
            way, key = trainings[training]
            run.results[way][key] = training.result()
            run.write()
            print(key, WAYS[way], run.results[way][key], flush=True)
    report(run, once, children)


if __name__ == "__main__":
    main()
