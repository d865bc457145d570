"""Channels that can only be cut together, and how each of them is cut.

Torch-Pruning's dependency graph (Fang et al. 2023, https://arxiv.org/abs/2301.12900) says which
layers share channels; a residual connection couples all layers that add to it.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from nas_gym.errors import InvalidSettings
from nas_gym.families.compression.network import LAYERS

Side = Literal["prune_in_channels", "prune_out_channels"]


@dataclass(frozen=True)
class Cut:
    """The channels of one side of a layer that belong to a group."""

    layer: str
    side: Side
    indices: NDArray[np.int64]  # (n, m): those that go with each of the group's n channels


@dataclass(frozen=True)
class Group:
    """Channels of one or more layers that are cut together: one decision."""

    layer: str
    """The path of the first layer, in the order in which they compute, that makes the channels."""
    channels: int
    unit: int
    """A multiple of it has to be kept, where a convolution is grouped; otherwise 1."""
    order: tuple[int, ...]
    """The channels, the most important first."""
    cuts: tuple[Cut, ...]

    def numbers(self, least: float, multiple: int) -> list[int]:
        """Return the numbers of channels that may be kept, in ascending order.

        All are at least a share ``least``, and multiples of ``multiple``, or all of the channels.
        """
        step, lowest = int(np.lcm(self.unit, multiple)), int(np.ceil(least * self.channels - 1e-9))
        first = max(step, -(-lowest // step) * step)
        return [*range(first, self.channels, step), self.channels]


def pruned(network: nn.Module, groups: Sequence[Group], kept: Sequence[int]) -> nn.Module:
    """Return a copy of a network that keeps a number of each group's channels."""
    library, copy = torch_pruning(), deepcopy(network)
    dropped: dict[tuple[str, str], list[int]] = defaultdict(list)
    for group, number in zip(groups, kept, strict=True):
        for cut in group.cuts:
            gone = cut.indices[list(group.order[number:])]
            dropped[cut.layer, cut.side] += gone.ravel().tolist()
    for (name, side), indices in dropped.items():
        if indices:
            layer = copy.get_submodule(name)
            pruner = library.pruner.function.PrunerBox[library.ops.module2type(layer)]
            getattr(pruner, side)(layer, sorted(indices))
    return copy


def groups_of(
    network: nn.Module, images: Tensor, places: Sequence[str], norm: Literal[1, 2]
) -> list[Group]:
    """Return the groups of channels that can be cut, in the order in which they are computed.

    The network is in evaluation mode, and stays as it is; any ``images`` will do, with which
    Torch-Pruning traces the graph. ``places`` are the paths of convolutions and dense layers, in
    the order in which they compute. Channels are ranked by the mean of this norm of their weights
    in the group's layers.
    """
    library, copy = torch_pruning(), deepcopy(network).requires_grad_(True)
    names = {module: name for name, module in copy.named_modules()}
    importance = library.importance.GroupMagnitudeImportance(p=norm)
    try:
        with warnings.catch_warnings():  # of parameters outside of layers, whose groups are left
            warnings.simplefilter("ignore")
            graph = library.DependencyGraph().build_dependency(copy, example_inputs=images)
            every = [*graph.get_all_groups(root_module_types=[nn.Conv2d, nn.Linear])]
            found = [_group(each, names, places, importance) for each in every]
    except Exception as error:
        says = f"model: Torch-Pruning cannot follow its channels: {type(error).__name__}: {error}"
        raise InvalidSettings(f"{says}; take a network of torch.nn's layers") from error
    groups = [each for each in found if each is not None]
    return sorted(groups, key=lambda group: places.index(group.layer))


def _group(
    items: Any, names: dict[nn.Module, str], places: Sequence[str], importance: Any
) -> Group | None:
    """Return a group of Torch-Pruning's as a `Group`; None if some of it cannot be cut."""
    cuts: dict[tuple[str, Side], Cut] = {}
    number, unit = len(items[0].idxs), 1
    for item in items:
        layer, handler = item.dep.target.module, item.dep.handler
        if layer not in names:
            if isinstance(layer, nn.Parameter):
                return None
            continue  # an operation that has no channels of its own
        if not isinstance(layer, LAYERS):
            return None
        if isinstance(layer, nn.Conv2d) and 1 < layer.groups < layer.out_channels:
            unit = max(unit, layer.groups)
        times = np.bincount(item.root_idxs, minlength=number)
        if (times != times[0]).any():  # a layer that has a part of the channels
            return None
        order = np.argsort(item.root_idxs, kind="stable")
        indices = np.asarray(item.idxs, dtype=np.int64)[order].reshape(number, -1)
        side: Side = handler.__func__.__name__
        before = cuts.get((names[layer], side))
        if before is not None:  # a layer that takes the same channels twice
            new = ~np.isin(indices, before.indices).all(axis=0)
            indices = np.concatenate([before.indices, indices[:, new]], axis=1)
        cuts[names[layer], side] = Cut(names[layer], side, indices)
    made = {cut.layer for cut in cuts.values() if cut.side == "prune_out_channels"}
    if made.isdisjoint(places):
        return None
    first = min(made.intersection(places), key=places.index)
    scores = importance(items).reshape(unit, -1).mean(0).argsort(descending=True)
    # One channel of each block of a grouped convolution at a time:
    blocks = np.arange(unit)[None] * (number // unit) + scores.cpu().numpy()[:, None]
    return Group(first, number, unit, tuple(blocks.ravel().tolist()), tuple(cuts.values()))


def torch_pruning() -> Any:
    """Return the module ``torch_pruning``, or raise `InvalidSettings` where it is missing."""
    try:
        import torch_pruning as library  # noqa: PLC0415  # an extra
    except ImportError:
        says = "model: its channels are cut by Torch-Pruning: pip install 'nas-gym[compression]'"
        raise InvalidSettings(says) from None
    return library
