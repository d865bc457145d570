"""ENAS's recurrent cell computes what the released code's does, node by node."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from nas_gym.families.enas_recurrent.cell import HighwayCell
from nas_gym.families.enas_recurrent.published import DARTS_V2, ENAS_RECURRENT
from nas_gym.families.enas_recurrent.search_space import ENASRecurrentArchitecture

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": torch.nn.Identity(),
}


@pytest.mark.parametrize("architecture", [ENAS_RECURRENT, DARTS_V2])
@pytest.mark.parametrize("masked", [False, True])
def test_the_cell_is_the_released_codes(
    architecture: ENASRecurrentArchitecture, masked: bool
) -> None:
    """enas_lm's child.py, with one matrix product a node; DARTS masks every state as h."""
    torch.manual_seed(0)
    steps, batch, units = 4, 3, 5
    cell = HighwayCell(architecture, units, units).double()
    x, h = torch.randn(steps, batch, units).double(), torch.randn(batch, units).double()
    mask = (torch.rand(batch, units) < 0.5) * 2.0 if masked else torch.ones(batch, units)
    outputs, (last,) = cell(x, (h,), mask.double() if masked else None)
    w_prev = torch.cat([cell.kernel, cell.recurrent_kernel])
    for step in range(steps):
        hh, t = (torch.cat([x[step], h * mask], dim=1) @ w_prev).split(units, 1)
        states = [h + torch.sigmoid(t) * (torch.tanh(hh) - h)]
        for (source, label), weight in zip(architecture.nodes, cell.node_kernels, strict=True):
            before = states[source]
            hh, t = ((before * mask) @ weight).split(units, 1)
            states.append(before + torch.sigmoid(t) * (FUNCTIONS[label](hh) - before))
        h = torch.stack(states[1:]).mean(dim=0)
        torch.testing.assert_close(outputs[step], h)
    torch.testing.assert_close(last, h)


@pytest.mark.parametrize("members", [(), (2,)])
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_finite_differences(members: tuple[int, ...], masked: bool) -> None:
    """Of inputs, state and all weights, for a cell with groups of nodes and every activation."""
    torch.manual_seed(0)
    nodes = ((0, "tanh"), (0, "relu"), (1, "sigmoid"), (1, "identity"), (1, "sigmoid"), (4, "tanh"))
    cell = HighwayCell(ENASRecurrentArchitecture(nodes), 2, 3).double()
    for weight in cell.parameters():
        weight.data = torch.randn(*members, *weight.shape).double()
    x, h = torch.randn(3, *members, 2, 2).double(), torch.randn(*members, 2, 3).double()
    mask = torch.rand(*members, 2, 3).double() if masked else None
    given = [x.requires_grad_(), h.requires_grad_(), *cell.parameters()]
    assert torch.autograd.gradcheck(lambda x, h, *_: cell(x, (h,), mask)[0], given)


def test_parameters_are_those_of_the_published_sizes() -> None:
    """20.8 million with 800 units and ENAS's eight nodes, with tied embeddings of 10,000 words."""
    with torch.device("meta"):
        released, search = (
            HighwayCell(ENASRecurrentArchitecture(((0, "tanh"),) * nodes), units, units)
            for nodes, units in ((8, 800), (9, 200))
        )
    assert sum(p.numel() for p in released.parameters()) + 10_000 * 800 == 20_800_000
    assert sum(p.numel() for p in search.parameters()) + 10_000 * 200 == 2_880_000
