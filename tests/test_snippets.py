"""The Python of README and of docs runs as it stands, page by page, each in an empty folder.

What a page's children would be trained for is not what is tested here: a child's evaluation is
replaced by a number that follows from its architecture. A snippet that needs more than a page can
have, a run folder for instance, says so in a comment above it: `<!-- not run: why -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nas_gym.architecture import Architecture
from nas_gym.evaluation import Evaluation
from nas_gym.training.trainer import Trainer

ROOT = Path(__file__).parents[1]
SNIPPET = re.compile(r"(<!-- not run: .+ -->\n)?^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = {
    page.name: "\n".join(code for mark, code in found if not mark)
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    if (found := SNIPPET.findall(page.read_text(encoding="utf-8")))
}


def evaluated(self: Trainer, architecture: Architecture) -> Evaluation:
    """Stand in for a training."""
    accuracy = int(architecture.key[:4], 16) / 0xFFFF
    return Evaluation("ok", accuracy, (accuracy,), 0.0, 0, self.fingerprint, 1000, 1000)


@pytest.mark.parametrize("page", PAGES)
def test_the_snippets_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Trainer, "evaluate_one", evaluated)
    exec(compile(PAGES[page], page, "exec"), {"__name__": "__main__"})
