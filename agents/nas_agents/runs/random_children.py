"""Random children that were trained before: what a search is compared with.

Random search would have to train children of its own. For ``nas-gym search nas_gym/NASNet-v0`` as
it is by default, that was done once, on a CPU (`examples/benchmarks/random_children.py`), and their
accuracies ship with the package. Others are those of random searches in the same store.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym import Evaluator, SearchSpace
from nas_gym.store import StoredEvaluator
from nas_gym.training.fingerprint import digest
from nas_gym.training.trainer import Trainer

NO_RESULT = ("seed", "cuda_graphs", "fused", "latency", "count_activations")
"""Settings of a training that leave the accuracies of random children as they are."""
FILE = files("nas_agents.runs") / "random_children.json"


def kind_of(training: Mapping[str, Any], data: str, decisions: Mapping[str, Any]) -> str:
    """Return a digest of all that the accuracies of random children depend on.

    ``data`` is the digest of their data set; ``decisions`` are the choices of each, by its name.
    """
    settings = {name: value for name, value in training.items() if name not in NO_RESULT}
    return digest(training=settings, data=data, decisions=dict(decisions))


def recorded_accuracies(
    evaluator: Evaluator, search_space: SearchSpace
) -> NDArray[np.float64] | None:
    """Return the accuracies of random children that are trained like this evaluator's, (n,)."""
    if not isinstance(evaluator, Trainer):
        return None
    recorded = json.loads(FILE.read_text())
    decisions = {each.name: each.choices for each in search_space.decisions}
    kind = kind_of(asdict(evaluator.settings), evaluator.dataset.digest, decisions)
    return np.array(recorded["accuracies"], np.float64) if kind == recorded["kind"] else None


def random_mark(search_space: SearchSpace) -> str:
    """Return what the names of random searches' runs in a store contain: a digest of the space."""
    decisions = {each.name: each.choices for each in search_space.decisions}
    return f"-random-{digest(decisions=decisions)[:8]}-"


def stored_accuracies(
    evaluator: Evaluator, search_space: SearchSpace, number: int
) -> NDArray[np.float64] | None:
    """Return the accuracies of the random children of other runs in an evaluator's store, (n,).

    None unless there are ``number`` of them at least, from whom as many can be drawn.
    """
    if not isinstance(evaluator, StoredEvaluator):
        return None
    found = evaluator.accuracies(random_mark(search_space))
    return np.array(found, dtype=np.float64) if len(found) >= number else None
