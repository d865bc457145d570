"""What an import costs, and which names it brings."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import nas_gym


def test_the_version_is_the_same_everywhere() -> None:
    root = Path(nas_gym.__file__).parents[1]
    project = re.search(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(), re.MULTILINE)
    citation = re.search(r"^version: (.+)$", (root / "CITATION.cff").read_text(), re.MULTILINE)
    assert project is not None
    assert citation is not None
    assert project[1] == citation[1] == nas_gym.__version__


def test_importing_nas_gym_does_not_import_torch() -> None:
    code = "import nas_gym, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_command_line_imports_what_is_slow_only_when_a_command_needs_it() -> None:
    code = "import nas_agents.cli.main, sys; sys.exit(bool({'torch', 'rich'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
