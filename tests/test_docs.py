"""The documentation names files, headings and Python names that are there."""

from __future__ import annotations

import re
from pathlib import Path
from pydoc import locate

import pytest

import nas_gym

ROOT = Path(__file__).parents[1]
PATH = re.compile(
    r"`((?:tests|examples|docs|nas_gym|agents)/[\w/.]+)`|\]\(((?!http)[\w/.-]*)(?:#([\w-]+))?\)"
)
NAME = re.compile(r"`(nas_(?:gym|agents)(?:\.\w+)+)[`(]")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
MADE = (ROOT / ".gitignore").read_text(encoding="utf-8").split()  # some of it by `make docs`


def anchors(page: Path) -> list[str]:
    """Return the anchors of a page's headings, as GitHub and Sphinx make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


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


def test_the_page_of_the_api_has_every_public_name() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    names = (name for name in nas_gym.__all__ if not name.endswith("SearchSpace"))
    assert [name for name in names if not re.search(rf"\b{name}\b", page)] == []
