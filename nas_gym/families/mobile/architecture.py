"""`MobileArchitecture`: a stem, inverted bottlenecks, and a head.

An inverted bottleneck (Sandler et al. 2018, https://arxiv.org/abs/1801.04381) is a 1x1 convolution
that expands the channels, a depthwise convolution, and a 1x1 convolution that sets the channels.
It has a shortcut wherever its stride is 1 and it keeps the number of channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from nas_gym.architecture import (
    LARGEST_FILTER,
    MOST_FILTERS,
    MOST_LAYERS,
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_integer,
    expect_label,
    expect_length,
    expect_list,
)
from nas_gym.outside.json_text import short

LARGEST_EXPANSION = 64
Plain = list[Any]
"""``[kernel, expansion, filters, stride]`` of a layer, with or without the shortcut behind them."""


@dataclass(frozen=True)
class MBConv:
    """An inverted bottleneck.

    Raises:
        InvalidArchitecture: a value is out of its range.
    """

    kernel: int
    expansion: int
    """Channels of the depthwise convolution, relative to those of the layer's input."""
    filters: int
    """Of the output."""
    stride: int

    def __post_init__(self) -> None:
        expect_integer(self.kernel, 1, LARGEST_FILTER, "kernel")
        expect_integer(self.expansion, 1, LARGEST_EXPANSION, "expansion")
        expect_integer(self.filters, 1, MOST_FILTERS, "filters")
        expect_integer(self.stride, 1, 2, "stride")
        if self.kernel % 2 == 0:
            raise InvalidArchitecture(f"kernel: expected an odd size, got {self.kernel}")


@dataclass(frozen=True)
class MobileLayer:
    """A layer in its place."""

    block: MBConv
    channels: int
    """Filters of the layer before."""
    stage: int
    """Number of earlier layers without a shortcut: one begins every stage."""

    @property
    def shortcut(self) -> bool:
        """True if the input is added to the output."""
        return self.block.stride == 1 and self.block.filters == self.channels


@dataclass(frozen=True)
class MobileArchitecture(Architecture, kind="inverted-bottlenecks"):
    """A mobile network; its subclasses say what follows from a layer's place.

    Raises:
        InvalidArchitecture: there is no layer, or a number is out of its range.
    """

    space: ClassVar[str] = ""
    """The name by which the released networks call their search space."""

    blocks: tuple[MBConv | None, ...]
    """None is the zero layer, which the next layer does not notice."""
    stem: int
    """Filters of the first convolution, 3x3 of stride 2."""
    head: int
    """Features before the classifier."""
    resolution: int | None = None
    """Height and width that images are scaled to; None: as they are."""

    def __post_init__(self) -> None:
        expect_length([each for each in self.blocks if each], MOST_LAYERS, "blocks")
        expect_length(self.blocks, MOST_LAYERS, "blocks")
        expect_integer(self.stem, 1, MOST_FILTERS, "stem")
        expect_integer(self.head, 1, MOST_FILTERS, "head")
        if self.resolution is not None:
            expect_integer(self.resolution, 1, MOST_FILTERS, "resolution")

    @staticmethod
    def from_blocks(
        blocks: Sequence[Plain | None],
        stem: int,
        head: int,
        space: str = "ProxylessNASNets",
        resolution: int | None = None,
    ) -> MobileArchitecture:
        """Return the architecture of plain lists, as ProxylessNAS and Once-for-All publish theirs.

        Args:
            blocks: ``[kernel, expansion, filters, stride, shortcut]`` each, or None for the zero
                layer. The shortcut follows from the rest, and may be left out.
            stem: Filters of the first convolution.
            head: Features before the classifier.
            space: "ProxylessNASNets", or "MobileNetV3" with squeeze-and-excitation and h-swish.
            resolution: Height and width of the images; default: as they are.

        Raises:
            InvalidArchitecture: a value is not valid, or a shortcut is not where it must be.
        """
        expect_label(space, SPACES, "space")
        body = {"blocks": blocks, "stem": stem, "head": head, "resolution": resolution}
        return SPACES[space].from_body(body)

    def to_blocks(self) -> list[Plain | None]:
        """Return the lists that `from_blocks` takes, shortcuts included."""
        layers = iter(self.layers())
        return [
            None if each is None else [*vars(each).values(), next(layers).shortcut]
            for each in self.blocks
        ]

    def layers(self) -> list[MobileLayer]:
        """Return the layers in order, without zero layers."""
        found: list[MobileLayer] = []
        channels = self.stem
        for block in filter(None, self.blocks):
            stage = found[-1].stage if found else 0
            layer = MobileLayer(block, channels, stage)
            if found and not layer.shortcut:
                layer = replace(layer, stage=stage + 1)
            found.append(layer)
            channels = block.filters
        return found

    def canonical(self) -> MobileArchitecture:
        """Return it without its zero layers."""
        return replace(self, blocks=tuple(filter(None, self.blocks)))

    def body(self) -> dict[str, Any]:
        blocks = [None if each is None else list(vars(each).values()) for each in self.blocks]
        own = {"stem": self.stem, "head": self.head, "resolution": self.resolution}
        return {**own, "blocks": blocks}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> MobileArchitecture:
        expect_fields(body, ("stem", "head", "resolution", "blocks"), "architecture")
        blocks = expect_list(body["blocks"], "blocks")
        made = cls(tuple(_layers(blocks)), body["stem"], body["head"], body["resolution"])
        for place, (given, block) in enumerate(zip(blocks, made.to_blocks(), strict=True)):
            if given and len(given) == 5 and list(given) != block:
                says = "a shortcut is where the stride is 1 and the filters stay the same"
                raise InvalidArchitecture(f"blocks[{place}]: {says}; got {short(given)}")
        return made


def _layers(blocks: Sequence[Any]) -> list[MBConv | None]:
    """Return the layers of plain lists, or raise `InvalidArchitecture`."""
    layers: list[MBConv | None] = []
    for place, block in enumerate(blocks):
        if block is None:
            layers.append(None)
            continue
        values = expect_list(block, f"blocks[{place}]")
        if len(values) not in (4, 5):
            expected = "expected [kernel, expansion, filters, stride] or null"
            raise InvalidArchitecture(f"blocks[{place}]: {expected}, got {short(block)}")
        try:
            layers.append(MBConv(*values[:4]))
        except InvalidArchitecture as error:
            raise InvalidArchitecture(f"blocks[{place}].{error}") from error
    return layers


@dataclass(frozen=True)
class ProxylessNASArchitecture(MobileArchitecture, kind="proxylessnas"):
    """A network of ProxylessNAS's form: ReLU6 after each convolution but a layer's last."""

    space: ClassVar[str] = "ProxylessNASNets"


@dataclass(frozen=True)
class OFAArchitecture(MobileArchitecture, kind="ofa"):
    """A network of MobileNetV3's form: squeeze-and-excitation, and h-swish in later stages."""

    space: ClassVar[str] = "MobileNetV3"


SPACES: dict[str, type[MobileArchitecture]] = {
    each.space: each for each in (ProxylessNASArchitecture, OFAArchitecture)
}
"""Architectures by the names of the released networks' search spaces."""
