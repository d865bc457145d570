"""ENAS (Pham et al. 2018) on CIFAR-10, scaled to two cores, in stages that can be run again.

    python examples/reproduction/enas.py search micro     # shared weights and controller
    python examples/reproduction/enas.py alone micro      # children trained by themselves
    python examples/reproduction/enas.py report micro     # a row of docs/reproduction.md

`search` alternates the shared weights and the controller, keeps a checkpoint, and at the end draws
candidates, of which the best by shared weights and all validation images is ENAS's answer. `alone`
trains children from scratch, all alike: 30 drawn uniformly, then ENAS's answer with three seeds; of
the random ones, the first five are those that ENAS's has to beat, all of them those over which
shared-weights accuracy and that by themselves are correlated, and the one with the best
shared-weights accuracy is what random sampling under the same shared weights would have answered.
`--part 1/2` and `--part 2/2` share `alone` between two processes, also while `search` runs.

A stage that is called again goes on where it was. Children have the released code's final network,
of the size of the search's. Seconds are processor seconds.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from scipy import stats
from stable_baselines3.common.callbacks import BaseCallback

from nas_agents.catalogue.defaults import ENAS_RELEASED, enas_policy
from nas_agents.controllers.sharing.enas import ENAS
from nas_gym import (
    Architecture,
    ENASMacroSearchSpace,
    ENASMicroSearchSpace,
    NASGymError,
    NASVectorEnv,
    SearchSpace,
    Trainer,
    TrainingSettings,
    load_dataset,
)
from nas_gym.data.dataset import Dataset
from nas_gym.errors import require
from nas_gym.families.enas.macro_network import MacroNetworkSettings
from nas_gym.families.enas.micro_network import ENASCellNetworkSettings
from nas_gym.networks import NetworkSettings
from nas_gym.networks.devices import hardware_name
from nas_gym.sb3 import NASVecEnv
from nas_gym.training.seeds import child_seed
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings

RANDOM, COMPARED, SEEDS = 30, 5, 3
"""Random children in all; those that ENAS's answer has to beat; trainings of ENAS's answer."""
TOGETHER = 10
"""Architectures of an update of the controller, designed in lock-step."""


@dataclass(frozen=True)
class Scale:
    """Sizes of the experiment."""

    search_space: SearchSpace
    network: NetworkSettings
    """Of the search; children by themselves have its form "released_final"."""
    sharing: WeightSharingSettings
    alone: TrainingSettings
    agent: dict[str, Any]
    image_size: int = 16
    train: int = 6_400
    """Training images, of the 45,000."""
    validation: int = 2_000


def scale_of(space: str, dataset: str) -> Scale:
    """Return the settings: the released scripts', except where scaled down."""
    micro = space == "micro"
    tiny = dataset == "digits"  # a trial of the program itself
    network: NetworkSettings
    search_space: SearchSpace
    if micro:
        search_space = ENASMicroSearchSpace(1 if tiny else 5)
        network = ENASCellNetworkSettings(cells=1, filters=8, form="released_search", dropout=0.1)
    else:
        search_space = ENASMacroSearchSpace(3 if tiny else 12)
        network = MacroNetworkSettings(filters=16, form="released_search", dropout=0.1)
    final = replace(network, form="released_final", dropout=0.0)
    epochs = 3 if tiny else 124 if micro else 60  # 4 + 8 + 16 + 32 (+ 64)
    return Scale(
        search_space,
        network,
        WeightSharingSettings(
            network,
            epochs=epochs,
            batch_size=32,
            period=4,
            weight_decay=2e-4 if micro else 5e-4,
        ),
        TrainingSettings(
            final, epochs=1 if tiny else 6 if micro else 4, batch_size=32, learning_rate=0.05
        ),
        {
            **ENAS_RELEASED,
            "full_entropy": micro,
            "learning_rate": 0.0035 if micro else 0.001,
            "n_episodes": TOGETHER,
            "episodes_an_epoch": 4 * TOGETHER,
            "candidates": 10 if tiny else 50,
            "policy_kwargs": enas_policy(f"enas-{space}-released"),
        },
        8 if tiny else 16,
        256 if tiny else 6_400,
        128 if tiny else 2_000,
    )


