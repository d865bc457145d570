"""Run folders; what becomes of a stranger's is in `tests.agents.search.test_untrusted_folder`."""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_agents.runs.run_folder import opened
from nas_gym import InvalidSettings


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidSettings, match="run: expected a name in UTF-8"),
        opened(tmp_path / "\udcff", resume=False),
    ):
        pytest.fail("it was opened")
    assert list(tmp_path.iterdir()) == []
