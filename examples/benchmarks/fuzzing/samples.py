"""Valid files that inputs are made from: architectures, a store, finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from examples.benchmarks.fuzzing.files import Files, Samples
from nas_agents.catalogue.environments import registered_search_spaces
from nas_agents.catalogue.registry import AGENTS
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym.architecture import published_architectures
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.store.store import Store

SMALL = {"filters": 2, "data_fraction": 0.1}
SEARCHES: list[tuple[str, str, dict[str, Any]]] = [
    ("random", "nas_gym/TinyBench-v0", {}),
    ("random", "nas_gym/NASNet-v0", {**SMALL, "blocks": 1, "epochs": 2, "early_stopping": {}}),
    ("ppo", "nas_gym/TinyBench-v0", {}),
    ("enas", "nas_gym/ENASMicro-v0", {**SMALL, "cells": 1}),
]
"""Agents, environments and their arguments; the first trains nothing."""


def make_samples(folder: Path, searches: int = len(SEARCHES)) -> Samples:
    """Return valid architectures, a store, and runs of the first `SEARCHES`, made in ``folder``."""
    spaces = registered_search_spaces()
    rng = np.random.default_rng(0)
    architectures = [space.decode(space.sample(rng)) for space in spaces.values()]
    with Store(folder / "samples.db") as store:
        for seed, architecture in enumerate(architectures[:3]):
            store.add(architecture, Evaluation("ok", 0.5, (0.4, 0.5), 1.5, seed, "settings"), "run")
    return Samples(
        [
            _searched(*search, folder / str(number))
            for number, search in enumerate(SEARCHES[:searches])
        ],
        (folder / "samples.db").read_bytes(),
        [architecture.to_dict() for architecture in architectures],
        list(published_architectures()),
        list(spaces),
        list(AGENTS),
    )


def _searched(agent: str, env_id: str, arguments: dict[str, Any], run: Path) -> Files:
    """Return the files of a run, which is searched for in this process."""
    short = {"epochs": 1, "filters": 2} if "early_stopping" in arguments else {}
    how: dict[str, Any] = {"env_arguments": arguments, "final_arguments": short}
    search(SearchSettings(env_id, agent, episodes=3, final=bool(short), **how), run)
    files = (file for file in run.rglob("*") if file.is_file())
    return {str(file.relative_to(run)): file.read_bytes() for file in files}