@dataclass
class Run:
    """One space's folder, and what its stages share."""

    space: str
    folder: Path
    dataset_name: str
    seed: int

    def __post_init__(self) -> None:
        (self.folder / "alone").mkdir(parents=True, exist_ok=True)
        self.scale = scale_of(self.space, self.dataset_name)

    @cached_property
    def dataset(self) -> Dataset:
        """A part of the training and validation images; the test split is whole."""
        whole = load_dataset(self.dataset_name, self.scale.image_size)
        rng = np.random.default_rng(0)
        parts = [
            np.sort(rng.permutation(part)[:number])
            for part, number in (
                (whole.train, self.scale.train),
                (whole.validation, self.scale.validation),
            )
        ]
        return replace(whole, train=parts[0], validation=parts[1])

    @cached_property
    def sharing(self) -> WeightSharing:
        settings = replace(self.scale.sharing, seed=self.seed)
        return WeightSharing(self.scale.search_space, self.dataset, settings)

    @cached_property
    def random_children(self) -> list[Architecture]:
        rng = np.random.default_rng(self.seed)
        space = self.scale.search_space
        return [space.decode(space.sample(rng)) for _ in range(RANDOM)]

    def agent(self) -> ENAS:
        """Return the agent, from its checkpoint if there is one."""
        space = self.scale.search_space
        venv = NASVectorEnv(space, self.sharing, TOGETHER, autoreset_mode="SameStep")
        checkpoint = self.folder / "checkpoint.zip"
        if checkpoint.is_file():
            return ENAS.load(checkpoint, env=NASVecEnv(venv), device="cpu")
        arguments = {"seed": self.seed, "device": "cpu", **self.scale.agent}
        return ENAS("LstmPolicy", NASVecEnv(venv), **arguments)

    def read(self, name: str) -> Any:
        path = self.folder / name
        return json.loads(path.read_text()) if path.is_file() else None

    def write(self, name: str, data: object) -> None:
        part = self.folder / f"{name}.part"
        part.write_text(json.dumps(data, indent=1) + "\n")
        part.replace(self.folder / name)


class Checkpoint(BaseCallback):
    """Saves the agent after every few epochs of the shared weights, and says how it stands."""

    def __init__(self, run: Run, every: int = 2) -> None:
        super().__init__()
        self.run, self.every = run, every
        self.record = run.read("progress.json") or {"seconds": 0.0, "epochs": []}
        self.saved = self.epoch = run.sharing.epoch
        self.since = time.process_time()
        self.rewards: list[float] = []

    def _on_step(self) -> bool:
        self.rewards += [i["evaluation"]["accuracy"] for i in self.locals["infos"] if i]
        return True

    def _on_rollout_start(self) -> None:
        sharing = self.run.sharing
        if self.epoch == sharing.epoch:
            return
        self.end_epoch()
        self.record["epochs"].append(dict(vars(sharing.history[-1])))
        self.epoch = sharing.epoch
        if self.epoch >= self.saved + self.every:
            self.save()

    def end_epoch(self) -> None:
        """Record the rewards of the controller's episodes after an epoch of the shared weights."""
        if self.rewards:
            epoch = self.record["epochs"][-1]
            epoch["reward"] = float(np.mean(self.rewards))
            print({name: round(value, 4) for name, value in epoch.items()}, flush=True)
        self.rewards = []

    def save(self) -> None:
        """Write agent and progress."""
        now = time.process_time()
        self.record["seconds"] += now - self.since
        self.since, self.saved = now, self.run.sharing.epoch
        part = self.run.folder / "checkpoint.part.zip"
        self.model.save(part)
        part.replace(self.run.folder / "checkpoint.zip")
        self.run.write("progress.json", self.record)


def search(run: Run) -> None:
    """Search, and evaluate the candidates and random children by the shared weights."""
    if run.read("search.json"):
        return
    agent = run.agent()
    decisions = len(run.scale.search_space.decisions)
    total = run.scale.sharing.epochs * run.scale.agent["episodes_an_epoch"] * decisions
    checkpoint = Checkpoint(run)
    missing = total - agent.num_timesteps
    if missing > 0:
        agent.learn(missing, callback=checkpoint, reset_num_timesteps=False)
        checkpoint.end_epoch()
        checkpoint.save()
    started = time.process_time()
    best, evaluation = agent.choose()
    with run.sharing.on_whole_split():
        shared = [each.accuracy for each in run.sharing.evaluate(run.random_children)]
    run.write(
        "search.json",
        {
            "best": best.to_dict(),
            "shared_accuracy": evaluation.accuracy,
            "random_shared_accuracies": shared,
            "seconds": checkpoint.record["seconds"] + time.process_time() - started,
            "epochs": run.sharing.epoch,
            "episodes": agent.num_timesteps // decisions,
            "hardware": hardware_name(run.sharing.device),
        },
    )


def alone(run: Run, part: int, parts: int) -> None:
    """Trains this part's share of the children that are not trained yet."""
    trainer = Trainer(run.dataset, replace(run.scale.alone, seed=run.seed))
    jobs = [(f"random_{n:02}", child, 0) for n, child in enumerate(run.random_children)]
    mine = jobs[part - 1 :: parts]
    found = run.read("search.json")
    if found:
        best = Architecture.from_dict(found["best"])
        mine += [(f"enas_{repeat}", best, repeat) for repeat in range(SEEDS)][part - 1 :: parts]
    for name, child, repeat in mine:
        if run.read(f"alone/{name}.json"):
            continue
        started = time.process_time()
        evaluation, network = trainer.train_one(child, repeat)
        seed = child_seed(run.seed, child, repeat)
        test = trainer.test_accuracy(network) if network is not None else None
        seconds = time.process_time() - started
        record = {**evaluation.to_dict(), "seed": seed, "test": test, "seconds": seconds}
        run.write(f"alone/{name}.json", record)
        print(name, evaluation.status, f"{evaluation.accuracy:.4f}", test, f"{seconds:.0f} s")
    if not found:
        print("search.json is missing: ENAS's answer is trained once `search` has ended")


