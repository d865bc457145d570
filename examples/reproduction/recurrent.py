"""Recurrent cells on Python's own documentation: the papers' experiments, scaled to minutes.

    python examples/reproduction/recurrent.py             # all parts, then the tables
    python examples/reproduction/recurrent.py search      # or one of them: search, shared, compare

`search`: NAS's controller (Zoph & Le 2017, https://arxiv.org/abs/1611.01578) and random search
design cells of base number 8, with the reward 80 / perplexity^2 and equally many children, three
searches each. `shared`: ENAS's supernet (Pham et al. 2018, https://arxiv.org/abs/1802.03268) is
trained with cells that are drawn uniformly; 30 others are then measured under its weights, and
trained by themselves. `compare`: the best cell of all searches, the released ones, LSTM and GRU
with equal parameters and settings, three seeds each; perplexities are those of the test split.

Each part goes on where it was interrupted. Seconds are processor seconds.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from scipy import stats

from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import Architecture, ENASRecurrentSearchSpace, published
from nas_gym.data.text import TextDataset, load_text
from nas_gym.families.enas_recurrent.sharing import RecurrentSharing, RecurrentSharingSettings
from nas_gym.networks import TokenShape, measure_cost
from nas_gym.networks.language_model import LanguageModelSettings
from nas_gym.training.final import train_final
from nas_gym.training.tasks.language import LanguageSettings
from nas_gym.training.trainer import train_child

NAMED = ("NASCell", "ENAS-Recurrent", "LSTM", "GRU")
ENV = "nas_gym/NASCell-v0"


@dataclass(frozen=True)
class Scale:
    """Sizes of the experiments."""

    text: str = "pydoc"
    vocabulary: int = 500
    searches: int = 3
    """Of each kind, and seeds of a training that is compared."""
    children: int = 160
    """Of each search."""
    units: int = 16
    share: float = 0.5
    """Of the training text, for the children of a search."""
    nodes: int = 6
    """Of the cells of the supernet."""
    epochs: int = 60
    """Of the supernet; a child by itself is trained for a fifth of them."""
    cells: int = 30
    compared_units: int = 32
    """Of NASCell, with whose parameters all cells are compared."""
    compared_epochs: int = 12

    def settings(self, epochs: int, units: int, seed: int = 0) -> LanguageSettings:
        """Return the settings of all trainings, but for the supernet's."""
        network = LanguageModelSettings(units=units)
        return LanguageSettings(
            network, epochs, 64, "adam", 0.01, schedule="cosine", bptt=20, seed=seed
        )

    def dataset(self) -> TextDataset:
        """Return the text."""
        return load_text(self.text, vocabulary=self.vocabulary)


class Records:
    """Results by their names, in a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self.path = path
        lines = path.read_text().splitlines() if path.is_file() else []
        self.known: dict[str, Any] = dict(map(json.loads, lines))

    def made(self, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return a result, made and kept if it is not known."""
        if name not in self.known:
            started = time.process_time()
            self.known[name] = {**make(), "seconds": time.process_time() - started}
            with self.path.open("a") as file:
                file.write(json.dumps([name, self.known[name]]) + "\n")
            print(name, self.known[name], flush=True)
        found: dict[str, Any] = self.known[name]
        return found


def searched(scale: Scale, records: Records) -> dict[str, list[dict[str, Any]]]:
    """Return the best cell and its perplexity of each search, by the kind of agent."""

    def one(agent: str, seed: int) -> dict[str, Any]:
        given = {"learning_rate": 0.006} if agent == "nas" else {}
        settings = SearchSettings(
            *(ENV, agent), episodes=scale.children, envs=8, seed=seed, final=False, finalists=0,
            env_arguments={
                **{"dataset": scale.text, "vocabulary": scale.vocabulary, "units": scale.units},
                **{"data_fraction": scale.share, "epochs": 1, "batch_size": 64, "device": "cpu"},
                "reward": {"name": "perplexity", "c": 80, "power": 2},
            },
            agent_arguments=given,
        )  # fmt: skip
        run = records.path.parent / f"{agent}-{seed}"
        search(settings, run, resume=True)
        lines = map(json.loads, (run / "episodes.jsonl").read_text().splitlines())
        ok = [each for each in lines if each["status"] == "ok"]
        best = min(ok, key=lambda each: each["value"])
        last = [each["value"] for each in ok[-8:]]
        return {"value": best["value"], "last": float(np.mean(last)), "cell": best["architecture"]}

    return {
        agent: [
            records.made(f"search/{agent}/{n}", lambda agent=agent, n=n: one(agent, n))  # type: ignore[misc]
            for n in range(scale.searches)
        ]
        for agent in ("nas", "random")
    }


def shared(scale: Scale, records: Records) -> list[dict[str, Any]]:
    """Return the perplexity of cells under shared weights, and by themselves."""
    text, space = scale.dataset(), ENASRecurrentSearchSpace(scale.nodes)
    of_child = scale.settings(max(1, scale.epochs // 5), scale.units)
    settings = RecurrentSharingSettings(
        of_child.network, scale.epochs, 64, learning_rate=20.0, bptt=20, gradient_clip=0.25
    )
    sharing = RecurrentSharing(space, text, settings, "cpu")
    rng = np.random.default_rng(0)

    def drawn(number: int) -> list[Architecture]:
        return [space.decode(space.sample(rng)) for _ in range(number)]

    kept = records.path.parent / "supernet.pt"
    if kept.is_file():
        sharing.load_state_dict(torch.load(kept, weights_only=False))
    while sharing.epoch < scale.epochs:
        print(sharing.train_epoch(drawn), flush=True)
    torch.save(sharing.state_dict(), kept)
    rng = np.random.default_rng(1)
    results = []
    for number, cell in enumerate(drawn(scale.cells)):

        def one(cell: Architecture = cell) -> dict[str, Any]:
            with sharing.on_whole_split():
                under = sharing.evaluate_one(cell).value
            return {"shared": under, "alone": train_child(cell, text, of_child, "cpu").value}

        results.append(records.made(f"shared/{number}", one))
    return results


def compared(
    scale: Scale, records: Records, found: Architecture
) -> dict[str, tuple[int, int, list[float]]]:
    """Return units, parameters and test perplexities of the cells that are compared."""
    text, cells = scale.dataset(), {"found": found, **{name: published(name) for name in NAMED}}
    shape = TokenShape(len(text.vocabulary))

    def parameters(cell: Architecture, units: int) -> int:
        return measure_cost(cell, shape, LanguageModelSettings(units=units)).parameters

    wanted = parameters(cells["NASCell"], scale.compared_units)
    rows: dict[str, tuple[int, int, list[float]]] = {}
    for name, cell in cells.items():
        sizes = {units: parameters(cell, units) for units in range(4, 3 * scale.compared_units)}
        units = min(sizes, key=lambda each: abs(sizes[each] - wanted))

        def one(seed: int, cell: Architecture = cell, units: int = units) -> dict[str, Any]:
            settings = scale.settings(scale.compared_epochs, units, seed)
            return {"value": train_final(cell, text, settings, "cpu").test_value}

        values = [
            records.made(f"compare/{name}/{seed}", lambda seed=seed: one(seed))["value"]  # type: ignore[misc]
            for seed in range(scale.searches)
        ]
        rows[name] = (units, sizes[units], values)
    return rows


def spread(values: Sequence[float]) -> str:
    """Return the mean and the standard deviation of values."""
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1) if len(values) > 1 else 0:.1f}"


@click.command()
@click.argument("part", type=click.Choice(["search", "shared", "compare", "all"]), default="all")
@click.option(
    "--run",
    "folder",
    type=Path,
    default="runs/recurrent",
    help="Where the results go.",
)
@click.option("--children", default=Scale.children, help="Of each search.")
@click.option("--epochs", default=Scale.epochs, help="Of the supernet.")
@click.option("--compared-epochs", default=Scale.compared_epochs, help="Of the cells compared.")
def main(part: str, folder: Path, **sizes: Any) -> None:
    """Make what is missing, and print the tables."""
    torch.set_num_threads(1)
    run(part, folder, replace(Scale(), **sizes))


def run(part: str, folder: Path, scale: Scale) -> None:
    """Make what is missing of a part, and print its tables."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = folder / "sizes.json"
    if sizes.is_file() and json.loads(sizes.read_text()) != asdict(scale):
        raise click.UsageError(f"{folder} has results of other sizes; give another --run")
    sizes.write_text(json.dumps(asdict(scale)))
    records = Records(folder / "results.jsonl")
    if part in ("shared", "all"):
        pairs = shared(scale, records)
        columns = [[each[name] for each in pairs] for name in ("shared", "alone")]
        tau, rho = stats.kendalltau(*columns), stats.spearmanr(*columns)
        print(f"{len(pairs)} cells: Kendall {tau.statistic:.2f} (p = {tau.pvalue:.2g}), ", end="")
        print(f"Spearman {rho.statistic:.2f} (p = {rho.pvalue:.2g})")
    if part in ("search", "compare", "all"):
        kinds = searched(scale, records)
        for agent, each in kinds.items():
            values, last = ([row[name] for row in each] for name in ("value", "last"))
            print(f"{agent}: best {spread(values)}, mean of the last 8 {spread(last)}")
    if part in ("compare", "all"):
        best = min((row for each in kinds.values() for row in each), key=lambda row: row["value"])
        found = Architecture.from_json(best["cell"])
        print(f"found: {best['cell']}")
        for name, (units, number, values) in compared(scale, records, found).items():
            print(f"| {name} | {units} | {number:,} | {spread(values)} |")
    seconds = sum(each["seconds"] for each in records.known.values())
    print(f"{seconds:.0f} processor seconds, torch {torch.__version__}")


if __name__ == "__main__":
    main()
