"""Draw each child's accuracy, and the best so far, of a run folder.

The picture in the README:

    nas-gym search nas_gym/TinyBench-v0 --agent ppo --episodes 400 --no-final --run runs/400
    python docs/scripts/search_picture.py runs/400 docs/search.svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure


def main(run: str, picture: str) -> None:
    """Draw the episodes of a run folder."""
    settings = json.loads(Path(run, "settings.json").read_text(encoding="utf-8"))
    lines = Path(run, "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    accuracies = 100 * np.array([json.loads(line)["accuracy"] for line in lines])
    numbers = np.arange(1, len(accuracies) + 1)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.scatter(numbers, accuracies, s=9, alpha=0.6, label="a network")
    axes.plot(numbers, np.maximum.accumulate(accuracies), color="C1", label="the best so far")
    window = 25
    mean = np.convolve(accuracies, np.full(window, 1 / window), mode="valid")
    axes.plot(numbers[window - 1 :], mean, color="C2", label=f"mean of the last {window}")
    axes.set(xlabel="episode", ylabel="validation accuracy, %", xlim=(0, len(numbers)))
    lowest = np.percentile(accuracies, 2)
    axes.set_ylim(bottom=lowest)
    below = f"{(accuracies < lowest).sum()} networks lie below"
    axes.set_title(f"{settings['agent']} in {settings['env_id']}; {below}", fontsize="medium")
    axes.legend(frameon=False, fontsize="small", loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    with mpl.rc_context({"svg.hashsalt": "nas_gym"}):  # the same run is the same file
        figure.savefig(picture, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
