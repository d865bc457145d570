"""``nas-gym envs``: the registered environments."""

from __future__ import annotations

from decimal import Decimal

from nas_agents.cli.terminal.common import Json, print_json, print_table


def envs(as_json: Json = False) -> None:
    """List the environments, their decisions and their sizes."""
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
        (env_id, decisions, f"{min(choices)} to {max(choices)}", f"{Decimal(size):.3g}")
        for env_id, decisions, choices, size in rows
    )
    print_table(heads, cells)
