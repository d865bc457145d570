"""`Fused`: several networks of one architecture that compute as one.

Their states lie side by side along the channels, (B, K C, H, W) for K members, so that a layer of
all of them is one kernel: a convolution has K times its groups, batch normalization K times its
channels, a dense layer is a batched matrix product. The idea is HFTA's (Wang et al. 2021,
https://arxiv.org/abs/2102.02344). Weights of language models have a leading dimension instead.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from nas_gym.networks.base import ChildNetwork
from nas_gym.networks.costs import evaluating
from nas_gym.networks.devices import numerics
from nas_gym.networks.language_model import LanguageModel, Output
from nas_gym.networks.operations import DropPath
from nas_gym.networks.recurrent import Generators, RecurrentCell, State, random_mask


class CannotFuse(ValueError):
    """Networks have a layer that has no fused form, or compute something else as one."""


_DRAWING = (
    *(nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    *(nn.AlphaDropout, nn.FeatureAlphaDropout, nn.RReLU),
)
"""Layers that draw random numbers, which would be one member's for all of them."""


class FusedLinear(nn.Module):
    """Dense layers of K members: (B, K C) in, (B, K F) out."""

    def __init__(self, linear: nn.Linear, members: int) -> None:
        super().__init__()
        self.weight, self.bias, self.members = linear.weight, linear.bias, members

    def forward(self, x: Tensor) -> Tensor:
        states = x.unflatten(1, (self.members, -1)).transpose(0, 1)
        outputs: Tensor = states @ self.weight.unflatten(0, (self.members, -1)).mT
        if self.bias is not None:
            outputs = outputs + self.bias.view(self.members, 1, -1)
        return outputs.transpose(0, 1).flatten(1)


class FusedDropout(nn.Module):
    """Dropout of features (B, K C), each member's by its own random numbers."""

    def __init__(self, dropout: float, generators: Generators) -> None:
        super().__init__()
        self.dropout, self.generators = dropout, generators

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            return x
        if x.ndim != 2:
            raise CannotFuse(f"dropout of {x.ndim} dimensions has no fused form")
        shape = (len(x), x.shape[1] // len(self.generators))
        mask = random_mask(x, shape, self.dropout, self.generators)
        return x * mask.transpose(0, 1).flatten(1)


class Fused(ChildNetwork):
    """K networks of one architecture as one: images (B, K C, H, W) in, logits (B, K classes) out.

    The members stay what they are: their parameters and buffers become parts of the fused ones, and
    change with them.

    Args:
        members: The networks, on one device.
        generators: The random numbers of each, for its dropout.
        seeds: The seed of each one's training.
        rates: The learning rate of each, as a multiple of the training's; default: all are 1.

    Raises:
        CannotFuse: a layer with weights or random numbers has no fused form.
    """

    def __init__(
        self,
        members: Sequence[ChildNetwork],
        generators: Generators,
        seeds: Sequence[int],
        rates: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.members, self.seeds = tuple(members), tuple(seeds)
        self.generators = tuple(generators)
        self.rates = tuple(rates) or (1.0,) * len(members)
        self.network = copy.deepcopy(members[0])
        self.auxiliary_weight = members[0].auxiliary_weight
        self._parts: list[tuple[nn.Parameter, list[nn.Parameter]]] = []
        leading = isinstance(self.network, LanguageModel)
        self._join(leading)
        for name, module in list(self.network.named_modules()):
            if isinstance(module, (LanguageModel, RecurrentCell, DropPath)):
                module.generators = generators
            elif hasattr(module, "members"):
                module.members = len(members)
            elif not leading:
                self._widen(name, module, generators)

    def __iter__(self) -> Iterator[ChildNetwork]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)

    def _join(self, leading: bool) -> None:
        """Lay parameters and buffers side by side, and make those of the members parts of it."""
        join: Any = torch.stack if leading else torch.cat
        for kind in ("named_parameters", "named_buffers"):
            sides = [dict(getattr(member, kind)()) for member in self.members]
            for name, tensor in getattr(self.network, kind)():
                parts = [side[name] for side in sides]
                if not tensor.ndim:
                    continue
                joined = join([part.detach() for part in parts])
                split = joined.unbind() if leading else joined.chunk(len(parts))
                for part, own in zip(parts, split, strict=True):
                    part.data = own
                tensor.data = joined
                if isinstance(tensor, nn.Parameter):
                    self._parts.append((tensor, parts))

    def _widen(self, name: str, module: nn.Module, generators: Generators) -> None:
        """Give a layer its fused form."""
        members = len(self.members)
        if isinstance(module, nn.Conv2d):
            module.groups *= members
            module.in_channels *= members
            module.out_channels *= members
        elif isinstance(module, nn.BatchNorm2d):
            module.num_features *= members
        elif isinstance(module, nn.Linear):
            self.network.set_submodule(name, FusedLinear(module, members))
        elif isinstance(module, nn.Dropout):
            self.network.set_submodule(name, FusedDropout(module.p, generators))
        elif isinstance(module, _DRAWING):
            raise CannotFuse(f"{type(module).__name__} draws numbers, and has no fused form")
        elif [*module.parameters(recurse=False)]:
            raise CannotFuse(f"{type(module).__name__} has weights, and no fused form")

    def check(self, inputs: Tensor) -> None:
        """Raise `CannotFuse` unless this computes for all members what each of them does.

        A family of one's own may join or choose channels, which only it knows. ``inputs`` are two
        inputs of one member, whatever they contain.
        """
        if isinstance(self.network, LanguageModel):
            return
        images = torch.rand_like(inputs)
        exact = numerics(inputs.device, tf32=False, deterministic=False, benchmark=False)
        with exact, torch.no_grad(), evaluating(self):
            fused = self._outputs(images.repeat(1, len(self), 1, 1))
            for member, outputs in zip(self, fused.chunk(len(self), dim=1), strict=True):
                with evaluating(member):
                    expected = cast(Tensor, member(images))
                same = expected.shape == outputs.shape
                if not (same and torch.allclose(outputs, expected, rtol=1e-3, atol=1e-3)):
                    raise CannotFuse("the network computes something else as a fused one")

    def _outputs(self, images: Tensor) -> Tensor:
        try:
            return cast(Tensor, self(images))
        except RuntimeError as error:  # of shapes, in a layer that counts the channels
            reason = str(error).partition("\n")[0]
            raise CannotFuse(f"the network does not compute as a fused one: {reason}") from error

    def share_gradients(self) -> None:
        """Hand each member its part of the gradients, which the fused network then has no more."""
        for joined, parts in self._parts:
            if joined.grad is None:  # a layer whose output nothing reads
                continue
            leading = joined.ndim > parts[0].ndim
            split = joined.grad.unbind() if leading else joined.grad.chunk(len(parts))
            for part, gradient in zip(parts, split, strict=True):
                part.grad = gradient
            joined.grad = None

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return cast("Tensor | tuple[Tensor, Tensor]", self.network(x))

    def run(self, words: Tensor, states: list[State] | None = None) -> Output:
        """Return the outputs of language models that all read these words, (T, B)."""
        assert isinstance(self.network, LanguageModel)
        return self.network.run(words, states)

    def set_progress(self, progress: float | Tensor) -> None:
        self.network.set_progress(progress)
