"""RL against random search, as in NASNet's figure: best, mean of the best 5 and 25, by evaluations.

    python examples/reproduction/against_random.py nasbench201     # recorded
    python examples/reproduction/against_random.py nasnet          # children trained on CIFAR-10
    python examples/reproduction/against_random.py nas             # children trained on digits

A command makes the searches that are missing, one after the other, goes on with one that was
interrupted, and prints the table from all that there are. `--agent random` and `--seeds 1,2` make
some of them only, so that several processes can share the work.

Zoph et al. 2018 (https://arxiv.org/abs/1707.07012, section 4.4) find the best architecture of RL to
be over 1% better on CIFAR-10 than that of random search after 20,000 children, and the means of the
best 5 and 25 to be better too. Zoph & Le 2017 (https://arxiv.org/abs/1611.01578, section 4.2)
compare in the same way. Here architectures count once, however often they were asked for. Means
over the searches of a kind, and 95% intervals (Student's t); validation accuracy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from nas_agents.catalogue.presets import with_preset
from nas_agents.runs.callbacks import Callback, Child
from nas_agents.runs.comparison import TOPS, best_of, children
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import NASGymError


@dataclass(frozen=True)
class Experiment:
    """Environment and length of a search."""

    preset: str
    given: Mapping[str, Any]
    """Arguments that differ from the preset."""
    seeds: int
    """Searches of the controller, and as many of random search."""
    at: tuple[int, ...]
    """Numbers of evaluations to compare at; the last is how long a search is."""

    def settings(self, agent: str, seed: int) -> SearchSettings:
        """Of one search. Random search has the same environment."""
        given = {**self.given, "seed": seed, "episodes": self.at[-1], "final": False}
        settings = with_preset(self.preset, given)
        if agent == "random":
            settings |= {"agent": "random", "agent_arguments": {}}
        return SearchSettings(**settings)


EXPERIMENTS = {
    "nasbench201": Experiment(
        "nasnet-laptop",
        {
            "env_id": "nas_gym/NASBench201-Recorded-v0",
            "env_arguments": {"dataset": "cifar10", "epochs": 12},
            "agent_arguments": {"learning_rate": 1e-3},
        },
        seeds=50,
        at=(100, 200, 500, 1_000),
    ),
    "nasnet": Experiment(
        "nasnet-laptop",
        {
            "envs": 5,
            "env_arguments": {
                "dataset": "cifar10",
                "image_size": 8,
                "data_fraction": 0.1,
                "batch_size": 32,
                "learning_rate": 0.05,
                "blocks": 3,
            },
            # five architectures an update, of 30 decisions each
            "agent_arguments": {"n_steps": 30, "batch_size": 150},
        },
        seeds=3,
        at=(30, 60, 90, 120),
    ),
    "nas": Experiment("nas-laptop", {}, seeds=10, at=(32, 64, 96)),
}


class Shown(Callback):
    """Prints every twentieth child."""

    def on_child(self, child: Child) -> None:
        at = child.progress
        if child.number % 20 == 0:
            print(
                f"{child.number} children, {at.recent_accuracy:.2%}, {at.seconds:.0f} s", flush=True
            )


def one_search(name: str, agent: str, seed: int, folder: Path) -> None:
    """Make a search, or the missing part of it."""
    run = folder / name / f"{agent}-{seed}"
    settings = EXPERIMENTS[name].settings(agent, seed)

    search(settings, run, resume=True, callbacks=[Shown()])


def report(name: str, folder: Path) -> None:
    """Print the table of the searches that are complete."""
    experiment = EXPERIMENTS[name]
    runs = {
        agent: [
            path
            for path in sorted((folder / name).glob(f"{kind}-*"))
            if (path / "summary.json").is_file()
        ]
        for agent, kind in (("RL", experiment.settings("", 0).agent), ("random", "random"))
    }
    if not all(runs.values()):
        print("searches of both kinds are needed for a table")
        return
    found = [  # of each kind (n, A, TOPS)
        np.stack([best_of(*children(run)[:2], experiment.at) for run in paths])
        for paths in runs.values()
    ]
    numbers = ", ".join(f"{len(each)} by {kind}" for kind, each in zip(runs, found, strict=True))
    print(f"searches: {numbers}; torch {torch.__version__}")
    heads = [f"{which}, {who}" for which in ("best", "best 5", "best 25") for who in runs]
    print(f"| evaluations | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}")
    for row, number in enumerate(experiment.at):
        cells = []
        for top in range(len(TOPS)):
            cells += [interval(100 * each[:, row, top]) for each in found]
        print(f"| {number:,} | {' | '.join(cells)} |")
    if min(map(len, found)) > 1:
        for top, which in enumerate(("best", "best 5", "best 25")):
            last = (each[:, -1, top] for each in found)
            p_value = stats.ttest_ind(*last, equal_var=False).pvalue
            print(f"{which}, after all evaluations: p = {p_value:.2g} (Welch)")
    for agent, paths in runs.items():
        summaries = [json.loads((path / "summary.json").read_text()) for path in paths]
        trained = sum(each["evaluations"]["made"] for each in summaries)
        spent = sum(each["search_seconds"] for each in summaries)
        print(f"{agent}: {trained} children trained or looked up, {spent:.0f} s of wall time")


def interval(values: NDArray[np.float64]) -> str:
    """Mean and half of its 95% interval (Student's t)."""
    if len(values) < 2:
        return f"{values.mean():.2f}"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{values.mean():.2f} ± {half:.2f}"


@click.command()
@click.argument("name", type=click.Choice(list(EXPERIMENTS)))
@click.option("--agent", default="both", help="rl, random, both, or none for the table alone.")
@click.option("--seeds", default="", help="With commas; default: all.")
@click.option(
    "--run",
    "folder",
    type=Path,
    default="runs/against_random",
    help="Where the searches go.",
)
def main(name: str, agent: str, seeds: str, folder: Path) -> None:
    """Make the searches that are missing, and print the table."""
    experiment = EXPERIMENTS[name]
    rl = experiment.settings("", 0).agent
    for kind in (rl, "random"):
        if agent not in ("both", "random" if kind == "random" else "rl"):
            continue
        for seed in map(int, seeds.split(",")) if seeds else range(experiment.seeds):
            try:
                one_search(name, kind, seed, folder)
            except NASGymError as error:
                raise SystemExit(str(error)) from None
    report(name, folder)


if __name__ == "__main__":
    main()
