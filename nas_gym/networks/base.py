"""`build_network`: an architecture becomes a module, by the builder that its family declares."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, ClassVar, Protocol, cast

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import require
from nas_gym.family import family_of
from nas_gym.networks.limits import size_limit
from nas_gym.settings import Size, settings

Classes = Annotated[int, Ge(1), Le(2**20)]


@settings
class ImageShape:
    """Input and output of a network: channels, height and width of an image, and classes."""

    channels: Size
    height: Size
    width: Size
    classes: Classes

    def batch(self, number: int, device: torch.device) -> Tensor:
        """Return black images, (number, C, H, W), channels last in memory."""
        images = torch.zeros(number, self.channels, self.height, self.width, device=device)
        return images.to(memory_format=torch.channels_last)


@settings
class TokenShape:
    """Input and output of a language model: words or characters, of a vocabulary."""

    vocabulary: Classes

    def batch(self, number: int, device: torch.device) -> Tensor:
        """Return one step of texts, (1, number) int64."""
        return torch.zeros(1, number, dtype=torch.int64, device=device)


class InputShape(Protocol):
    """Shape of a network's input and size of its output; a task has one for its data."""

    def batch(self, number: int, device: torch.device) -> Tensor:
        """Return a number of inputs, whatever they contain."""


@settings
class NetworkSettings:
    """How a family stacks a whole network out of the choices; each family subclasses it."""

    width_setting: ClassVar[str] = "filters"
    """The setting to which the number of all filters is proportional."""


class ChildNetwork(nn.Module):
    """A network that a search builds: images (B, C, H, W) in, logits (B, classes) out.

    Networks of another task take what its `InputShape` describes.

    In training mode, a network with an auxiliary head gives a pair: its logits, and the head's.
    """

    auxiliary_weight = 0.4
    """The weight of the auxiliary head's loss (NASNet paper, appendix A)."""

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        raise NotImplementedError

    def set_progress(self, progress: float | Tensor) -> None:
        """Set the elapsed share of the training, from 0 to 1, for schedules inside the network.

        A tensor (), on the network's device, is set once; its value changes later.
        """


def network_builder(architecture_type: type[Architecture]) -> Callable[..., ChildNetwork]:
    """Return the ``network`` of a type's family; `InvalidArchitecture` if none has one.

    It is called with (architecture, input_shape), or, if it has an attribute ``settings_type``, a
    subclass of `NetworkSettings`, with (architecture, input_shape, settings).
    """
    family = family_of(architecture_type)
    if family is None or family.network is None:
        says = f"kind: no family has a network for {architecture_type.__name__}"
        raise InvalidArchitecture(f"{says}; register one with nas_gym.register_family")
    return cast("Callable[..., ChildNetwork]", family.part("network"))


def default_settings(architecture: Architecture) -> NetworkSettings:
    """Return the settings that `build_network` takes by default: those of the family."""
    builder: Any = network_builder(type(architecture))
    return cast(NetworkSettings, getattr(builder, "settings_type", NetworkSettings)())


def build_network(
    architecture: Architecture, input_shape: InputShape, settings: NetworkSettings | None = None
) -> ChildNetwork:
    """Build the child network of an architecture, with weights from torch's global generator.

    The default of ``settings``, the skeleton around the choices, is the family's.

    Raises:
        InvalidArchitecture: no family has a network for this kind of architecture.
        InvalidSettings: ``settings`` are another family's, the network cannot take the images, or
            it does not fit into the memory.
    """
    builder = network_builder(type(architecture))
    settings_type = getattr(builder, "settings_type", None)
    build = partial(builder, architecture, input_shape)
    if settings_type is not None:
        settings = settings or settings_type()
        require(
            isinstance(settings, settings_type),
            f"network: {type(settings).__name__} does not fit {architecture.kind!r} "
            f"architectures; expected {settings_type.__name__}",
        )
        build = partial(build, settings)
    with size_limit(build):
        return build()
