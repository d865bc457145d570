"""The documentation names files, headings, Python names and commands that are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from pydoc import locate

import click
import pytest

import nas_gym
from nas_agents.cli.main import app

ROOT = Path(__file__).parents[1]
PATH = re.compile(
    r"`((?:tests|examples|docs|nas_gym|agents)/[\w/.]+)`|\]\(((?!http)[\w/.-]*)(?:#([\w-]+))?\)"
)
NAME = re.compile(r"`(nas_(?:gym|agents)(?:\.\w+)+)[`(]")
BASH = re.compile(r"^```bash\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MADE = (ROOT / ".gitignore").read_text(encoding="utf-8").split()  # some of it by `make docs`


def anchors(page: Path) -> list[str]:
    """Return the anchors of a page's headings, as GitHub and Sphinx make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each call of nas-gym in a page's blocks of Bash."""
    for block in BASH.findall(page.read_text("utf-8")):
        text = ""
        for line in block.replace("\\\n", " ").splitlines(keepends=True):
            text += line
            try:
                words = shlex.split(text, comments=True)
            except ValueError:  # a quote is open
                continue
            text = ""
            if "nas-gym" in words:
                yield words[words.index("nas-gym") + 1 :]


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_commands_of_a_page_are_known_with_their_options(page: Path) -> None:
    context = click.Context(app)
    for words in commands(page):
        command: click.Command | None = app
        rest = words
        while isinstance(command, click.Group) and rest:
            _, command, rest = command.resolve_command(context, rest)
        assert command is not None
        parser = command.make_parser(click.Context(command))
        parser.parse_args(rest)  # raises for an option that it lacks


def test_commands_are_found() -> None:
    found = [each for page in PAGES for each in commands(page)]
    assert len(found) > 60
    assert ["envs"] in found


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_what_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [name for name in NAME.findall(text) if locate(name) is None]
    for code, link, anchor in PATH.findall(text):
        file = ROOT / code if code else page.parent / link if link else page
        made = any(f"docs/{link}".startswith(each) for each in MADE)
        if not made and not (file.exists() and (not anchor or anchor in anchors(file))):
            missing.append(code or f"{link}#{anchor}")
    assert not missing


def test_the_pages_of_the_api_have_every_public_name() -> None:
    pages = [ROOT / "docs" / "api.md", *(ROOT / "docs" / "api").glob("*.md")]
    text = "".join(page.read_text(encoding="utf-8") for page in pages)
    names = (name for name in nas_gym.__all__ if not name.endswith("SearchSpace"))
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []
