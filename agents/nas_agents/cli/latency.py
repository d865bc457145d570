"""``nas-gym latency``: latencies of operations, recorded on a device, and how far they predict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option, Typer

from nas_agents.cli.table import training_env
from nas_agents.cli.terminal.common import DATASET, Json, assignments, pairs, print_result
from nas_gym.errors import require

if TYPE_CHECKING:
    from torch import nn

    from nas_gym.networks import ImageShape

app = Typer(help="Latency tables: record one.")


@app.callback()
def latency() -> None:
    """Latency tables: record one."""


@app.command()
def record(
    env: Annotated[str, Argument(help="The environment's id; see `nas-gym envs`.")],
    out: Annotated[Path, Option(help="The table to make, a .json file.")],
    networks: Annotated[int, Option(help="Random networks whose operations are measured.")] = 40,
    held_out: Annotated[int, Option(help="Those of them that the error is taken on.")] = 10,
    dataset: Annotated[str, DATASET] = "digits",
    image_size: Annotated[int | None, Option(help="Scale images to this size.")] = None,
    seed: Annotated[int, Option(help="Draws the networks.")] = 0,
    set_: Annotated[list[str], pairs("An environment's argument.", "--set")] = [],  # noqa: B006
    latency_set: Annotated[
        list[str], pairs("device, batch_size, threads, warmup or repeats.")
    ] = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Measure the operations of random networks here, once, and print the predictions' error.

    Use the table by its name: --set 'latency={"table": "cpu.json"}' of a search, or
    --latency-set table=cpu.json of `nas-gym show`.
    """
    from rich.console import Console

    from nas_gym.networks import LatencySettings
    from nas_gym.networks.latency.recording import record_table
    from nas_gym.settings import from_mapping

    how = from_mapping(LatencySettings, "--latency-set", assignments("--latency-set", latency_set))
    require(how.table is None, "--latency-set: a table is what is made here; leave it out")
    require(held_out >= 1, f"held_out: expected at least 1, got {held_out}")
    enough = f"networks: expected at least 2 more than the {held_out} held out, got {networks}"
    require(networks >= held_out + 2, enough)
    shape = _shape(dataset, image_size)
    console = Console(stderr=True)
    with console.status("recording") as status:
        table = record_table(
            _networks(env, assignments("--set", set_), shape, networks, seed),
            held_out,
            shape,
            how,
            lambda done: status.update(f"recording: {done} of {networks} networks"),
        )
    table.save(out)
    facts = {"table": str(out), "operations": len(table.operations), "networks": networks}
    facts |= {"error": table.error, "errors": list(table.errors), "hardware": table.hardware}
    says = f"{len(table.operations)} operations on {table.hardware}: {out}\nmean error of"
    says += f" {held_out} networks that the fit did not have: {table.error:.1%}"
    print_result(facts, f"{says}, at most {max(table.errors):.1%}", as_json)


def _shape(dataset: str, image_size: int | None) -> ImageShape:
    from nas_gym.data import load_dataset
    from nas_gym.networks import ImageShape

    data = load_dataset(dataset, image_size)
    height, width, channels = data.images.shape[1:]
    return ImageShape(channels, height, width, len(data.classes))


def _networks(
    env: str, given: dict[str, Any], shape: ImageShape, number: int, seed: int
) -> Iterator[nn.Module]:
    """Yield random networks of an environment's search space, with random weights."""
    import numpy as np
    import torch

    from nas_gym.networks import build_network

    env_class = training_env(env)
    of_search_space, training = env_class.split_arguments(given)
    search_space = env_class.search_space_type(**of_search_space)
    rng = np.random.default_rng(seed)
    for _ in range(number):
        architecture = search_space.decode(search_space.sample(rng))
        network = build_network(architecture, shape, training.network)
        yield network.to(memory_format=torch.channels_last)
