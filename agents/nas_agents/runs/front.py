"""The Pareto front of a search: in its summary, and as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nas_agents.runs.reading import broken_line
from nas_gym.pareto import Front, hypervolume
from nas_gym.rendering.scatter import scatter

FRONT_PICTURE = "front.png"
UNITS = {"latency": "seconds", "energy": "joules"}


def front_record(front: Front) -> dict[str, Any]:
    """Return a front as JSON data, its members by the first objective, the best first.

    ``hypervolume`` is the dominated share of all between the ``worst`` values and an accuracy of 1
    at no cost. Rewards are as in ``episodes.jsonl``: costs are negative.
    """
    return {
        "objectives": list(front.objectives.names),
        "worst": list(front.objectives.worst),
        "hypervolume": front.hypervolume(),
        "members": [member._asdict() for member in front.members()],
    }


def draw_front(front: Front) -> Image.Image:
    """Return a picture of all children, in which those on the front are marked.

    The accuracy, where it is an objective, goes upwards; so does the first cost where it is not.
    """
    names, is_cost = front.objectives.names, [n.startswith("-") for n in front.objectives.names]
    values = np.array(front.children) * np.where(is_cost, -1.0, 1.0)
    members = {member.reward for member in front.members()}
    on_front = np.array([child in members for child in front.children])
    order = np.argsort(is_cost, kind="stable")
    labels = [label_of(names[place].removeprefix("-")) for place in order]
    return scatter(values[:, order], labels, on_front, without_few=not all(is_cost))


def label_of(name: str) -> str:
    """Return the name of a cost, or of the accuracy, as pictures and tables have it."""
    words = name.replace("multiply_adds", "multiply-adds").replace("_", " ")
    return f"{words} ({UNITS[name]})" if name in UNITS else words


def vectors_of(records: Sequence[Mapping[str, Any]], file: Path) -> NDArray[np.float64] | None:
    """Return the vector rewards of N episodes, (N, K), nan for failed ones; None for numbers."""
    if not records or not isinstance(records[0]["reward"], list):
        return None
    number = len(records[0]["reward"])
    for line, record in enumerate(records, start=1):
        reward = record["reward"]
        if not isinstance(reward, list) or len(reward) != number:
            raise broken_line(file, line, f"has no reward of {number} numbers")
    failed = np.array([record["status"] != "ok" for record in records])
    vectors = np.array([record["reward"] for record in records], dtype=np.float64)
    vectors[failed] = np.nan
    return vectors


def dominated_shares(runs: Sequence[NDArray[np.float64] | None]) -> list[float]:
    """Return for each run the share that its front dominates of what all runs span, in [0, 1].

    That is all between the least and the greatest value of each objective among all children.
    ``runs`` are results of `vectors_of`; all shares are nan unless their vectors have one length.
    """
    lengths = {None if each is None else each.shape[1] for each in runs}
    good = [each[~np.isnan(each).any(axis=1)] for each in runs if each is not None]
    if len(lengths) != 1 or None in lengths or not sum(map(len, good)):
        return [math.nan] * len(runs)
    every = np.concatenate(good)
    least, spread = every.min(axis=0), np.ptp(every, axis=0)
    spread[spread == 0] = 1.0
    return [hypervolume((each - least) / spread, np.zeros(len(least))) for each in good]
