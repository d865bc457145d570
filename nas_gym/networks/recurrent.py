"""Recurrent cells as modules, unrolled over time; the inputs of all steps are projected at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

State: TypeAlias = tuple[Tensor, ...]
"""The state of a cell, (B, H) each; the first is its output."""

Generators: TypeAlias = Sequence[torch.Generator | None]
"""Of the random numbers of each member of a network; None for torch's global one."""

IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda x: x,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
    "relu": torch.relu_,
    "sin": torch.sin_,
}
"""Activations by the labels of the search spaces, which replace what they are given."""


class RecurrentCell(nn.Module):
    """A recurrent layer: inputs (T, B, I) in, outputs (T, B, H) out.

    A subclass gives `project`, `weights` and `unroll`; one with ``own_gradients`` gives
    `gradients`, too, where autograd would add up the gradient of every weight in every step.
    ``inputs`` is I, ``units`` H, and ``num_states`` the number of its state's parts, (B, H) each.
    """

    own_gradients: ClassVar[bool] = False

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
        projected = self.project(inputs)
        mask = None if mask is None else mask.to(projected.dtype)
        given = [each.to(projected.dtype) for each in (projected, *state, *self.weights())]
        if self.own_gradients and torch.is_grad_enabled():
            outputs, *after = _Unrolled.apply(self, mask, *given)
        else:
            (outputs, *after), _ = self.unroll(mask, *given)
        return outputs, (outputs[-1], *after)

    def project(self, inputs: Tensor) -> Tensor:
        """Return what the weights make of the inputs of all steps, (T, B, K)."""
        raise NotImplementedError

    def weights(self) -> tuple[Tensor, ...]:
        """Return the weights that are applied to states, as `unroll` takes them."""
        raise NotImplementedError

    def unroll(
        self, mask: Tensor | None, projected: Tensor, *given: Tensor
    ) -> tuple[tuple[Tensor, ...], Any]:
        """Compute all steps; with ``own_gradients``, autograd is off.

        ``projected`` are the projected inputs, (T, B, K); ``given`` the state, then the weights.
        The outputs, (T, B, H), are returned with the parts of the last state but the first; and
        whatever `gradients` needs of it.
        """
        raise NotImplementedError

    def gradients(
        self, kept: Any, mask: Tensor | None, given: Sequence[Tensor], after: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Return the gradients of all that `unroll` was given, from those of what it returned."""
        raise NotImplementedError

    def dropped(self, weight: Tensor) -> Tensor:
        """Return weights that are applied to states, in training under `weight_drop`."""
        if not self.weight_drop or not self.training:
            return weight
        return weight * random_mask(weight, weight.shape[-2:], self.weight_drop, self.generators)


class _Unrolled(torch.autograd.Function):
    """`RecurrentCell.unroll`, with the gradients that the cell computes."""

    @staticmethod
    def forward(
        ctx: Any, cell: RecurrentCell, mask: Tensor | None, *given: Tensor
    ) -> tuple[Tensor, ...]:
        results, kept = cell.unroll(mask, *given)
        ctx.cell, ctx.mask, ctx.kept = cell, mask, kept
        ctx.save_for_backward(*given)
        return results

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *after: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.cell.gradients(ctx.kept, ctx.mask, ctx.saved_tensors, after)
        return None, None, *found


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


def product(inputs: Tensor, weight: Tensor, out: Tensor) -> Tensor:
    """Write a matrix product to ``out``, and return it; of K members, (K, ...) each."""
    return (torch.mm if weight.ndim == 2 else torch.bmm)(inputs, weight, out=out)


def weight_gradient(inputs: Tensor, outputs: Tensor) -> Tensor:
    """Return the gradient of a weight (I, O) that all steps used, in one matrix product.

    ``inputs`` are what it multiplied, (T, B, I), ``outputs`` the gradients of the products, (T, B,
    O); of K members, (T, K, B, ...).
    """
    one, other = (each.movedim(0, -3).flatten(-3, -2) for each in (inputs, outputs))
    return one.mT @ other


def gradient_before(
    activation: str, gradient: Tensor, result: Tensor, given: Tensor | None = None
) -> Tensor:
    """Return the gradient before an activation, from that after it and its result.

    That of "sin" follows from what it was ``given``.
    """
    if activation == "tanh":
        found: Tensor = torch.ops.aten.tanh_backward(gradient, result)
    elif activation == "sigmoid":
        found = torch.ops.aten.sigmoid_backward(gradient, result)
    elif activation == "relu":
        found = torch.ops.aten.threshold_backward(gradient, result, 0)
    elif activation == "sin":
        assert given is not None
        found = gradient * given.cos()
    else:
        found = gradient
    return found
