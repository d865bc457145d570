"""Words per second of recurrent cells, beside `torch.nn.LSTM` of as many parameters.

    python examples/benchmarks/recurrent.py

Training steps of one layer, forward and backward, on one thread: the released NASCell and ENAS's
released cell as this package computes them, and both written plainly, one `nn.Linear` for each
edge from an input or a state. Rounds alternate between all of them; the median of the process's
own time counts.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas_gym.families.enas_recurrent.cell import HighwayCell
from nas_gym.families.enas_recurrent.published import ENAS_RECURRENT
from nas_gym.families.nascell.cell import TreeCell
from nas_gym.families.nascell.published import NASCELL
from nas_gym.families.nascell.search_space import children_of
from nas_gym.networks import count_parameters

STEPS, ROUNDS = 35, 11
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    **{"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid},
    "identity": nn.Identity(),
}


class PlainTree(nn.Module):
    """NAS's released cell as one writes it first: (T, B, H) to (T, B, H)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        sides = (nn.Linear(units, units, bias=False) for _ in range(2 * NASCELL.base))
        self.sides = nn.ModuleList(sides)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return all outputs, and the last one."""
        h = c = inputs.new_zeros(inputs.shape[1:])
        c_new, outputs, (new, previous) = c, [], NASCELL.cell_indices
        for x in inputs:
            states: list[Tensor] = []
            for number, (combination, label) in enumerate(NASCELL.nodes):
                children = children_of(number, NASCELL.base)
                one, other = (
                    (states[child] for child in children)
                    if children
                    else (self.sides[2 * number](x), self.sides[2 * number + 1](h))
                )
                before = one + other if combination == "add" else one * other
                state = FUNCTIONS[label](before)
                states.append(torch.tanh(state + c) if number == previous else state)
                c_new = before if number == new else c_new
            h, c = states[-1], c_new
            outputs.append(h)
        return torch.stack(outputs), h


class PlainCell(nn.Module):
    """ENAS's released cell as one writes it first: (T, B, H) to (T, B, H)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.units = units
        self.input, self.state = (nn.Linear(units, 2 * units, bias=False) for _ in range(2))
        self.nodes = nn.ModuleList(
            nn.Linear(units, 2 * units, bias=False) for _ in ENAS_RECURRENT.nodes
        )

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return all outputs, and the last one."""
        h, outputs = inputs.new_zeros(inputs.shape[1:]), []
        for x in inputs:
            candidate, gate = (self.input(x) + self.state(h)).split(self.units, 1)
            states = [h + torch.sigmoid(gate) * (torch.tanh(candidate) - h)]
            for (source, label), linear in zip(ENAS_RECURRENT.nodes, self.nodes, strict=True):
                candidate, gate = linear(states[source]).split(self.units, 1)
                before = states[source]
                states.append(before + torch.sigmoid(gate) * (FUNCTIONS[label](candidate) - before))
            h = torch.stack(states[1:]).mean(dim=0)
            outputs.append(h)
        return torch.stack(outputs), h


def seconds_of(cell: nn.Module, inputs: Tensor) -> float:
    """Return the seconds of a forward and a backward pass."""
    started = time.process_time()
    cell(inputs)[0].sum().backward()
    return time.process_time() - started


def measure(units: int, batch: int) -> None:
    """Print the words per second of each cell, and their share of the LSTM's."""
    inputs = torch.randn(STEPS, batch, units)
    cells = {
        "NASCell": TreeCell(NASCELL, units, units),
        "NASCell, plain": PlainTree(units),
        "ENAS": HighwayCell(ENAS_RECURRENT, units, units),
        "ENAS, plain": PlainCell(units),
    }
    everything: dict[str, nn.Module] = {}
    for name, cell in cells.items():
        everything[name] = cell
        hidden = round((count_parameters(cell) / 4 + units**2 / 4) ** 0.5 - units / 2)
        everything[f"LSTM like {name}"] = nn.LSTM(units, hidden, bias=False)
    times: dict[str, list[float]] = {name: [] for name in everything}
    for _ in range(ROUNDS + 1):
        for name, cell in everything.items():
            times[name].append(seconds_of(cell, inputs))
    rates = {n: STEPS * batch / statistics.median(each[1:]) for n, each in times.items()}
    print(f"{units} units, batch {batch}")
    for name in cells:
        share = rates[name] / rates[f"LSTM like {name}"]
        print(f"  {name:14} {rates[name]:9,.0f} words/s, {share:.2f} of the LSTM's")
    for name in ("NASCell", "ENAS"):
        print(f"  {name} against plain: {rates[name] / rates[f'{name}, plain']:.2f}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for size, number in ((32, 64), (200, 20), (650, 20)):
        measure(size, number)
