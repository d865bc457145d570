"""Agents of other libraries learn, and the snippets of docs/clients.md run; see `make clients`.

Each runs in a process of its own: the libraries set torch's threads and seeds, and warn a lot.
"""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = {
    "cleanrl_dqn": "torch",
    "d3rlpy_dqn": "d3rlpy",
    "rllib_masked_ppo": "ray.rllib",
    "rllib_ppo": "ray.rllib",
    "sb3_wrappers": "stable_baselines3",
    "skrl_ppo": "skrl",
    "tianshou_dqn": "tianshou",
    "torchrl_ppo": "torchrl",
}
"""The programs of examples/clients, and the library that each needs."""
SNIPPET = re.compile(
    r"<!-- not run: `make clients` does, with ([\w.]+) -->\n```python\n(.*?)^```", re.S | re.M
)
SNIPPETS = dict(SNIPPET.findall((ROOT / "docs" / "clients.md").read_text(encoding="utf-8")))
ZOO_ENV = ["--algo", "ppo_mask", "--env", "nas_gym/TinyBench-v0", "-f", "logs"]

pytestmark = pytest.mark.clients


def run(library: str, folder: Path, *arguments: str) -> str:
    """Run Python in a folder; return its output."""
    pytest.importorskip(library)
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}:{ROOT / 'agents'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ran.stdout


def test_every_program_is_run() -> None:
    programs = {file.stem for file in (ROOT / "examples" / "clients").glob("*.py")}
    assert programs == {*PROGRAMS, "benchmark"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_client_learns(program: str, tmp_path: Path) -> None:
    file = ROOT / "examples" / "clients" / f"{program}.py"
    printed = run(PROGRAMS[program], tmp_path, str(file))
    found = re.search(r"margin (-?[\d.]+) standard errors", printed)
    assert found is not None
    assert float(found[1]) >= 5


@pytest.mark.parametrize("library", SNIPPETS)
def test_a_snippet_runs(library: str, tmp_path: Path) -> None:
    file = tmp_path / "snippet.py"
    guarded = SNIPPETS[library].replace("\n", "\n    ")  # TorchRL starts processes
    file.write_text(f"if __name__ == '__main__':\n    {guarded}", encoding="utf-8")
    run(library, tmp_path, str(file))


def test_the_rl_zoo_trains_plays_and_films(tmp_path: Path) -> None:
    zoo = str(ROOT / "examples" / "rl_zoo" / "zoo.py")
    conf = ["--conf-file", str(ROOT / "examples" / "rl_zoo" / "ppo_mask.yml")]
    run("rl_zoo3", tmp_path, zoo, "train", *ZOO_ENV, *conf, "--eval-freq", "-1", "-n", "600")
    [monitor] = (tmp_path / "logs").rglob("*.monitor.csv")
    rows = csv.DictReader(monitor.read_text(encoding="utf-8").splitlines()[1:])
    assert len(list(rows)) >= 100
    printed = run("rl_zoo3", tmp_path, zoo, "enjoy", *ZOO_ENV, "--no-render", "-n", "60")
    assert "10 Episodes" in printed
    run("rl_zoo3", tmp_path, zoo, "record_video", *ZOO_ENV, "--no-render", "-n", "12")
    assert list((tmp_path / "logs").rglob("*.mp4"))
