"""Run folders; what becomes of a stranger's is in `tests.agents.search.test_untrusted_folder`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from nas_agents.runs.reading import InvalidRunFolder
from nas_agents.runs.run_folder import RunFolder, opened
from nas_gym import InvalidSettings


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidSettings, match="run: expected a name in UTF-8"),
        opened(tmp_path / "\udcff", resume=False),
    ):
        pytest.fail("it was opened")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_other_files_is_no_run_to_go_on_with(resume: bool, tmp_path: Path) -> None:
    (tmp_path / "photo.png").touch()
    says = r"is there already, and holds no run; name another folder with --run$"
    with pytest.raises(InvalidRunFolder, match=says), opened(tmp_path, resume):
        pytest.fail("it was opened")
    assert [each.name for each in tmp_path.iterdir()] == ["photo.png"]


@pytest.mark.parametrize(("name", "value"), [("reward", math.nan), ("reward", [0.5, -math.inf])])
def test_what_could_not_be_read_again_is_not_written(name: str, value: Any, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.start()
    with pytest.raises(InvalidSettings, match=f"{name}: episode 1 has .*; expected finite numbers"):
        folder.add_episode({"episode": 1, name: value})
    folder.close()
    assert (tmp_path / "run" / "episodes.jsonl").read_text() == ""
