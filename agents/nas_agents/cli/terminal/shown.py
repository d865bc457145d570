"""An architecture in a skeleton: its costs, its latency, its picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nas_agents.runs.reading import SETTINGS, broken, read_json
from nas_gym import Architecture
from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.networks import (
    ImageShape,
    InputShape,
    LatencySettings,
    NetworkSettings,
    TokenShape,
    default_settings,
    measure_cost,
    measure_latency,
)
from nas_gym.networks.base import network_builder
from nas_gym.rendering import draw, write


def facts_and_text(
    architecture: Architecture,
    shape: InputShape,
    settings: NetworkSettings,
    latency: LatencySettings | None,
) -> tuple[dict[str, Any], str]:
    """Return an architecture and its costs as plain JSON data, and as lines of text.

    The latency of inference is measured as ``latency`` says; None: it is not measured.
    """
    cost = measure_cost(architecture, shape, settings)
    facts: dict[str, Any] = {"parameters": cost.parameters, "multiply_adds": cost.multiply_adds}
    lines = [
        write(architecture),
        f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds",
    ]
    if latency is not None:
        measured = measure_latency(architecture, shape, latency, settings)
        facts |= {"latency": measured.seconds, "latency_spread": measured.spread}
        says = f"latency: {1000 * measured.seconds:.3g} ms a batch"
        if latency.table is None:
            says += f" of {latency.batch_size}, interquartile range {1000 * measured.spread:.2g} ms"
            says += f" ({measured.device}, {latency.repeats} batches)"
        lines.append(says if latency.table is None else f"{says}, by {latency.table}")
    facts |= {"key": architecture.key, "architecture": architecture.to_dict()}
    return facts, "\n".join(lines)


def skeleton_of_run(run: Path) -> tuple[dict[str, Any], InputShape | None]:
    """Return the settings of a run's networks, and the shape of its inputs; none if it has none.

    They are those of the final training, if the run has one, and of the children otherwise.
    """
    record = read_json(run / SETTINGS)
    if not isinstance(record, dict) or not {"training", "data"} <= record.keys():
        return {}, None  # it trained no network of its own
    training = record.get("final_training") or record["training"]
    try:
        data, network = record["data"], dict(training["network"] or {})
        if "vocabulary" in data:
            return network, TokenShape(data["vocabulary"])
        height, width, channels = data["shape"]
        return network, ImageShape(channels, height, width, len(data["classes"]))
    except (InvalidSettings, KeyError, TypeError, ValueError) as error:
        raise broken(run / SETTINGS, f"says of no network how it is built: {error}") from error


def default_shape(architecture: Architecture, size: int) -> InputShape:
    """Return the shape of color images of a size in 10 classes; of 10,000 words for a language."""
    if getattr(network_builder(type(architecture)), "shape_type", ImageShape) is TokenShape:
        return TokenShape(10_000)
    return ImageShape(channels=3, height=size, width=size, classes=10)


def input_shape(
    channels: int | None, size: int | None, classes: int | None, default: InputShape
) -> InputShape:
    """Return the default shape, but for what is given; images of a size are square."""
    given = {"channels": channels, "image_size": size, "classes": classes}
    for name, value in given.items():
        require(value is None or value >= 1, f"{name}: expected at least 1, got {value}")
    if isinstance(default, TokenShape):
        of_images = [name for name in ("channels", "image_size") if given[name] is not None]
        require(not of_images, f"{of_images}: this network takes words, not images; leave it out")
        return default if classes is None else TokenShape(classes)
    assert isinstance(default, ImageShape)
    sides = {"channels": channels, "height": size, "width": size, "classes": classes}
    return replace(default, **{name: each for name, each in sides.items() if each is not None})


def network_settings(architecture: Architecture, given: Mapping[str, object]) -> NetworkSettings:
    """Return the settings of an architecture's network, changed to those that are not None."""
    settings = default_settings(architecture)
    valid = [field.name for field in fields(settings)]
    changes = {name: value for name, value in given.items() if value is not None}
    for name in changes:
        hint = choices_hint(name, valid)
        require(name in valid, f"{name}: this kind of architecture has no such setting; {hint}")
    return replace(settings, **changes)


def save_picture(architecture: Architecture, path: Path) -> None:
    """Draw an architecture into a file; `InvalidSettings` if it cannot be written."""
    if path.exists() and not path.is_file():  # to open a named pipe would wait for a reader
        raise InvalidSettings(f"picture: {path} is no regular file; name another one")
    try:
        draw(architecture).save(path)
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"picture: {path} cannot be written: {error}") from error
