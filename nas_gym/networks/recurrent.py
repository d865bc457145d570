"""Recurrent cells as modules, unrolled over time; the inputs of all steps are projected at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

State: TypeAlias = tuple[Tensor, ...]
"""The state of a cell, (B, H) each; the first is its output."""

Generators: TypeAlias = Sequence[torch.Generator | None]
"""Of the random numbers of each member of a network; None for torch's global one."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "sin": torch.sin,
}
"""Activations by the labels of the search spaces."""


class RecurrentCell(nn.Module):
    """A recurrent layer: inputs (T, B, I) in, outputs (T, B, H) out.

    A subclass gives `project` for the inputs of all steps at once, and `stepper` for the rest.

    Args:
        inputs: I, size of an input.
        units: H, size of an output and of each part of the state.
        num_states: Number of the parts of its state.
    """

    def __init__(self, inputs: int, units: int, num_states: int) -> None:
        super().__init__()
        self.inputs, self.units, self.num_states = inputs, units, num_states
        self.weight_drop = 0.0
        """Dropout of single weights between states (Wan et al. 2013), drawn once a sequence."""
        self.generators: Generators = (None,)
        """Of each member of a fused network, whose parameters and states are (K, ...)."""

    def initial_state(self, batch: int) -> State:
        """Return the state before the first step, zeros."""
        weight = next(self.parameters())
        shape = (*weight.shape[:-2], batch, self.units)
        return tuple(weight.new_zeros(shape) for _ in range(self.num_states))

    def forward(
        self, inputs: Tensor, state: State | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """Return the outputs of T steps and the state after them.

        ``mask``, (B, H), multiplies states where weights are applied to them: dropout that is the
        same in every step (Gal & Ghahramani 2016, https://arxiv.org/abs/1512.05287).
        """
        state = self.initial_state(inputs.shape[-2]) if state is None else state
        step, outputs = self.stepper(mask), []
        for projected in self.project(inputs).unbind():
            state = step(projected, state)
            outputs.append(state[0])
        return torch.stack(outputs), state

    def project(self, inputs: Tensor) -> Tensor:
        """Return what the weights make of the inputs of all steps, (T, B, K)."""
        raise NotImplementedError

    def stepper(self, mask: Tensor | None) -> Callable[[Tensor, State], State]:
        """Return a step: projected inputs, (B, K), and a state in, the next state out.

        It is called for every step of one sequence: what depends on the weights alone is done once.
        """
        raise NotImplementedError

    def dropped(self, weight: Tensor) -> Tensor:
        """Return weights that are applied to states, in training under `weight_drop`."""
        if not self.weight_drop or not self.training:
            return weight
        return weight * random_mask(weight, weight.shape[-2:], self.weight_drop, self.generators)


def random_mask(
    like: Tensor, shape: Sequence[int], dropout: float, generators: Generators
) -> Tensor:
    """Return a mask of dropout whose mean is 1, ``shape``; of K generators, (K, *shape)."""
    masks = like.new_empty((len(generators), *shape))
    for mask, generator in zip(masks, generators, strict=True):
        mask.bernoulli_(1 - dropout, generator=generator)
    masks.div_(1 - dropout)
    return masks if len(generators) > 1 else masks[0]


def masked(state: Tensor, mask: Tensor | None) -> Tensor:
    """Return a state under dropout."""
    return state if mask is None else state * mask
