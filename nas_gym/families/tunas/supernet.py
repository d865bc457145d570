"""TuNAS's supernet (Bender et al. 2020, https://arxiv.org/abs/2008.06120, section 4).

As in the released code, https://github.com/google-research/google-research, tunas
(rematlib/mobile_model_v3.py, controller.py): the 1x1 convolutions of a layer serve all its kernels,
whose depthwise convolutions have weights of their own; of searched filters and expansions, a child
has the first channels; batch normalization takes the batch's statistics always.

In the warm-up, a training step takes each choice of filters or of an expansion as the largest one,
with a probability that falls from 1 to 0, and, with the same one, each choice of an operation
(kernel, zero layer, squeeze-and-excitation) as the mean of all its operations.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nas_gym.families.tunas.architecture import TuNASArchitecture
from nas_gym.families.tunas.network import TuNASNetwork
from nas_gym.families.tunas.search_space import KERNELS, WIDTHS, ZERO, TuNASSearchSpace
from nas_gym.families.tunas.warm_up import leaves, mixture
from nas_gym.networks import ChildNetwork, ImageShape, NetworkSettings
from nas_gym.networks.mobile import MobileNetworkSettings
from nas_gym.weight_sharing.sliced import (
    SlicedSupernet,
    check_batch_statistics,
    first_of,
    with_layers,
)
from nas_gym.weight_sharing.supernet import fitting

WARM_UP = 0.25
"""Share of the training in which the warm-up's probability falls to 0; the released one."""
FILTERS = (*WIDTHS, "expansion")
"""How the names of decisions end that are about numbers of channels; others choose operations."""


class Placed(NamedTuple):
    """A layer of a child, in its place."""

    place: str
    kernel: str
    key: Hashable
    """All that its modules follow from."""


class SharedLayer(nn.Module):
    """The weights of one place: of the depthwise convolutions, of what is before, and behind."""

    def __init__(self, of_kernels: dict[str, nn.Module]) -> None:
        super().__init__()
        self.kernels = nn.ModuleDict()
        for kernel, layer in of_kernels.items():
            chain, gates, at = leaves(layer)
            self.kernels[kernel] = nn.ModuleList(chain[at : at + 2])
        self.before, self.behind = nn.ModuleList(chain[:at]), nn.ModuleList(chain[at + 2 :])
        self.gates = nn.ModuleList(gates)

    def pairs(self, layer: nn.Module, kernel: str) -> Iterator[tuple[nn.Module, nn.Module]]:
        """Yield each module of a child's layer that has weights, and the shared one it has."""
        chain, gates, _ = leaves(layer)
        single = len(chain) == len(self.before) + 2 + len(self.behind)
        chosen: Any = [self.kernels[kernel]] if single else self.kernels.values()
        between = [module for pair in chosen for module in pair]
        yield from zip(chain, [*self.before, *between, *self.behind], strict=True)
        yield from zip(gates, self.gates, strict=False)


