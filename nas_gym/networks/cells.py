"""Parts that all networks of cells share: blocks of operations, and states that fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from nas_gym.networks.operations import (
    OPERATIONS,
    Builder,
    DropPath,
    FactorizedReduction,
    concatenate,
    conv,
)
from nas_gym.search_spaces.cells import ADD, Block


@dataclass(frozen=True)
class State:
    """The shape of a hidden state: its channels, and how often its size has been halved."""

    channels: int
    halvings: int


class BlockModule(nn.Module):
    """One block: an operation on each of two hidden states, and their combination."""

    members = 1

    def __init__(
        self,
        block: Block,
        states: list[State],
        filters: int,
        halvings: int,
        keep: float,
        operations: Mapping[str, Builder] = OPERATIONS,
    ) -> None:
        super().__init__()
        self.hidden1, self.hidden2, self.adds = block.hidden1, block.hidden2, block.combine == ADD
        halves = []
        for hidden, label in block.inputs:
            state = states[hidden]
            stride = 2 if state.halvings < halvings else 1
            half = operations[label](state.channels, filters, stride)
            if keep < 1 and label != "identity":
                half = nn.Sequential(half, DropPath(keep))
            halves.append(half)
        self.op1, self.op2 = halves

    def forward(self, states: list[Tensor]) -> Tensor:
        half1: Tensor = self.op1(states[self.hidden1])
        half2: Tensor = self.op2(states[self.hidden2])
        return half1 + half2 if self.adds else concatenate((half1, half2), self.members)


def match_state(state: State, filters: int, halvings: int) -> nn.Module:
    """Return a module that brings a state to the cell's width and output size."""
    if state.halvings != halvings:
        return FactorizedReduction(state.channels, filters)
    if state.channels != filters:
        return nn.Sequential(conv(state.channels, filters), nn.BatchNorm2d(filters))
    return nn.Identity()


def halved(size: int, times: int) -> int:
    """Return the size after a number of convolutions of stride 2, each rounding up."""
    return -(-size >> times)
