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
compare in the same way. Here architectures count once, however often they were asked for; random
search's figures are means over 1,000 orders of all the children that it drew, or in NAS's case,
where networks grow with the search, of its runs. Validation accuracy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy import stats

from nas_agents.command_line import one_line_errors
from nas_agents.comparison import TOPS, best_of, children
from nas_agents.presets import with_preset
from nas_agents.search import search
from nas_agents.search_settings import SearchSettings

ORDERS = 1_000
"""Random orders of random search's children."""


@dataclass(frozen=True)
class Experiment:
    """What is searched, and for how long."""

    preset: str
    given: Mapping[str, Any]
    """What differs from the preset."""
    seeds: int
    """Searches of the controller."""
    random_seeds: int
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
            "env_id": "nas_gym/NASBench201-v0",
            "env_arguments": {"evaluator": "recorded", "dataset": "cifar10", "epochs": 12},
            "agent_arguments": {"learning_rate": 1e-3},
        },
        seeds=50,
        random_seeds=10,
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
        random_seeds=1,
        at=(30, 60, 90, 120),
    ),
    "nas": Experiment("nas-laptop", {}, seeds=10, random_seeds=10, at=(32, 64, 96)),
}


def one_search(name: str, agent: str, seed: int, folder: Path) -> None:
    """Makes a search, or what is missing of it."""
    run = folder / name / f"{agent}-{seed}"
    settings = EXPERIMENTS[name].settings(agent, seed)

    def show(progress: Any) -> None:
        if progress.episodes % 20 == 0:
            recent, seconds = progress.recent_accuracy, progress.seconds
            print(f"{run}: {progress.episodes} children, {recent:.2%}, {seconds:.0f} s", flush=True)

    search(settings, run, on_episode=show, resume=True)


def of_random(runs: Sequence[Path], at: Sequence[int]) -> NDArray[np.float64]:
    """What random search finds, (n, A, TOPS).

    That is on average in random orders of all its children, n = 1; where the depth of a search
    grows with its children, it is that of each run.
    """
    found = [children(run) for run in runs]
    if _depth_grows(runs[0]):
        return np.stack([best_of(*each, at) for each in found])
    accuracies = np.concatenate([each for each, _ in found])
    keys = np.concatenate([np.array(each) for _, each in found])
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(ORDERS):
        order = rng.permutation(len(keys))[: at[-1]]
        draws.append(best_of(accuracies[order], keys[order].tolist(), at))
    mean: NDArray[np.float64] = np.mean(draws, axis=0, keepdims=True)
    return mean


def _depth_grows(run: Path) -> bool:
    settings = json.loads((run / "settings.json").read_text())
    return bool(settings["env_arguments"].get("depth_schedule"))


def report(name: str, folder: Path) -> None:
    """Prints the table of the searches that are complete."""
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
    rl = np.stack([best_of(*children(run), experiment.at) for run in runs["RL"]])  # (n, A, TOPS)
    random = of_random(runs["random"], experiment.at)
    drawn = sum(len(children(run)[1]) for run in runs["random"])
    print(f"{len(rl)} searches by RL; {drawn} random children; torch {torch.__version__}")
    heads = [f"{which}, {who}" for which in ("best", "best 5", "best 25") for who in runs]
    print(f"| evaluations | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}")
    for row, number in enumerate(experiment.at):
        cells = []
        for top in range(len(TOPS)):
            cells += [interval(100 * each[:, row, top]) for each in (rl, random)]
        print(f"| {number:,} | {' | '.join(cells)} |")
    for agent, paths in runs.items():
        seconds = [json.loads((path / "summary.json").read_text()) for path in paths]
        trained = sum(each["evaluations"]["made"] for each in seconds)
        spent = sum(each["search_seconds"] for each in seconds)
        print(f"{agent}: {trained} children trained or looked up, {spent:.0f} s of wall time")


def interval(values: NDArray[np.float64]) -> str:
    """Mean and half of its 95% interval (Student's t)."""
    if len(values) < 2:
        return f"{values.mean():.2f}"
    half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    return f"{values.mean():.2f} ± {half:.2f}"


def main(
    name: Annotated[str, typer.Argument(help=", ".join(EXPERIMENTS))],
    agent: Annotated[str, typer.Option(help="rl, random, both, or none for the table alone.")] = (
        "both"
    ),
    seeds: Annotated[str, typer.Option(help="With commas; default: all.")] = "",
    folder: Annotated[Path, typer.Option("--run", help="Where the searches go.")] = Path(
        "runs/against_random"
    ),
) -> None:
    """Make the searches that are missing, and print the table."""
    if name not in EXPERIMENTS:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(EXPERIMENTS)}")
    experiment = EXPERIMENTS[name]
    rl = experiment.settings("", 0).agent
    for kind, number in ((rl, experiment.seeds), ("random", experiment.random_seeds)):
        if agent not in ("both", "random" if kind == "random" else "rl"):
            continue
        for seed in map(int, seeds.split(",")) if seeds else range(number):
            with one_line_errors():
                one_search(name, kind, seed, folder)
    report(name, folder)


if __name__ == "__main__":
    typer.run(main)
