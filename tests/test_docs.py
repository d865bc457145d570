"""The documentation names files that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PATH = re.compile(r"`((?:tests|examples|docs|nas_gym|agents)/[\w/.]+)`|\]\(((?!http)[\w/.]+)\)")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    named = [first or second for first, second in PATH.findall(page.read_text(encoding="utf-8"))]
    made = (ROOT / ".gitignore").read_text(encoding="utf-8").split()  # by `make docs`
    missing = [
        name
        for name in named
        if not ((ROOT / name).exists() or (page.parent / name).exists() or f"docs/{name}" in made)
    ]
    assert not missing
