"""`CompressedNetwork`: any classifier with fewer channels, built from its architecture."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.families.compression.architecture import CompressedArchitecture, Sizes
from nas_gym.networks import ChildNetwork, ImageShape, build_network, default_settings
from nas_gym.settings import from_mapping

LAYERS = (nn.Conv2d, nn.Linear, nn.modules.batchnorm._BatchNorm, nn.LayerNorm)
"""The layers whose channels can be cut."""


class CompressedNetwork(ChildNetwork):
    """Images (B, C, H, W) in, logits (B, classes) out; the network itself is ``network``."""

    def __init__(self, architecture: CompressedArchitecture, image_shape: ImageShape) -> None:
        super().__init__()
        self.network = _original(architecture, image_shape)
        for name, sizes in architecture.layers:
            _resize(self.network, name, sizes)

    @classmethod
    def around(cls, network: nn.Module) -> CompressedNetwork:
        """Return a network that was cut already, as a child network."""
        made = cls.__new__(cls)
        ChildNetwork.__init__(made)
        made.network = network
        return made

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        return self.network(x)  # type: ignore[no-any-return]

    def set_progress(self, progress: float | Tensor) -> None:
        if isinstance(self.network, ChildNetwork):
            self.network.set_progress(progress)


def sizes_of(network: nn.Module) -> dict[str, Sizes]:
    """Return the sizes of all layers of `LAYERS`, by their paths."""
    return {n: _sizes(each) for n, each in network.named_modules() if isinstance(each, LAYERS)}


def torchvision_model(name: str, classes: int) -> nn.Module:
    """Return torchvision's classifier of that name, with random weights."""
    from torchvision.models import get_model  # noqa: PLC0415  # slow

    with warnings.catch_warnings():  # of GoogLeNet's and Inception's slow initialization
        warnings.simplefilter("ignore", FutureWarning)
        made: nn.Module = get_model(name, weights=None, num_classes=classes)
    return made


def _original(architecture: CompressedArchitecture, image_shape: ImageShape) -> nn.Module:
    original = architecture.original
    if "kind" in original:
        built = Architecture.from_dict(original)
        settings_type = type(default_settings(built))
        settings = from_mapping(settings_type, "settings", architecture.settings)
        return build_network(built, image_shape, settings)
    name = original.get("torchvision")
    if isinstance(name, str):
        try:
            return torchvision_model(name, image_shape.classes)
        except ValueError as error:
            raise InvalidArchitecture(f"original: torchvision has no {name!r}: {error}") from error
    only = "only an architecture or a torchvision model can be built by its name"
    raise InvalidArchitecture(f"original: {only}; export the network instead")


def _sizes(layer: nn.Module) -> Sizes:
    match layer:
        case nn.Conv2d():
            return layer.in_channels, layer.out_channels
        case nn.Linear():
            return layer.in_features, layer.out_features
        case nn.LayerNorm():
            return layer.normalized_shape[-1], layer.normalized_shape[-1]
    features: int = layer.num_features  # type: ignore[assignment]
    return features, features


def _resize(network: nn.Module, name: str, sizes: Sizes) -> None:
    """Give a layer other sizes, and tensors without numbers; weights are to be loaded."""
    layer = dict(network.named_modules()).get(name)
    if not isinstance(layer, LAYERS):
        raise InvalidArchitecture(f"layers: {name!r} is no layer of the original with channels")
    before, (inputs, outputs) = _sizes(layer), sizes
    match layer:
        case nn.Conv2d():
            layer.groups = inputs if layer.groups == before[0] > 1 else layer.groups
            if inputs % layer.groups or outputs % layer.groups:
                says = f"layers: {name}: expected multiples of its {layer.groups} groups"
                raise InvalidArchitecture(f"{says}, got {inputs} and {outputs}")
            layer.in_channels, layer.out_channels = inputs, outputs
            shape: Sequence[int] = (outputs, inputs // layer.groups, *layer.kernel_size)
        case nn.Linear():
            layer.in_features, layer.out_features = inputs, outputs
            shape = (outputs, inputs)
        case nn.LayerNorm():
            layer.normalized_shape, shape = (outputs,), (outputs,)
        case _:
            layer.num_features, shape = outputs, (outputs,)
    for tensor_name, tensor in _tensors(layer):
        own = shape if tensor_name == "weight" else (outputs,)
        empty = torch.zeros(own, dtype=tensor.dtype, device=tensor.device)
        if isinstance(tensor, nn.Parameter):
            empty = nn.Parameter(empty, tensor.requires_grad)
        setattr(layer, tensor_name, empty)


def _tensors(layer: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a layer that have a number for each channel."""
    yield from (
        (name, each)
        for part in (layer.named_parameters(), layer.named_buffers())
        for name, each in [*part]
        if each.ndim
    )
