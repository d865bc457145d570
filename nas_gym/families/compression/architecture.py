"""`CompressedArchitecture`: a trained network with fewer channels in some layers. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_gym.architecture import (
    MOST_FILTERS,
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_integer,
    expect_list,
    expect_mapping,
)
from nas_gym.search_spaces.base import DecisionsSketch

Sizes = tuple[int, int]
"""Input and output channels of a layer; twice the channels of a normalization."""


@dataclass(frozen=True)
class CompressedArchitecture(Architecture, kind="compressed"):
    """The network that was compressed, and the layers that have other sizes now."""

    original: Mapping[str, Any] = field(hash=False)
    """An `Architecture` as `to_dict` gives it, ``{"torchvision": name}``, or ``{"module": class}``
    for a network that only the code which made it can build."""
    settings: Mapping[str, Any] = field(hash=False)
    """Settings of the original network, where it is an `Architecture`'s."""
    layers: tuple[tuple[str, Sizes], ...]
    """The path of each layer whose size changed, and its `Sizes`."""

    def __post_init__(self) -> None:
        for name, sizes in self.layers:
            if len(sizes) != 2:
                raise InvalidArchitecture(f"layers: {name}: expected two numbers, got {len(sizes)}")
            for size in sizes:
                expect_integer(size, 1, MOST_FILTERS, f"layers: {name}")

    def body(self) -> dict[str, Any]:
        layers = {name: list(sizes) for name, sizes in self.layers}
        original = {"original": dict(self.original), "settings": dict(self.settings)}
        return {**original, "layers": layers}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> CompressedArchitecture:
        fields = expect_fields(body, ("original", "settings", "layers"), "architecture")
        given = expect_mapping(fields["layers"], "layers").items()
        layers = ((name, tuple(expect_list(sizes, f"layers: {name}"))) for name, sizes in given)
        original = expect_mapping(fields["original"], "original")
        settings = expect_mapping(fields["settings"], "settings")
        return cls(original, settings, tuple(sorted(layers)))

    def sketch(self) -> DecisionsSketch:
        """Return the sizes of the layers that changed, for texts and pictures."""
        made = tuple((name, f"{inputs} -> {outputs}") for name, (inputs, outputs) in self.layers)
        return DecisionsSketch(made, len(made))
