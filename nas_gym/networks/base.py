"""`build_network`: an architecture becomes a module. Each family registers its builder here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import InvalidSettings
from nas_gym.family import family_of


@dataclass(frozen=True)
class ImageShape:
    """What a network takes and gives: channels, height and width of an image, and classes."""

    channels: int
    height: int
    width: int
    classes: int


@dataclass(frozen=True)
class NetworkSettings:
    """How a family stacks a whole network out of what was chosen; subclassed by each family."""

    width_setting: ClassVar[str] = "filters"
    """The setting to which the number of all filters is proportional."""


class ChildNetwork(nn.Module):
    """A network that a search builds: images (B, C, H, W) in, logits (B, classes) out.

    In training mode, a network with an auxiliary head gives a pair: its logits, and the head's.
    """

    auxiliary_weight = 0.4
    """The weight of the auxiliary head's loss (NASNet paper, appendix A)."""

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        raise NotImplementedError

    def set_progress(self, progress: float | Tensor) -> None:
        """Tell schedules inside the network how much of the training is done, from 0 to 1.

        A tensor (), on the network's device, is told once and then changes by itself.
        """


def default_settings(architecture: Architecture) -> NetworkSettings:
    """The settings that `build_network` takes where none are given: the family's own.

    Raises:
        InvalidArchitecture: no family has a network for this kind of architecture.
    """
    settings: NetworkSettings = getattr(_builder(architecture), "settings_type", NetworkSettings)()
    return settings


def build_network(
    architecture: Architecture, image_shape: ImageShape, settings: NetworkSettings | None = None
) -> ChildNetwork:
    """The child network of an architecture, its weights drawn from torch's global generator.

    Raises:
        InvalidArchitecture: no family has a network for this kind of architecture.
        InvalidSettings: ``settings`` are another family's, or the network cannot take the images.
    """
    build = _builder(architecture)
    settings_type = getattr(build, "settings_type", None)
    network: ChildNetwork
    if settings_type is None:
        network = build(architecture, image_shape)
        return network
    chosen = settings_type() if settings is None else settings
    if not isinstance(chosen, settings_type):
        raise InvalidSettings(
            f"network: {type(chosen).__name__} does not fit {architecture.kind!r} "
            f"architectures; expected {settings_type.__name__}"
        )
    network = build(architecture, image_shape, chosen)
    return network


def _builder(architecture: Architecture) -> Callable[..., ChildNetwork]:
    family = family_of(type(architecture))
    if family is None or family.network is None:
        raise InvalidArchitecture(
            f"kind: no family has a network for {type(architecture).__name__}; register one with "
            "nas_gym.register_family"
        )
    build: Callable[..., ChildNetwork] = family.part("network")
    return build
