"""MnasNet's search space (Tan et al. 2019, https://arxiv.org/abs/1807.11626, section 4.1).

A network is a 3x3 convolution, seven blocks of like layers, and a head; only the first layer of a
block has a stride or changes the number of filters. A block takes six decisions, those about
filters and layers relative to MobileNetV2's block in the same place.

The paper lists three convolutions, but its 432 choices a block are 4 * 2 * 2 * 3 * 3 * 3. The
fourth is inferred: the inverted bottleneck with either of the expansions that MnasNet-A1 has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

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
from nas_gym.search_spaces.base import Choices, SearchSpace, choice_of
from nas_gym.search_spaces.conditions import Decision

CONV_OPS = ("conv", "dconv", "MBConv3", "MBConv6")
"""Regular convolution; depthwise convolution (and the 1x1 convolution that sets the filters:
figure 7's SepConv); mobile inverted bottleneck convolution with expansion 3 and 6."""
POOLING, IDENTITY, NO_SKIP = SKIP_OPS = ("pooling", "identity residual", "no skip")

_DECISIONS = {
    "ConvOp": ("conv_op", CONV_OPS),
    "KernelSize": ("kernel_size", ("3x3", "5x5")),
    "SERatio": ("se_ratio", ("0", "0.25")),
    "SkipOp": ("skip_op", SKIP_OPS),
    "F": ("filters", ("0.75", "1.0", "1.25")),
    "N": ("layers", ("0", "+1", "-1")),
}
"""The decisions about a block: the field of `MobileBlock`, and the labels of its choices."""
_FIELDS = tuple(field for field, _ in _DECISIONS.values())

MOBILENETV2 = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
"""(filters, layers, stride) of MobileNetV2's blocks (Sandler et al. 2018, table 2)."""
STEM_FILTERS = 32


@dataclass(frozen=True)
class MobileBlock:
    """A block of like layers; `InvalidArchitecture` if a value is out of its range."""

    conv_op: str
    kernel_size: int
    se_ratio: float
    """Filters between squeeze and excitation, relative to those of the layer's input; 0: none."""
    skip_op: str
    filters: int
    """Of each layer's output."""
    layers: int
    """0 leaves the block out."""
    stride: int
    """Of the first layer."""

    def __post_init__(self) -> None:
        expect_label(self.conv_op, CONV_OPS, "conv_op")
        expect_label(self.skip_op, SKIP_OPS, "skip_op")
        expect_integer(self.kernel_size, 1, LARGEST_FILTER, "kernel_size")
        expect_integer(self.filters, 1, MOST_FILTERS, "filters")
        expect_integer(self.layers, 0, MOST_LAYERS, "layers")
        expect_integer(self.stride, 1, 2, "stride")
        if self.kernel_size % 2 == 0:
            raise InvalidArchitecture(f"kernel_size: expected an odd size, got {self.kernel_size}")
        if type(self.se_ratio) not in (int, float) or not 0 <= self.se_ratio <= 1:
            raise InvalidArchitecture(
                f"se_ratio: expected a number from 0 to 1, got {short(self.se_ratio)}"
            )
        object.__setattr__(self, "se_ratio", float(self.se_ratio))  # one JSON text for 0 and 0.0


@dataclass(frozen=True)
class MobileLayer:
    """One layer of block number ``place``, from 0, of its network."""

    block: MobileBlock
    place: int
    channels: int
    """Filters of the layer before."""
    stride: int
    skip_op: str


@dataclass(frozen=True)
class MobileSketch:
    """A mobile network as far as it is decided, for drawings."""

    stem_filters: int
    blocks: tuple[dict[str, Any], ...]
    """The fields of each `MobileBlock` begun, as far as they are decided."""
    most_blocks: int


@dataclass(frozen=True)
class MnasNetArchitecture(Architecture, kind="mobile"):
    """A mobile network: a 3x3 convolution of stride 2, blocks, and a head."""

    blocks: tuple[MobileBlock, ...]
    stem_filters: int = STEM_FILTERS

    def __post_init__(self) -> None:
        expect_length(self.blocks, MOST_LAYERS, "blocks")
        layers = sum(block.layers for block in self.blocks)
        expect_integer(layers, 1, MOST_LAYERS, "blocks: layers in all")
        expect_integer(self.stem_filters, 1, MOST_FILTERS, "stem_filters")

    def layers(self) -> list[MobileLayer]:
        """Return the layers in order, from the stem's output on.

        A layer that changes the size or the number of filters has no identity residual, as in the
        released code (https://github.com/tensorflow/tpu, models/official/mnasnet).
        """
        found, channels = [], self.stem_filters
        for place, block in enumerate(self.blocks):
            for position in range(block.layers):
                stride = 1 if position else block.stride
                keeps_shape = stride == 1 and channels == block.filters
                lost = block.skip_op == IDENTITY and not keeps_shape
                skip_op = NO_SKIP if lost else block.skip_op
                found.append(MobileLayer(block, place, channels, stride, skip_op))
                channels = block.filters
        return found

    def canonical(self) -> MnasNetArchitecture:
        """Return it without blocks of no layers, "no skip" where no layer can have an identity."""
        with_skip = {layer.place for layer in self.layers() if layer.skip_op != NO_SKIP}
        blocks = tuple(
            block if place in with_skip else replace(block, skip_op=NO_SKIP)
            for place, block in enumerate(self.blocks)
            if block.layers
        )
        return MnasNetArchitecture(blocks, self.stem_filters)

    def sketch(self) -> MobileSketch:
        blocks = tuple(asdict(block) for block in self.blocks)
        return MobileSketch(self.stem_filters, blocks, len(blocks))

    def body(self) -> dict[str, Any]:
        return {"stem_filters": self.stem_filters, "blocks": [asdict(each) for each in self.blocks]}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> MnasNetArchitecture:
        expect_fields(body, ("stem_filters", "blocks"), "architecture")
        blocks = []
        for place, data in enumerate(expect_list(body["blocks"], "blocks")):
            where = f"blocks[{place}]"
            fields = expect_fields(data, (*_FIELDS, "stride"), where)
            try:
                blocks.append(MobileBlock(**fields))
            except InvalidArchitecture as error:
                raise InvalidArchitecture(f"{where}.{error}") from error
        return cls(tuple(blocks), body["stem_filters"])


class MnasNetSearchSpace(SearchSpace[MnasNetArchitecture]):
    """Seven blocks of six decisions: 42, and 432^7 sequences of choices.

    MobileNetV2 itself is in it. MnasNet-A1 and MnasNet-B1 are not: the 112 filters of A1's block 5
    and the 192 of B1's block 6 are 1.2 times MobileNetV2's 96 and 160, rounded to a multiple of 8,
    where the paper's choices are 0.75, 1.0 and 1.25 times.

    The first and the last block have one layer in MobileNetV2; "-1" leaves them out.
    """

    architecture_type = MnasNetArchitecture

    def __init__(self) -> None:
        decisions = []
        self._values: list[tuple[object, ...]] = []
        """For each decision, the value that each choice gives to its field of the block."""
        for number, (filters, layers, _) in enumerate(MOBILENETV2, start=1):
            for name, (_, labels) in _DECISIONS.items():
                decisions.append(Decision(f"block_{number}/{name}", labels))
            widths = tuple(round(filters * ratio) for ratio in (0.75, 1.0, 1.25))
            depths = (layers, layers + 1, layers - 1)
            self._values += [CONV_OPS, (3, 5), (0.0, 0.25), SKIP_OPS, widths, depths]
        super().__init__("MnasNet", decisions)

    def _decode(self, choices: list[int]) -> MnasNetArchitecture:
        return MnasNetArchitecture(tuple(MobileBlock(**block) for block in self._decided(choices)))

    def sketch(self, prefix: Choices) -> MobileSketch:
        return MobileSketch(STEM_FILTERS, tuple(self._decided(prefix.tolist())), len(MOBILENETV2))

    def _decided(self, prefix: list[int]) -> list[dict[str, Any]]:
        """Return the fields of each block begun, as far as ``prefix`` has decided them."""
        values = [v[c] for v, c in zip(self._values, prefix, strict=False)]
        starts = range(0, len(values), len(_FIELDS))
        return [
            {**dict(zip(_FIELDS, values[start:], strict=False)), "stride": stride}
            for start, (_, _, stride) in zip(starts, MOBILENETV2, strict=False)
        ]

    def _encode(self, architecture: MnasNetArchitecture) -> list[int]:
        strides = tuple(block.stride for block in architecture.blocks)
        for name, found, expected in (
            ("stem_filters", architecture.stem_filters, STEM_FILTERS),
            ("strides", strides, tuple(stride for _, _, stride in MOBILENETV2)),
        ):
            if found != expected:
                raise InvalidArchitecture(
                    f"{name}: {found} is not in the MnasNet search space; expected {expected}"
                )
        choices: list[int] = []
        for place, block in enumerate(architecture.blocks):
            for field in _FIELDS:
                values, where = self._values[len(choices)], f"blocks[{place}].{field}"
                choices.append(choice_of(values, getattr(block, field), where))
        return choices
