"""Write a page for each environment: its class's docstring, and a drawing of a network."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import numpy as np

import nas_gym
from nas_gym import Architecture
from nas_gym.families.compression.env import CompressionEnv
from nas_gym.rendering import draw
from nas_gym.search_spaces import SearchSpace


def write(docs: Path) -> None:
    """Write `environments/<name>.md` and, of those that design, `environments/<name>.png`."""
    folder = docs / "environments"
    folder.mkdir(exist_ok=True)
    for family in nas_gym.registered_families():
        for env_id, reference in family.environments.items():
            name = env_id.removeprefix("nas_gym/")
            env_type = _object(reference)
            draw(_example(_object(family.search_space)())).save(folder / f"{name}.png")
            (folder / f"{name}.md").write_text(_page(env_id, name, env_type), encoding="utf-8")
    compression = f"# nas_gym/Compression-v0\n\n{inspect.getdoc(CompressionEnv)}\n"
    (folder / "Compression-v0.md").write_text(compression, encoding="utf-8")


def _page(env_id: str, name: str, env_type: type) -> str:
    alt = f"A network that random choices design in {env_id}"
    about, heading, rest = (inspect.getdoc(env_type) or "").partition("\n## Action Space")
    return f"# {env_id}\n\n{about}\n![{alt}]({name}.png)\n{heading}{rest}\n"


def _example(search_space: SearchSpace) -> Architecture:
    """Return the architecture of random choices."""
    rng, choices = np.random.default_rng(1), np.zeros(0, dtype=np.int64)
    for _ in search_space.decisions:
        valid = np.flatnonzero(search_space.valid_choices(choices))
        choices = np.append(choices, rng.choice(valid))
    return search_space.decode(choices)


def _object(reference: str) -> type:
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name)
