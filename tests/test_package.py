"""The house: what an import costs, and which way imports point."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nas_gym

ROOT = Path(nas_gym.__file__).parent
ROOMS = (
    "errors",
    "architecture",
    "search_spaces",
    "networks",
    "evaluation",
    "rewards",
    "rendering",
    "env",
    "vector_env",
    "envs",
    "sb3",
    "wrappers",
)
"""From top to bottom; each may import from those above it, and from itself."""


def test_importing_nas_gym_does_not_import_torch() -> None:
    code = "import nas_gym, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def imported(path: Path) -> set[str]:
    """The rooms of nas_gym that a file imports from."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        rooms |= {name.split(".")[1] for name in names if name.startswith("nas_gym.")}
    return rooms


@pytest.mark.parametrize("room", ROOMS)
def test_imports_point_downward_only(room: str) -> None:
    files = [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").is_file() else (ROOT / room).glob("*.py")
    above = set(ROOMS[: ROOMS.index(room) + 1])
    for path in files:
        assert imported(path) <= above, path


def test_every_module_has_a_room() -> None:
    modules = {path.stem for path in ROOT.iterdir() if path.name[0] not in "_." and path.is_dir()}
    modules |= {path.stem for path in ROOT.glob("*.py") if path.name != "__init__.py"}
    assert modules == set(ROOMS)
