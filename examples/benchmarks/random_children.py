"""Records the random children that the default search is compared with.

    nas-gym search nas_gym/NASNet-v0 --agent random --episodes 600 --no-final --device cpu \
        --workers 2 --run RUN
    python examples/benchmarks/random_children.py RUN [--out FILE]

writes the accuracies of a random search, and what they depend on, into the package (or ``FILE``),
and prints how good random searches of 60 among them are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from nas_agents.runs.comparison import children, random_band
from nas_agents.runs.random_children import kind_of
from nas_agents.runs.settings import load_record

PACKAGED = Path(__file__).parents[2] / "agents/nas_agents/runs/random_children.json"


def main() -> None:
    """Read a run, write the file, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=PACKAGED)
    given = parser.parse_args()
    record = load_record(given.run)[1]
    if record["chosen_agent"] != "random":
        parser.error(f"{given.run} is a run of {record['chosen_agent']}, not of random search")
    accuracies = np.round(children(given.run).accuracies, 6)
    kind = kind_of(record["training"], record["data"]["digest"], record["decisions"])
    content = {"kind": kind, "torch": record["torch"], "accuracies": accuracies.tolist()}
    given.out.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    band = random_band(accuracies, [1, 60])
    for number, mean, low, high in zip(*band, strict=True):
        print(f"best of {number}: {mean:.2%} on average; 80% of searches: {low:.2%} to {high:.2%}")


if __name__ == "__main__":
    main()
