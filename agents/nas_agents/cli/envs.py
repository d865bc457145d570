"""``nas-gym envs``: the registered environments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from nas_agents.cli.common import Json, print_json, print_table


def envs(as_json: Json = False) -> None:
    """List the environments, their decisions and their sizes."""
    from nas_agents.catalogue.environments import registered_search_spaces

    rows: list[dict[str, Any]] = [
        {
            "id": env_id,
            "decisions": len(search_space.decisions),
            "choices": list(search_space.num_choices),
            "size": search_space.size,
        }
        for env_id, search_space in registered_search_spaces().items()
    ]
    if as_json:
        print_json(rows)
        return
    cells = (
        (
            row["id"],
            row["decisions"],
            f"{min(row['choices'])} to {max(row['choices'])}",
            f"{Decimal(row['size']):.3g}",
        )
        for row in rows
    )
    print_table(("id", "decisions", "choices", "size"), cells)
