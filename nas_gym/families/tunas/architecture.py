"""`TuNASArchitecture`: filters of each stage, and inverted bottlenecks that may be left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
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

FORMS = ("relu", "mobilenet-v3")
"""The networks of the two ProxylessNAS search spaces, and those of the third."""
LARGEST_EXPANSION = 64
Row = tuple[str, int, int]
"""A layer as drawings show it: its text, its expansion and its kernel, each 0 where it has none."""


@dataclass(frozen=True)
class Bottleneck:
    """An inverted bottleneck; its filters and its stride follow from its stage."""

    kernel: int
    expansion: int
    """Channels of the depthwise convolution, relative to those of the layer's input."""
    squeeze: bool = False
    """True for squeeze-and-excitation behind the depthwise convolution."""

    def __post_init__(self) -> None:
        _expect_kernel(self.kernel, "kernel")
        expect_integer(self.expansion, 1, LARGEST_EXPANSION, "expansion")
        if not isinstance(self.squeeze, bool):
            raise InvalidArchitecture("squeeze: expected true or false")


@dataclass(frozen=True)
class TuNASArchitecture(Architecture, kind="tunas"):
    """A network of one of TuNAS's search spaces, with filters for its stages and both ends."""

    form: str
    """One of `FORMS`; it says the activations and the head."""
    kernel: int
    """Of the first convolution, of stride 2."""
    separable: int | None
    """Kernel of the separable convolution behind it; None where it is left out."""
    filters: tuple[int, ...]
    """Of the first convolution, then, in the form "relu", of the separable one, of each stage, and
    of the head; the form "mobilenet-v3" has two layers in its head."""
    stages: tuple[tuple[Bottleneck | None, ...], ...]
    """None is the zero layer, which the next layer does not notice."""

    def __post_init__(self) -> None:
        expect_label(self.form, FORMS, "form")
        _expect_kernel(self.kernel, "kernel")
        if self.separable is not None:
            _expect_kernel(self.separable, "separable")
        elif self.form == "relu":
            raise InvalidArchitecture("separable: it cannot be left out in the form 'relu'")
        expect_length(self.stages, MOST_LAYERS, "stages")
        expect_length([layer for stage in self.stages for layer in stage], MOST_LAYERS, "layers")
        for place, stage in enumerate(self.stages):
            if not stage or stage[0] is None:
                raise InvalidArchitecture(f"stages[{place}]: the first layer cannot be zero")
        if len(self.filters) != len(self.stages) + 3:
            raise InvalidArchitecture(
                f"filters: expected {len(self.stages) + 3} numbers, one a stage and three for both "
                f"ends, got {len(self.filters)}"
            )
        for place, number in enumerate(self.filters):
            expect_integer(number, 1, MOST_FILTERS, f"filters[{place}]")

    @property
    def stems(self) -> tuple[int, int]:
        """Filters of the first convolution and of the separable one."""
        return self.filters[0], self.filters[1 if self.form == "relu" else 0]

    @property
    def widths(self) -> tuple[int, ...]:
        """Filters of each stage."""
        first = 2 if self.form == "relu" else 1
        return self.filters[first : first + len(self.stages)]

    @property
    def heads(self) -> tuple[int, ...]:
        """Filters of the head's layers: one in the form "relu", else two."""
        return self.filters[-1:] if self.form == "relu" else self.filters[-2:]

    def canonical(self) -> TuNASArchitecture:
        """Return it without its zero layers."""
        return replace(self, stages=tuple(tuple(filter(None, stage)) for stage in self.stages))

    def sketch(self) -> list[Row]:
        """Return the rows of its drawing, from the image on."""
        return rows_of(self.form, self.kernel, self.separable, self.filters, self.stages)

    def body(self) -> dict[str, Any]:
        stages = [[each and list(vars(each).values()) for each in stage] for stage in self.stages]
        own = {"form": self.form, "kernel": self.kernel, "separable": self.separable}
        return {**own, "filters": list(self.filters), "stages": stages}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> TuNASArchitecture:
        expect_fields(body, ("form", "kernel", "separable", "filters", "stages"), "architecture")
        stages = tuple(
            tuple(
                _bottleneck(layer, f"stages[{number}][{place}]")
                for place, layer in enumerate(expect_list(stage, f"stages[{number}]"))
            )
            for number, stage in enumerate(expect_list(body["stages"], "stages"))
        )
        filters = tuple(expect_list(body["filters"], "filters"))
        return cls(body["form"], body["kernel"], body["separable"], filters, stages)


def rows_of(
    form: str,
    kernel: int,
    separable: int | None,
    filters: Sequence[int],
    stages: Sequence[Sequence[Bottleneck | None]],
) -> list[Row]:
    """Return the rows of as much of an architecture as is there."""
    first = 2 if form == "relu" else 1
    if len(filters) < first:
        return []
    text = f"{separable}x{separable} separable" if separable else "zero"
    rows = [(f"stem: {kernel}x{kernel}, {filters[0]} filters", 2, kernel)]
    rows.append((f"{text}, {filters[first - 1]} filters" if separable else text, 1, separable or 0))
    for stage, width in zip(stages, filters[first:], strict=False):
        for layer in stage:
            if layer is None:
                rows.append(("zero", 0, 0))
                continue
            size, ratio = layer.kernel, layer.expansion
            squeeze = ", SE" if layer.squeeze else ""
            rows.append((f"{size}x{size} MBConv{ratio}{squeeze}, {width} filters", ratio, size))
    heads = filters[first + len(stages) :] if stages else ()
    return [*rows, *((f"head: {features} features", 2, 0) for features in heads)]


def _bottleneck(layer: object, where: str) -> Bottleneck | None:
    """Return the layer of ``[kernel, expansion, squeeze]``, or of null."""
    if layer is None:
        return None
    values = expect_list(layer, where)
    if len(values) != 3:
        raise InvalidArchitecture(f"{where}: expected [kernel, expansion, squeeze] or null")
    try:
        return Bottleneck(*values)
    except InvalidArchitecture as error:
        raise InvalidArchitecture(f"{where}.{error}") from error


def _expect_kernel(kernel: object, where: str) -> None:
    expect_integer(kernel, 1, LARGEST_FILTER, where)
    if kernel in range(0, LARGEST_FILTER + 1, 2):
        raise InvalidArchitecture(f"{where}: expected an odd size, got {kernel}")
