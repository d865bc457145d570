"""The walk in CONTRIBUTING: a family of one's own is one folder, and its id works everywhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[1] / "CONTRIBUTING.md"
HOUSE, WALK = (
    GUIDE.read_text(encoding="utf-8").partition(f"## {title}\n")[2].partition("\n## ")[0]
    for title in ("The house", "Add a family")
)
FILES = re.findall(r"`(widths/\w+\.py)`.*?```python\n(.*?)```", WALK, re.DOTALL)
PROGRAM = WALK.partition("That is all.")[2].partition("```python\n")[2].partition("```")[0]
COMMANDS = re.findall(r"^nas-gym (.*)$", WALK, re.MULTILINE)

RUN = """
import sys
from nas_agents.cli.main import app

sys.path.remove("")  # `nas-gym` is a script elsewhere, and does not start with this folder
for line in sys.argv[1:]:
    try:
        app(line.split())
    except SystemExit as end:
        assert not end.code, line
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the family's package in it."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "widths").mkdir()
    for name, text in FILES:
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def run(folder: Path, code: str, *arguments: str) -> str:
    """Run a program in the folder, with warnings as errors; return its standard output."""
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_house_has_every_folder_and_file() -> None:
    packages = (GUIDE.parent / "nas_gym", GUIDE.parent / "agents" / "nas_agents")
    there = [each for package in packages for each in package.iterdir() if each.name[0] != "_"]
    names = [f"{each.name}/`" if each.is_dir() else f"{each.name}`" for each in there]
    assert [name for name in names if name not in HOUSE] == ["py.typed`"] * 2


def test_the_walk_has_four_files_and_five_commands() -> None:
    assert [Path(name).stem for name, _ in FILES] == ["search_space", "network", "env", "__init__"]
    names = [line.split()[0] for line in COMMANDS]
    assert names == ["search", "search", "show", "compare", "table"]


def test_its_id_works_in_gymnasium_and_stable_baselines3(folder: Path) -> None:
    checks = """
assert env.unwrapped.search_space.size == 27
assert "## Arguments" in type(env.unwrapped).__doc__
assert "kernel_size" in type(env.unwrapped).__doc__
observation, info = env.reset(seed=0)
for _ in range(3):
    observation, reward, terminated, truncated, info = env.step(1)
assert terminated and 0 < reward < 1
assert envs.reset()[0].shape == (4, 3)
import nas_gym
assert nas_gym.published("Widths-8").kind == "widths"
"""
    run(folder, PROGRAM + checks)


@pytest.mark.slow
def test_the_command_line_searches_shows_and_compares_it(folder: Path) -> None:
    output = run(folder, RUN, *COMMANDS)
    assert "width_1" in output
    assert (folder / "runs" / "one" / "best.png").is_file()
    assert (folder / "widths.npz").is_file()
