"""An architecture in a skeleton: its costs, its latency, its picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from nas_agents.search.reading import load_architecture
from nas_gym import Architecture
from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.networks import (
    Cost,
    ImageShape,
    Latency,
    LatencySettings,
    NetworkSettings,
    default_settings,
    measure_cost,
    measure_latency,
)
from nas_gym.rendering import draw, write
from nas_gym.settings import from_mapping


@dataclass
class Shown:
    """An architecture in a skeleton, and its costs there."""

    architecture: Architecture
    image_shape: ImageShape
    settings: NetworkSettings
    cost: Cost
    latency: Latency | None = None
    latency_settings: LatencySettings | None = None

    @classmethod
    def of(
        cls, name: str, given: Mapping[str, object], channels: int, size: int, classes: int
    ) -> Shown:
        """Return an architecture and its costs.

        Args:
            name: A JSON file, a run folder, or a published name.
            given: Settings of the network; those that are None are not given.
            channels: Number of channels of the images.
            size: Height and width of the images.
            classes: Number of classes of the images.

        Raises:
            NASGymError: There is no such architecture, or a setting is not valid.
        """
        architecture = load_architecture(name)
        settings = _changed(default_settings(architecture), given)
        for what, value in (("classes", classes), ("image_size", size), ("channels", channels)):
            require(value >= 1, f"{what}: expected at least 1, got {value}")
        image_shape = ImageShape(channels, size, size, classes)
        cost = measure_cost(architecture, image_shape, settings)
        return cls(architecture, image_shape, settings, cost)

    def measure_latency(self, given: Mapping[str, object]) -> None:
        """Measure the latency of inference here.

        Args:
            given: Fields of `LatencySettings`.

        Raises:
            InvalidSettings: One of them is not valid.
        """
        how = from_mapping(LatencySettings, "--latency-set", given)
        self.latency = measure_latency(self.architecture, self.image_shape, how, self.settings)
        self.latency_settings = how

    def save_picture(self, path: Path) -> None:
        """Draw the architecture into a file.

        Raises:
            InvalidSettings: It cannot be written.
        """
        if path.exists() and not path.is_file():  # to open a named pipe would wait for a reader
            raise InvalidSettings(f"picture: {path} is no regular file; name another one")
        try:
            draw(self.architecture).save(path)
        except (OSError, ValueError) as error:
            raise InvalidSettings(f"picture: {path} cannot be written: {error}") from error

    def facts(self) -> dict[str, Any]:
        """Return everything as plain JSON data."""
        facts: dict[str, Any] = {
            "parameters": self.cost.parameters,
            "multiply_adds": self.cost.multiply_adds,
        }
        if self.latency is not None:
            facts |= {"latency": self.latency.seconds, "latency_spread": self.latency.spread}
        architecture = self.architecture
        return {**facts, "key": architecture.key, "architecture": architecture.to_dict()}

    def text(self) -> str:
        """Return everything as lines of text."""
        lines = [
            write(self.architecture),
            f"{self.cost.parameters:,} parameters, {self.cost.multiply_adds:,} multiply-adds",
        ]
        if self.latency is not None and self.latency_settings is not None:
            how = self.latency_settings
            lines.append(
                f"latency: {1000 * self.latency.seconds:.3g} ms a batch of {how.batch_size}, "
                f"interquartile range {1000 * self.latency.spread:.2g} ms "
                f"({self.latency.device}, {how.repeats} batches)"
            )
        return "\n".join(lines)


def _changed(settings: NetworkSettings, given: Mapping[str, object]) -> NetworkSettings:
    """Return the settings, changed to the values of ``given`` that are not None."""
    changes = {name: value for name, value in given.items() if value is not None}
    valid = [field.name for field in fields(settings)]
    for name in changes:
        if name not in valid:
            hint = choices_hint(name, valid)
            raise InvalidSettings(f"{name}: this kind of architecture has no such setting; {hint}")
    return replace(settings, **changes)
