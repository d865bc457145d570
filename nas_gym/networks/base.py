"""`build_network`: an architecture becomes a module. Each family registers its builder here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from typing import ClassVar, TypeVar

from torch import Tensor, nn

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import InvalidSettings

A = TypeVar("A", bound=Architecture)
S = TypeVar("S", bound="NetworkSettings")


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


@singledispatch
def default_settings(architecture: Architecture) -> NetworkSettings:
    """The settings that `build_network` takes where none are given: the family's own.

    Raises:
        InvalidArchitecture: no builder is registered for this kind of architecture.
    """
    raise _unregistered(architecture)


def _unregistered(architecture: Architecture) -> InvalidArchitecture:
    return InvalidArchitecture(
        f"kind: no network builder is registered for {type(architecture).__name__}; "
        "register one with nas_gym.networks.build_network.register"
    )


@singledispatch
def build_network(
    architecture: Architecture, image_shape: ImageShape, settings: NetworkSettings | None = None
) -> ChildNetwork:
    """The child network of an architecture, its weights drawn from torch's global generator.

    Raises:
        InvalidArchitecture: no builder is registered for this kind of architecture.
        InvalidSettings: ``settings`` are another family's, or the network cannot take the images.
    """
    raise _unregistered(architecture)


def register_network(
    architecture_type: type[A],
    settings_type: type[S],
    network_type: Callable[[A, ImageShape, S], ChildNetwork],
) -> None:
    """Have `build_network` and `default_settings` know a family.

    Args:
        architecture_type: The family's architectures.
        settings_type: Its settings; made without arguments, they are the default.
        network_type: What builds a network of the two.
    """

    def settings_by_default(architecture: A) -> NetworkSettings:
        return settings_type()

    def build(
        architecture: A, image_shape: ImageShape, settings: NetworkSettings | None = None
    ) -> ChildNetwork:
        chosen = settings_type() if settings is None else settings
        if not isinstance(chosen, settings_type):
            raise InvalidSettings(
                f"network: {type(chosen).__name__} does not fit {architecture.kind!r} "
                f"architectures; expected {settings_type.__name__}"
            )
        return network_type(architecture, image_shape, chosen)

    default_settings.register(architecture_type, settings_by_default)
    build_network.register(architecture_type, build)
