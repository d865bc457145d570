"""Two commits are compared by what a program prints in each."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from examples.benchmarks.compare_commits import figures_in, interval, main

SPEED = "print('16, NASNet                    {speed}   12   ratio')\nprint('none')\n"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository of two commits, "slow" and "fast", whose program prints its speed."""
    monkeypatch.chdir(tmp_path)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "init", "--quiet"], check=True)
    for tag, speed in (("slow", "1,000.5"), ("fast", "2,001")):
        (tmp_path / "speed.py").write_text(SPEED.format(speed=speed))
        (tmp_path / "fails.py").write_text("raise SystemExit(3)")
        (tmp_path / "silent.py").write_text("")
        subprocess.run(["git", "add", "."], check=True)
        subprocess.run(["git", *identity, "commit", "--quiet", "-m", tag], check=True)
        subprocess.run(["git", "tag", tag], check=True)
    return tmp_path


def test_the_ratio_is_that_of_head_to_base(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["slow", "fast", "--rounds", "2", "--", "speed.py"])
    said = capsys.readouterr().out
    assert "16, NASNet" in said
    assert "2.000 (2.000 to 2.000)" in said
    assert "speed.py itself differs" in said
    trees = subprocess.run(["git", "worktree", "list"], capture_output=True, check=True)
    assert len(trees.stdout.splitlines()) == 1  # nothing is left behind


@pytest.mark.parametrize(
    ("commits", "program", "says"),
    [
        (("slow", "fast"), "absent.py", "absent.py: is no program of both commits"),
        (("slow", "slow"), "fails.py", "fails.py: ended with exit code 3"),
        (("slow", "slow"), "silent.py", "silent.py: prints no figure in both commits"),
        (("slow", "never"), "speed.py", "git worktree add"),
    ],
)
def test_what_cannot_be_compared_is_named(
    repository: Path, commits: tuple[str, str], program: str, says: str
) -> None:
    with pytest.raises(SystemExit, match=says):
        main([*commits, "--rounds", "2", "--", program])


def test_a_figure_stands_behind_its_title() -> None:
    text = "torch 2.5.0, AVX2\n  + fused:  12.5 ms\n1,024, NAS   3,000  4\nshare: 0\nrun: 7.5%\n"
    assert figures_in(text) == {"+ fused": 12.5, "1,024, NAS": 3000.0}


def test_the_interval_holds_the_true_ratio_95_times_in_100() -> None:
    rng = np.random.default_rng(0)
    found = [interval(np.exp(rng.normal(0.1, 0.05, size=5)).tolist()) for _ in range(2_000)]
    held = np.mean([low <= np.exp(0.1) <= high for _, low, high in found])
    assert held == pytest.approx(0.95, abs=0.015)
