"""What an import costs, and which names it brings."""

from __future__ import annotations

import ast
import random
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nas_gym

ROOT = Path(nas_gym.__file__).parents[1]


def test_the_version_is_the_same_everywhere() -> None:
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    citation = re.search(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE)
    assert project is not None
    assert citation is not None
    assert project[1] == citation[1] == nas_gym.__version__


def test_no_test_draws_by_chance() -> None:
    assert random.random() == random.Random(0).random()
    assert np.random.random() == np.random.RandomState(0).random()  # noqa: NPY002


def test_importing_nas_gym_does_not_import_torch() -> None:
    code = "import nas_gym, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_line_imports_what_is_slow_only_when_a_command_needs_it() -> None:
    code = "import nas_agents.cli.main, sys; sys.exit(bool({'nas_gym', 'tqdm'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_installation_brings_few_packages_beyond_those_of_its_foundation() -> None:
    """The versions that are installed here, by their own metadata."""
    tomllib = pytest.importorskip("tomllib")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    foundation = brought_by(("torch", "torchvision", "stable-baselines3", "sb3-contrib"))
    more = brought_by(project["dependencies"]) - foundation
    assert {"click", "pydantic-core", "tqdm"} <= more
    assert len(more) <= 15, sorted(more)


def brought_by(requirements: Iterable[str]) -> set[str]:
    """Names of the packages that requirements install on this machine."""
    names: set[str] = set()
    open_ones = [Requirement(each) for each in requirements]
    while open_ones:
        each = open_ones.pop()
        name = canonicalize_name(each.name)
        if name in names or not (each.marker is None or each.marker.evaluate({"extra": ""})):
            continue
        names.add(name)
        open_ones += map(Requirement, metadata.requires(name) or ())
    return names


def test_every_public_name_is_there_after_the_import() -> None:
    code = "import nas_gym; [getattr(nas_gym, name) for name in nas_gym.__all__]"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    for name in ("wrappers", "sb3", "envs", "Trainer", "LocalWorkers", "Store", "register"):
        assert name in nas_gym.__all__
        assert name in dir(nas_gym)
    assert nas_gym.envs.NASNetEnv.__name__ == "NASNetEnv"


def test_type_checkers_see_the_same_names() -> None:
    """``__all__``, the lazy table and the imports under TYPE_CHECKING agree."""
    tree = ast.parse(Path(nas_gym.__file__).read_text())
    imported = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname is not None and alias.asname == alias.name
    }
    assert sorted(imported) == sorted(nas_gym.__all__)
    modules = dict.fromkeys(nas_gym._MODULES, "nas_gym")
    eager = dict.fromkeys(("Family", "register_family", "registered_families"), "nas_gym.family")
    eager["register"] = "nas_gym.registration"
    assert imported == {**nas_gym._MODULE_OF, **modules, **eager}
    assert len(set(nas_gym.__all__)) == len(nas_gym.__all__)