def report(run: Run) -> None:
    """Print the measurements as rows of a Markdown table.

    Raises:
        InvalidSettings: the other stages did not come far enough.
    """
    found = run.read("search.json")
    where = f"{run.space} --run {run.folder.parent} --dataset {run.dataset_name} --seed {run.seed}"
    require(found is not None, f"report: `search` has not ended; run `enas.py search {where}`")
    records = [run.read(f"alone/random_{n:02}.json") for n in range(RANDOM)]
    trained = [n for n, record in enumerate(records) if record and record["status"] == "ok"]
    enough = len(trained) >= 2  # for a correlation
    so_far = f"{len(trained)} random children are trained alone"
    require(enough, f"report: {so_far}, of at least 2; run `enas.py alone {where}`")
    tests = np.array([100 * records[n]["test"] for n in trained])
    validations = [100 * records[n]["accuracy"] for n in trained]
    shared = [100 * found["random_shared_accuracies"][n] for n in trained]
    ours = [
        100 * record["test"]
        for record in (run.read(f"alone/enas_{n}.json") for n in range(SEEDS))
        if record and record["status"] == "ok"
    ]
    five = tests[:COMPARED]
    seconds = found["seconds"]
    print(f"hardware: {found['hardware']}, torch {torch.__version__}, {platform.system()}")
    print(f"search: {found['epochs']} epochs, {found['episodes']} episodes, {seconds:.0f} s")
    spent = sum(record["seconds"] for record in records if record)
    print(f"random children: {spent:.0f} s")
    print("| figure | measured | n |\n|---|---|---|")
    print(f"| ENAS {run.space}, retrained, test accuracy | {interval(ours)} | {len(ours)} seeds |")
    print(f"| random architectures trained alike | {interval(five)} | {len(five)} |")
    print(f"| random architectures, all | {interval(tests)} | {len(tests)} |")
    worse = int((tests < np.mean(ours)).sum()) if ours else 0
    print(f"| random architectures that ENAS's is better than | {worse} | of {len(tests)} |")
    print(
        f"| shared-weights accuracy: ENAS's, random ones' | "
        f"{100 * found['shared_accuracy']:.2f}%, {interval(shared)} | 1, {len(shared)} |"
    )
    by_shared = trained[int(np.argmax(shared))]
    answer = f"{100 * records[by_shared]['test']:.2f}%"
    print(f"| best of these by shared weights | {answer} | 1 of {len(tests)} |")
    for name, function in (("Spearman", stats.spearmanr), ("Kendall", stats.kendalltau)):
        result = function(shared, validations)
        low, high = bootstrap(function, shared, validations)
        print(
            f"| {name}, shared-weights against stand-alone validation accuracy | "
            f"{result.statistic:.2f} ({low:.2f} to {high:.2f}), p = {result.pvalue:.3f} | "
            f"{len(trained)} |"
        )
    beats = bool(ours) and np.mean(ours) > np.mean(five)
    print(f"the retrained best {'beats' if beats else 'does not beat'} the mean of the five")


def interval(values: Sequence[float] | np.ndarray) -> str:
    """Mean and 95% interval (Student's t), in percent."""
    if len(values) < 2:
        return ", ".join(f"{value:.2f}%" for value in values) or "missing"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{np.mean(values):.2f}% +- {half:.2f}"


def bootstrap(function: Any, x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Return the 95% interval of a correlation over 2,000 resamples of the architectures."""
    rng = np.random.default_rng(0)
    pairs = np.stack([x, y])
    draws = [function(*pairs[:, rng.integers(len(x), size=len(x))]).statistic for _ in range(2_000)]
    low, high = np.nanpercentile(draws, (2.5, 97.5))
    return float(low), float(high)


@click.command()
@click.argument("stage", type=click.Choice(["search", "alone", "report"]))
@click.argument("space", type=click.Choice(["micro", "macro"]))
@click.option(
    "--run",
    "folder",
    type=Path,
    default="runs/enas",
    help="Where the stages' files go.",
)
@click.option("--part", default="1/1", help="Of `alone`: 1/2 is the first of two parts.")
@click.option("--dataset", default="cifar10", help="`digits` tries the program out.")
@click.option("--seed", default=0)
def main(stage: str, space: str, folder: Path, part: str, dataset: str, seed: int) -> None:
    """Run a stage, or go on with it."""
    run = Run(space, folder / f"{space}-{dataset}-{seed}", dataset, seed)
    try:
        if stage == "search":
            search(run)
        elif stage == "alone":
            number, of = map(int, part.split("/"))
            alone(run, number, of)
        else:
            report(run)
    except NASGymError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
