"""Sizes of the search spaces: published, ours, and whether they agree.

    python examples/reproduction/sizes.py [--names]

Every registered environment's default search space is listed with its number of valid sequences of
choices. Where more was published, `FIGURES` says what, and how it is counted here. With `--names`,
all 423,624 cells of NAS-Bench-101 are also built and named as the released tables name them, which
takes some minutes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import permutations, product

import click
import numpy as np
from numpy.typing import NDArray

from nas_agents.cli.terminal.output import print_table
from nas_gym import SearchSpace, registered_families
from nas_gym.envs import environment_type
from nas_gym.families.nasbench101.architecture import (
    MAX_EDGES,
    MAX_VERTICES,
    NASBENCH101_OPERATIONS,
    NASBench101Architecture,
    cell_of_code,
    columnwise,
)

_LABELS = len(NASBENCH101_OPERATIONS)


def sequences(search_space: SearchSpace) -> int:
    """Return valid sequences of choices."""
    return search_space.size


def one_block(search_space: SearchSpace) -> int:
    """Sequences of the first of seven blocks: S in the MnasNet paper."""
    return math.prod(search_space.num_choices[: len(search_space.decisions) // 7])


def micro_formula(search_space: SearchSpace) -> int:
    """(5 (B - 2)!)^4 for B nodes, two of them inputs, as the ENAS paper counts final networks."""
    blocks = len(search_space.decisions) // 8
    return int(5 * math.factorial(blocks)) ** 4


def different_keys(search_space: SearchSpace) -> int:
    """Architectures of different keys, by decoding every sequence of an unconditional space."""
    every = product(*map(range, search_space.num_choices))
    return len({search_space.decode(choices).key for choices in every})


def unique_cells(max_vertices: int = MAX_VERTICES) -> Iterator[NASBench101Architecture]:
    """Yield every cell of NAS-Bench-101 once, in its canonical form, the smallest first.

    A graph is an integer, one bit an edge, and operations are an integer in base 3. The inner
    vertices of all graphs are brought into every order at once; the least code of all orders stands
    for a cell. No cell has a vertex that lies on no path from input to output.
    """
    for vertices in range(2, max_vertices + 1):
        choices = list(product(range(_LABELS), repeat=vertices - 2))
        for code in unique_codes(vertices).tolist():
            edges, labels = divmod(code, len(choices))
            yield cell_of_code(edges, choices[labels])


def unique_codes(vertices: int) -> NDArray[np.int64]:
    """Return (number of classes,) int64: edge code * 3 ** (vertices - 2) + the operations' code."""
    graphs = _full_graphs(vertices)
    operations = _LABELS ** (vertices - 2)
    digits = np.array(list(product(range(_LABELS), repeat=vertices - 2)), dtype=np.int64)
    weights = _LABELS ** np.arange(vertices - 2)[::-1]
    least = graphs[:, None] * operations + np.arange(operations)  # (graphs, operations)
    for order in permutations(range(1, vertices - 1)):
        moved, possible = _reordered(graphs, vertices, (0, *order, vertices - 1))
        labels = digits @ weights[np.array(order, dtype=np.int64) - 1]  # (operations,)
        codes = moved[:, None] * operations + labels
        least[possible] = np.minimum(least[possible], codes)
    return np.unique(least)


def _full_graphs(vertices: int) -> NDArray[np.int64]:
    """Return the codes, int64, of graphs whose every vertex is on a path from in to out."""
    pairs = columnwise(vertices)
    codes = np.arange(1 << len(pairs), dtype=np.int64)
    edges = sum((codes >> number & 1 for number in range(len(pairs))), np.zeros_like(codes))
    codes = codes[edges <= MAX_EDGES]
    for vertex in range(vertices):
        for end in (0, 1):
            mask = sum(1 << n for n, pair in enumerate(pairs) if pair[end] == vertex)
            codes = codes[codes & mask != 0] if mask else codes
    return codes


