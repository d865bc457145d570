"""``nas-gym envs``: the registered environments."""

from __future__ import annotations

from decimal import Decimal

from click import command

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import print_json, print_table


@command()
@options.module
@options.as_json
def envs(as_json: bool) -> None:
    """List the environments, their decisions and their sizes.

    A size is the number of sequences of choices. nas_gym/Compression-v0 is not listed, since it
    designs no networks.
    """
    from nas_agents.catalogue.environments import registered_search_spaces

    rows = [
        (env_id, len(space.decisions), list(space.num_choices), space.size)
        for env_id, space in registered_search_spaces().items()
    ]
    heads = ("id", "decisions", "choices", "size")
    if as_json:
        print_json([dict(zip(heads, row, strict=True)) for row in rows])
        return
    cells = (
        (env_id, decisions, _range(choices), f"{Decimal(size):.3g}")
        for env_id, decisions, choices, size in rows
    )
    print_table(heads, cells)


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
