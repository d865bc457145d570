"""The stages of ENAS's reproduction, called out of turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.reproduction import enas


@pytest.mark.parametrize(
    ("searched", "says"), [(False, "`search` has not ended"), (True, "0 random children")]
)
def test_a_report_before_its_time_is_one_line(
    searched: bool, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if searched:
        run = tmp_path / "micro-digits-0"
        run.mkdir()
        (run / "search.json").write_text("{}")
    with pytest.raises(SystemExit) as ended:
        enas.main.main(["report", "micro", "--run", str(tmp_path), "--dataset", "digits"])
    error = str(ended.value)
    assert capsys.readouterr().out == ""
    assert "\n" not in error
    assert says in error
    assert f"--run {tmp_path} --dataset digits --seed 0`" in error