def _reordered(
    graphs: NDArray[np.int64], vertices: int, place: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (graphs with vertex v at ``place[v]``, mask of those), if all edges lead upwards."""
    numbers = {pair: number for number, pair in enumerate(columnwise(vertices))}
    moved, possible = np.zeros_like(graphs), np.ones(len(graphs), dtype=np.bool_)
    for (source, target), number in numbers.items():
        edge = graphs >> number & 1
        if place[source] < place[target]:
            moved |= edge << numbers[place[source], place[target]]
        else:
            possible &= edge == 0
    return moved[possible], possible


def nasbench101_cells(_: SearchSpace) -> int:
    """Cells that no reordering of vertices makes equal."""
    return sum(len(unique_codes(vertices)) for vertices in range(2, MAX_VERTICES + 1))


def nasbench101_names(_: SearchSpace) -> int:
    """Different names (`module_hash`) of those cells."""
    return len({cell.module_hash for cell in unique_cells()})


@dataclass(frozen=True)
class Figure:
    """A size of a search space: what it counts, what was published, where, and how we count."""

    what: str
    published: str | None
    """As printed; ours agrees if it rounds to it. None if nothing was."""
    source: str = ""
    count: Callable[[SearchSpace], int] = sequences

    def verdict(self, ours: int) -> str:
        """Say if ours agrees with the published figure."""
        if self.published is None:
            return ""
        printed = Decimal(self.published.replace(",", ""))
        return "agrees" if Decimal(ours).quantize(printed) == printed else "DIFFERS"


UNPUBLISHED = Figure("sequences of choices", None)
FIGURES: dict[str, list[Figure]] = {
    "nas_gym/ENASMacro-v0": [Figure("sequences of choices", "1.6E+29", "Pham et al. 2018")],
    "nas_gym/ENASMicro-v0": [
        UNPUBLISHED,
        Figure("the paper's formula", "1.3E+11", "Pham et al. 2018", micro_formula),
    ],
    "nas_gym/MnasNet-v0": [
        UNPUBLISHED,
        Figure("sequences of one block", "432", "Tan et al. 2019", one_block),
    ],
    "nas_gym/OFA-v0": [Figure("sequences of choices", "2E+19", "Cai et al. 2020, section 3")],
    "nas_gym/NASBench101-v0": [
        UNPUBLISHED,
        Figure("cells up to isomorphism", "423,624", "Ying et al. 2019", nasbench101_cells),
    ],
    "nas_gym/NASBench201-v0": [
        Figure("sequences of choices", "15,625", "Dong & Yang 2020"),
        Figure("cells up to isomorphism", "6,466", "Dong & Yang 2020", different_keys),
    ],
    "nas_gym/NASCell-v0": [Figure("sequences of choices", "6E+16", "Zoph & Le 2017")],
}
"""By environment; one that is missing here has `UNPUBLISHED` alone."""
NAMES = Figure("names in the tables", "423,624", "Ying et al. 2019", nasbench101_names)


def written(number: int) -> str:
    """Format a number in full, or rounded if that is too long."""
    return f"{number:,}" if number < 10**12 else f"{number:.4g}"


@click.command()
@click.option("--names", is_flag=True, help="Name all cells of NAS-Bench-101, too.")
def main(names: bool) -> None:
    """Print a line for each figure."""
    rows = []
    for env_id in [name for each in registered_families() for name in each.environments]:
        search_space = environment_type(env_id).default_search_space()
        figures = FIGURES.get(env_id, [UNPUBLISHED])
        if names and env_id == "nas_gym/NASBench101-v0":
            figures = [*figures, NAMES]
        for figure in figures:
            ours = figure.count(search_space)
            published = (figure.what, figure.published or "none")
            counted = (written(ours), figure.verdict(ours), figure.source)
            rows.append((env_id, len(search_space.decisions), *published, *counted))
    print_table(("environment", "decisions", "counted", "published", "ours", "", "by"), rows)


if __name__ == "__main__":
    main()
