"""``nas-gym latency``: latencies of operations, recorded on a device, and how far they predict."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import group, option

from nas_agents.cli.table import training_env
from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import print_result
from nas_agents.cli.terminal.progress import count, counting_bar
from nas_gym.errors import InvalidSettings, require

if TYPE_CHECKING:
    from torch import nn

    from nas_gym.networks import ImageShape


@group(no_args_is_help=False)
def latency() -> None:
    """Latency tables: record one."""


@latency.command()
@options.env_id()
@option("--out", type=options.PATH, required=True, help="The table to make, a .json file.")
@option("--networks", default=40, help="Random networks whose operations are measured.")
@option("--held-out", default=10, help="Those of them that the error is taken on.")
@options.dataset(default="digits")
@options.image_size
@option("--seed", default=0, help="Seed that draws the networks.")
@options.pairs("--set", "env_arguments", "An environment's argument.")
@options.pairs("--latency-set", "settings", "device, batch_size, threads, warmup or repeats.")
@options.as_json
def record(
    env_id: str,
    out: Path,
    networks: int,
    held_out: int,
    dataset: str,
    image_size: int | None,
    seed: int,
    env_arguments: dict[str, Any],
    settings: dict[str, Any],
    as_json: bool,
) -> None:
    """Measure operations here, to predict latencies of networks.

    The operations are those of random networks; the error of predictions is printed. ENV is the
    environment's id; see `nas-gym envs`. Use the table by its name: --set 'latency={"table":
    "cpu.json"}' of a search, or --latency-set table=cpu.json of `nas-gym show`.
    """
    from nas_gym.data import load_dataset
    from nas_gym.data.batches import shape_of
    from nas_gym.networks import LatencySettings
    from nas_gym.networks.latency.recording import record_table
    from nas_gym.settings import from_mapping

    how = from_mapping(LatencySettings, "--latency-set", settings)
    require(how.table is None, "--latency-set: a table is what is made here; leave it out")
    require(seed >= 0, f"seed: expected at least 0, got {seed}")
    require(held_out >= 1, f"held_out: expected at least 1, got {held_out}")
    enough = f"networks: expected at least 2 more than the {held_out} held out, got {networks}"
    require(networks >= held_out + 2, enough)
    require(out.parent.is_dir(), f"out: {out.parent} is no folder; make it first, or name another")
    require(not out.is_dir(), f"out: {out} is a folder; name a file, such as {out / 'cpu.json'}")
    shape = shape_of(load_dataset(dataset, image_size))
    drawn = _networks(env_id, env_arguments, shape, networks, seed)
    with counting_bar("networks") as bar:
        table = record_table(drawn, held_out, shape, how, lambda done: count(bar, done, networks))
    try:
        table.save(out)
    except OSError as error:
        raise InvalidSettings(f"out: {out} cannot be written: {error.strerror}") from error
    facts = {"table": str(out), "operations": len(table.operations), "networks": networks}
    facts |= {"error": table.error, "errors": list(table.errors), "hardware": table.hardware}
    says = f"{len(table.operations)} operations on {table.hardware}: {out}\nmean error of"
    says += f" {held_out} networks that the fit did not have: {table.error:.1%}"
    print_result(facts, f"{says}, at most {max(table.errors):.1%}", as_json)


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
