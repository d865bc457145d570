"""The language model of an LSTM or a GRU."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from nas_gym.families.gated.search_space import GatedArchitecture
from nas_gym.networks.base import TokenShape
from nas_gym.networks.language_model import LanguageModel, LanguageModelSettings
from nas_gym.networks.recurrent import RecurrentCell, State


class GatedCell(RecurrentCell):
    """`torch.nn.LSTM` or `torch.nn.GRU` of one layer, by name; its state is (h, c) or (h,).

    Its two biases are PyTorch's. A mask of the states multiplies them before every step, so that
    these are computed one by one.
    """

    def __init__(self, name: str, inputs: int, units: int) -> None:
        super().__init__(inputs, units, num_states=2 if name == "LSTM" else 1)
        self.cell: nn.LSTM | nn.GRU = getattr(nn, name)(inputs, units)

    def forward(
        self, inputs: Tensor, state: State | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        weights: dict[str, Tensor] = dict(self.cell.named_parameters())
        weights["weight_hh_l0"] = self.dropped(weights["weight_hh_l0"])
        state = self.initial_state(inputs.shape[-2]) if state is None else state
        if inputs.ndim == 3:
            return self._run(weights, inputs, state, mask)
        members = []
        for k in range(inputs.shape[1]):
            own = {name: weight[k] for name, weight in weights.items()}
            of_state = tuple(part[k] for part in state)
            of_mask = None if mask is None else mask[k]
            members.append(self._run(own, inputs[:, k], of_state, of_mask))
        outputs, after = zip(*members, strict=True)
        return torch.stack(outputs, 1), tuple(map(torch.stack, zip(*after, strict=True)))

    def _run(
        self, weights: dict[str, Tensor], inputs: Tensor, state: State, mask: Tensor | None
    ) -> tuple[Tensor, State]:
        """Return what `forward` does, for one member."""
        if mask is None:
            given = tuple(part[None] for part in state)
            hx = given if self.num_states == 2 else given[0]
            outputs, after = functional_call(self.cell, weights, (inputs, hx))
            return outputs, tuple(part[0] for part in (after if self.num_states == 2 else [after]))
        w, u, *biases = weights.values()  # in PyTorch's order
        made, step = [], lstm_step if self.num_states == 2 else gru_step
        for x in F.linear(inputs, w, biases[0]).unbind():
            state = step(x, F.linear(state[0] * mask, u, biases[1]), *state)
            made.append(state[0])
        return torch.stack(made), state


def lstm_step(x: Tensor, u: Tensor, h: Tensor, c: Tensor) -> State:
    """Return h_t and c_t from W x_t and U h_{t-1}, (B, 4H), in PyTorch's order of the gates."""
    write, forget, candidate, output = (x + u).chunk(4, -1)
    c = forget.sigmoid() * c + write.sigmoid() * candidate.tanh()
    return output.sigmoid() * c.tanh(), c


def gru_step(x: Tensor, u: Tensor, h: Tensor) -> State:
    """Return h_t from W x_t and U h_{t-1}, (B, 3H), in PyTorch's order of the gates."""
    (x_reset, x_update, x_new), (reset, update, new) = x.chunk(3, -1), u.chunk(3, -1)
    candidate = torch.tanh(x_new + (x_reset + reset).sigmoid() * new)
    return (torch.lerp(candidate, h, (x_update + update).sigmoid()),)


class GatedNetwork(LanguageModel):
    """Words (T, B) in, logits (T, B, V) out; every layer is the cell."""

    def __init__(
        self, architecture: GatedArchitecture, shape: TokenShape, settings: LanguageModelSettings
    ) -> None:
        super().__init__(partial(GatedCell, architecture["cell"]), shape, settings)
