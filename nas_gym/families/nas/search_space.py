"""The search space of NAS (Zoph & Le 2017, https://arxiv.org/abs/1611.01578, sections 3 and 4.1).

A network is a chain of L layers. Each takes its decisions in the paper's order: filter height,
filter width, stride height and stride width (where they are predicted), number of filters, and
at its anchor point one skip decision for each earlier layer, the one before it included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from itertools import compress

from nas_gym.architecture import InvalidArchitecture
from nas_gym.errors import require
from nas_gym.search_spaces import ChainArchitecture, Choices, Convolution, Decision, MaxPooling
from nas_gym.search_spaces.arguments import Depth, Distinct, Listed
from nas_gym.search_spaces.base import SearchSpace, choice_of
from nas_gym.search_spaces.chains import ChainSketch, Layer, LayerSketch, convolution_label
from nas_gym.settings import Positive, Size, validated

# Section 4.1 of the paper; strides where they are predicted.
FILTER_SIZES, FILTERS, STRIDES = (1, 3, 5, 7), (24, 36, 48, 64), (1, 2, 3)
SKIP_LABELS = ("not an input", "an input")


class NASSearchSpace(SearchSpace[ChainArchitecture]):
    """NAS's chains as 3L + L(L-1)/2 decisions; 5L + L(L-1)/2 with predicted strides.

    Args:
        layers: L, up to 256. The paper's best networks have 15 layers (v1), 20 (v2, with strides)
            and 39 (v3, with pooling).
        strides: Whether strides are predicted; otherwise all are 1.
        filters: The numbers of filters to choose from.
        pooling_layers: The numbers of the layers, from 1 on, that are max pooling instead of a
            convolution, 13 and 24 in the paper's v3. Such a layer has skip decisions only.
        depth_schedule: (start, step, samples): networks have ``start`` layers at first, and
            ``step`` more after every ``samples`` finished ones, up to L: (6, 2, 1600) in the
            paper. All decisions of a layer that does not exist yet have one valid choice, the
            first. Default: always L layers.
    """

    architecture_type = ChainArchitecture

    @validated
    def __init__(
        self,
        layers: Depth = 6,
        strides: bool = False,
        filters: Distinct[Size] = FILTERS,
        pooling_layers: Distinct[Positive] = (),
        depth_schedule: Listed[Positive] | None = None,
    ) -> None:
        self.layers, self.strides = layers, strides
        self.filters, self.pooling_layers = tuple(filters), tuple(pooling_layers)
        self.depth_schedule = None if depth_schedule is None else _schedule(depth_schedule, layers)
        require(bool(filters), "filters: the list is empty; name at least one number")
        for number in pooling_layers:
            require(number <= layers, f"pooling_layers: {number} is more than layers, {layers}")
        every = "pooling_layers: every layer is pooling; leave at least one convolution"
        require(len(pooling_layers) < layers, every)
        by_layer = [self._layer_decisions(number) for number in range(1, layers + 1)]
        self._lengths = tuple(map(len, by_layer))
        super().__init__("NAS", [d for decisions in by_layer for d in decisions])
        self.depth = layers
        """Number of layers of an architecture of this search space."""
        self._stages = {layers: self}

    def stage(self, samples: int) -> SearchSpace:
        """Return the search space at the depth that the schedule has after ``samples``."""
        if self.depth_schedule is None:
            return self
        start, step, every = self.depth_schedule
        depth = min(self.layers, start + step * (samples // every))
        if depth not in self._stages:
            stage = copy(self)
            vars(stage).pop("_fixed_rules", None)  # they are the whole's
            made = sum(self._lengths[:depth])
            num_valid = self.num_choices[:made] + (1,) * (len(self.decisions) - made)
            SearchSpace.__init__(stage, self.name, self.decisions, num_valid)
            stage.depth = depth
            self._stages[depth] = stage
        return self._stages[depth]

    @cached_property
    def _values(self) -> dict[str, tuple[int, ...]]:
        """The values of a convolution's decisions before its anchor, by name, in order."""
        strides = {"stride_height": STRIDES, "stride_width": STRIDES} if self.strides else {}
        sizes = {"filter_height": FILTER_SIZES, "filter_width": FILTER_SIZES}
        return {**sizes, **strides, "number_of_filters": self.filters}

    def _layer_decisions(self, number: int) -> list[Decision]:
        where = f"layer_{number}"
        anchor = [f"{where}/anchor_point/layer_{source}" for source in range(1, number)]
        skips = [Decision(name, SKIP_LABELS) for name in anchor]
        if number in self.pooling_layers:
            return skips
        values = self._values.items()
        return [Decision(f"{where}/{name}", tuple(map(str, v))) for name, v in values] + skips

    def _decode(self, choices: list[int]) -> ChainArchitecture:
        layers: list[Layer] = [
            MaxPooling(inputs) if values is None else Convolution(**values, inputs=inputs)
            for values, inputs, _ in self._decided(choices)
        ]
        return ChainArchitecture(tuple(layers))

    def sketch(self, prefix: Choices) -> ChainSketch:
        layers = [
            LayerSketch(self._label(values), inputs, complete)
            for values, inputs, complete in self._decided(prefix.tolist())
        ]
        finished = len(prefix) == len(self.decisions)
        loose_ends = self.decode(prefix).loose_ends if finished else None
        return ChainSketch(tuple(layers), self.layers, loose_ends)

    def _decided(
        self, prefix: list[int]
    ) -> Iterator[tuple[dict[str, int] | None, tuple[int, ...], bool]]:
        """Yield the values, the inputs and whether all is decided, of each layer begun.

        The values are a convolution's, by name, as far as they are decided; None for pooling.
        """
        start = 0
        for number, length in enumerate(self._lengths[: self.depth], start=1):
            made = prefix[start : start + length]
            start += length
            if length and not made:
                return
            if number in self.pooling_layers:
                values, skips = None, made
            else:
                chosen = zip(self._values.items(), made, strict=False)
                values = {name: valid[choice] for (name, valid), choice in chosen}
                skips = made[len(self._values) :]
            yield values, tuple(compress(range(1, number), skips)), len(made) == length

    def _label(self, values: dict[str, int] | None) -> str:
        if values is None:
            return MaxPooling.type
        unknown = dict.fromkeys(self._values, "?")
        return convolution_label({"stride_height": 1, "stride_width": 1, **unknown, **values})

    def _encode(self, architecture: ChainArchitecture) -> list[int]:
        if len(architecture.layers) != self.depth:
            found = f"{len(architecture.layers)} are given"
            raise InvalidArchitecture(f"layers: {found}; this search space has {self.depth}")
        layers = enumerate(architecture.layers, start=1)
        choices = [choice for n, layer in layers for choice in self._layer_choices(n, layer)]
        return choices + [0] * (len(self.decisions) - len(choices))

    def _layer_choices(self, number: int, layer: Layer) -> list[int]:
        expected = MaxPooling if number in self.pooling_layers else Convolution
        where = f"layers[{number - 1}]"
        if type(layer) is not expected:
            wrong = f"{layer.type!r} is not in this search space"
            raise InvalidArchitecture(f"{where}.type: {wrong}; layer {number} is {expected.type!r}")
        taken = set(layer.inputs)
        skips = [int(source in taken) for source in range(1, number)]
        if isinstance(layer, MaxPooling):
            return skips
        down, across = layer.stride_height, layer.stride_width
        if not self.strides and (down, across) != (1, 1):
            fixed = "this search space fixes them at 1 unless strides=True"
            raise InvalidArchitecture(f"{where}: its strides are {down} and {across}; {fixed}")
        choices = [
            choice_of(values, getattr(layer, name), f"{where}.{name}")
            for name, values in self._values.items()
        ]
        return choices + skips


def _schedule(given: Sequence[int], layers: int) -> tuple[int, int, int]:
    """Return a depth schedule: layers at first, number of more, and after how many samples."""
    expected = "expected (start, step, samples), (6, 2, 1600) in the paper"
    require(len(given) == 3, f"depth_schedule: {expected}; got {list(given)}")
    start, step, samples = given
    above = f"depth_schedule: it starts at {start} layers; layers is only {layers}"
    require(start <= layers, above)
    return start, step, samples
