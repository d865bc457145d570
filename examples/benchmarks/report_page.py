"""Size of a report of 1,000 evaluations of 40 decisions, and seconds until a browser shows it.

    python examples/benchmarks/report_page.py    # Chromium, and pip install playwright

Children cost nothing: they are worth the share of their operations that are separable. Times are
from the start of loading the file until what is on the screen is drawn, and until every figure is,
in a new page each time.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import gymnasium as gym
from playwright.sync_api import sync_playwright

from nas_agents.report import write_report
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import Architecture, Evaluation, NASEnv, NASNetSearchSpace

ENV_ID = "benchmarks/Free-v0"
OPENED = 7
STAGES = {
    "the screen": "document.body?.dataset.drawn",
    "all": "document.body?.dataset.drawn == 'all'",
}


class Free:
    """An evaluator that trains nothing."""

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Return made-up accuracies and costs."""
        texts = [architecture.to_json() for architecture in architectures]
        shares = [text.count("separable") / 20 for text in texts]
        sizes = [1_000 + 97 * text.count("conv") for text in texts]
        return [
            Evaluation("ok", share, (share,), 0.0, 0, "free", size, 10 * size, latency=size / 1e6)
            for share, size in zip(shares, sizes, strict=True)
        ]


def make_env(training_seed: int = 0) -> NASEnv:
    """Make the environment."""
    return NASEnv(NASNetSearchSpace(), Free())


def main() -> None:
    """Make the run, write its report, and open it."""
    gym.register(ENV_ID, make_env)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        run, file = Path(folder) / "run", Path(folder) / "report.html"
        search(SearchSettings(ENV_ID, "ppo", 1_000, final=False), run)
        started = time.perf_counter()
        write_report([run], file)
        took, size = time.perf_counter() - started, file.stat().st_size / 1e6
        print(f"written in {took:.1f} s, {size:.2f} MB")
        for stage, seconds in opened(file).items():
            least, most = min(seconds), max(seconds)
            middle = statistics.median(seconds)
            print(f"{stage} drawn in {middle:.2f} s ({least:.2f} to {most:.2f})")


def opened(file: Path) -> dict[str, list[float]]:
    """Return the seconds that the page takes to reach each stage, each time."""
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for _ in range(OPENED):
            page = browser.new_page()
            started = time.perf_counter()
            page.goto(file.as_uri())
            for stage, reached in STAGES.items():
                page.wait_for_function(reached)
                seconds[stage].append(time.perf_counter() - started)
            page.close()
        browser.close()
    return seconds


if __name__ == "__main__":
    main()
