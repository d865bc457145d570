"""The LSTM and the GRU, by name, beside `torch.nn`'s own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_gym import published
from nas_gym.families.gated.network import GatedCell
from nas_gym.networks import TokenShape, measure_cost
from nas_gym.networks.language_model import LanguageModelSettings

CELLS = pytest.mark.parametrize("name", ["LSTM", "GRU"])


def cell_and_input(name: str) -> tuple[GatedCell, torch.Tensor]:
    torch.manual_seed(0)
    return GatedCell(name, 3, 4), torch.randn(5, 2, 3)


@CELLS
def test_it_is_torchs_own_and_carries_its_state(name: str) -> None:
    cell, x = cell_and_input(name)
    own = nn.LSTM(3, 4) if name == "LSTM" else nn.GRU(3, 4)
    own.load_state_dict(cell.cell.state_dict())
    expected, _ = own(x)
    first, state = cell(x[:2])
    second, _ = cell(x[2:], state)
    torch.testing.assert_close(torch.cat([first, second]), expected)


@CELLS
def test_a_mask_of_ones_changes_nothing_and_another_one_hides_states(name: str) -> None:
    """A mask of zeros leaves no trace of h in what weights are applied to."""
    cell, x = cell_and_input(name)
    plain, state = cell(x)
    same, same_state = cell(x, mask=torch.ones(2, 4))
    torch.testing.assert_close((same, same_state), (plain, state))
    with torch.no_grad():
        dict(cell.cell.named_parameters())["weight_hh_l0"].mul_(2)
    doubled, _ = cell(x, mask=torch.full((2, 4), 0.5))
    torch.testing.assert_close(doubled, plain)


@CELLS
@pytest.mark.parametrize("is_masked", [False, True])
def test_members_of_a_fused_network_are_as_each_alone(name: str, is_masked: bool) -> None:
    cells = [cell_and_input(name)[0] for _ in range(2)]
    for weight in cells[1].parameters():
        weight.data.mul_(-2)
    fused, x = cell_and_input(name)
    mask = torch.rand(2, 2, 4) if is_masked else None
    masks = [None, None] if mask is None else list(mask)
    expected = [cell(x, mask=masks[k])[0] for k, cell in enumerate(cells)]
    parts = zip(*(cell.parameters() for cell in cells), strict=True)
    for weight, both in zip(fused.parameters(), parts, strict=True):
        weight.data = torch.stack([each.detach() for each in both])
    outputs, _ = fused(torch.stack([x, x], 1), mask=mask)
    torch.testing.assert_close(outputs, torch.stack(expected, 1))


def test_parameters_are_four_and_three_gates_with_torchs_two_biases() -> None:
    for name, gates in (("LSTM", 4), ("GRU", 3)):
        cost = measure_cost(published(name), TokenShape(10), LanguageModelSettings(units=6))
        assert cost.parameters == gates * 6 * (6 + 6 + 2) + 10 * 6
        assert cost.multiply_adds == gates * 6 * (6 + 6) + 10 * 6
