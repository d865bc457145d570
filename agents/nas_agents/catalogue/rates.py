"""How fast a GPU trains children: guesses, or what ``examples/benchmarks/gpu.sh`` measured."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nas_gym.errors import InvalidSettings, require
from nas_gym.outside.json_text import read_json_file, short_name
from nas_gym.settings import Above0, from_mapping, settings


@settings
class Rates:
    """The rates that estimates of costs follow from; those by default are guesses."""

    multiply_adds: Above0 = 5e12
    """Multiply-adds a second that are sustained in training."""
    seconds_a_call: Above0 = 5e-6
    """Seconds that the launch of a kernel takes."""


GUESSED = Rates()


def measured_rates(path: Path) -> tuple[Rates, str]:
    """Return the rates in a file of ``gpu.sh``, and the GPU that they were measured on."""
    facts, name = read_json_file(path), f"rates: {short_name(path)}"
    if not isinstance(facts, Mapping) or "figures" not in facts:
        raise InvalidSettings(f"{name} is not of gpu.sh; run examples/benchmarks/gpu.sh")
    measured = facts.get("rates")
    require(measured is not None, f"{name} has no rates; run gpu.sh on a GPU, without --dry")
    return from_mapping(Rates, name, measured), str(facts.get("hardware"))[:100]