class TuNASSupernet(SlicedSupernet):
    """All networks of a `TuNASSearchSpace`: images (B, C, H, W) in, logits (B, classes) out."""

    def __init__(
        self,
        search_space: TuNASSearchSpace,
        image_shape: ImageShape,
        settings: MobileNetworkSettings,
    ) -> None:
        super().__init__("tunas", image_shape, settings)
        self.search_space, self.warm_up, self._probability = search_space, WARM_UP, 0.0
        self.valid = {each.name: each.choices for each in search_space.decisions}
        self.largest = {name: _largest(name, valid) for name, valid in self.valid.items()}
        networks = {
            kernel: TuNASNetwork(self._largest_of(kernel), image_shape, settings)
            for kernel in KERNELS
        }
        self.shared = nn.ModuleDict()
        for number, (place, _, _) in enumerate(self._placed(self._largest_of(KERNELS[-1]))):
            layers = {k: networks[k].layers[number] for k in self._kernels_of(place)}
            self.shared[place] = SharedLayer(layers)
        self.rest = networks[KERNELS[-1]]
        self.rest.layers = nn.Sequential()

    def _kernels_of(self, place: str) -> tuple[str, ...]:
        return self.valid.get(f"{place}/kernel", KERNELS[:1])

    def _largest_of(self, kernel: str) -> TuNASArchitecture:
        """Return the largest network whose kernels are this one, where they can be."""
        labels = dict(self.largest)
        for name, valid in self.valid.items():
            if name.endswith("kernel") and kernel in valid:
                labels[name] = kernel
        return self.search_space.of_labels(labels)

    def _placed(self, architecture: TuNASArchitecture) -> list[Placed]:
        first, width = architecture.stems
        found = [Placed("stem", str(architecture.kernel), ("stem", architecture.kernel, first))]
        if architecture.separable is not None:
            place, kernel = "stem/separable", architecture.separable
            found.append(Placed(place, str(kernel), (place, kernel, first, width)))
        stages = zip(architecture.stages, architecture.widths, strict=True)
        for stage, (layers, filters) in enumerate(stages, start=1):
            for number, layer in enumerate(layers, start=1):
                if layer is not None:
                    place = f"stage_{stage}/layer_{number}"
                    key = (place, layer, width, filters)
                    found.append(Placed(place, str(layer.kernel), key))
                    width = filters
        return found

    def keys(self, architecture: TuNASArchitecture) -> tuple[Hashable, list[Hashable]]:
        self.search_space.encode(architecture)  # raises if it is of another space
        rest = (architecture.widths[-1], *architecture.heads)
        return rest, [key for _, _, key in self._placed(architecture)]

    def weights(
        self, architecture: TuNASArchitecture, network: nn.Module
    ) -> Iterator[tuple[str, Tensor]]:
        names = {module: name for name, module in network.named_modules()}
        layers = zip(network.layers, self._placed(architecture), strict=True)  # type: ignore[arg-type]
        for layer, (place, kernel, _) in layers:
            for own, shared in self.shared[place].pairs(layer, kernel):  # type: ignore[operator]
                for name, parameter in own.named_parameters(recurse=False):
                    value = first_of(getattr(shared, name), parameter.shape)
                    yield f"{names[own]}.{name}", value
        for name, value in self.rest.named_parameters():
            yield name, first_of(value, network.get_parameter(name).shape)

    def set_progress(self, progress: float | Tensor) -> None:
        """Set the probability of the warm-up."""
        self._probability = max(0.0, 1 - float(progress) / self.warm_up) if self.warm_up else 0.0

    def forward(self, x: Tensor) -> Tensor:
        [(architecture, _)] = selected = self._selected
        if self.training and self._probability:
            self._selected = [self._warmed(architecture)]
        logits = super().forward(x)
        self._selected = selected
        return logits

    def _warmed(self, architecture: TuNASArchitecture) -> tuple[TuNASArchitecture, ChildNetwork]:
        """Draw which choices are the largest, or of all operations; return what is made of it."""
        labels, mixed = self._chosen(architecture), set()
        drawn = torch.rand(len(labels)) < self._probability
        for name, is_drawn in zip(self.valid, drawn.tolist(), strict=True):
            if is_drawn and len(self.valid[name]) > 1:
                labels[name] = self.largest[name]
                mixed |= set() if name.endswith(FILTERS) else {name}
        warmed = self.search_space.of_labels(labels)
        network = self.skeleton(warmed)
        layers: Any = network.layers
        layers = [*layers]
        for number, (place, _, _) in enumerate(self._placed(warmed)):
            ours = {name.removeprefix(place) for name in mixed if name.startswith(place)}
            if ours & {"", "/kernel", "/squeeze"}:
                layers[number] = mixture(layers[number], ours, self._kernels_of(place))
        return warmed, with_layers(network, layers)

    def _chosen(self, architecture: TuNASArchitecture) -> dict[str, str]:
        """Return the labels of an architecture; what it leaves out has random sizes."""
        choices = self.search_space.encode(architecture)
        labels = {name: v[c] for (name, v), c in zip(self.valid.items(), choices, strict=True)}
        for name, valid in self.valid.items():
            if labels.get(name.rpartition("/")[0]) == ZERO:
                labels[name] = valid[int(torch.randint(len(valid), ()))]
        return labels


def _largest(name: str, valid: tuple[str, ...]) -> str:
    """Return the largest choice: the most channels, the largest kernel, or what is not left out."""
    return valid[0] if ZERO in valid else valid[-1]


def tunas_supernet(
    search_space: TuNASSearchSpace,
    image_shape: ImageShape,
    settings: NetworkSettings | None = None,
    batch_statistics: bool | None = None,
) -> TuNASSupernet:
    """Build the supernet; see `nas_gym.weight_sharing.supernet.build_supernet`."""
    check_batch_statistics(batch_statistics)
    own = fitting(MobileNetworkSettings, settings or MobileNetworkSettings())
    return TuNASSupernet(search_space, image_shape, own)
