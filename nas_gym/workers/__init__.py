"""Many children at once: `LocalWorkers` on this machine, `RayWorkers` on a cluster.

Both are a ``pool``: a ``dispatcher`` gives waiting children to workers that speak a ``protocol``,
``verdicts`` decide about children of lost workers, and ``inside`` is what runs in a worker.
``sharing`` keeps the evaluator in memory once; ``durations`` learns how long children take. Names
are imported when they are used, as workers import torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas_gym.workers.local import LocalWorkers
    from nas_gym.workers.on_ray import RayWorkers
    from nas_gym.workers.protocol import WorkersFailed

__all__ = ["LocalWorkers", "RayWorkers", "WorkersFailed"]

_LAZY = {"LocalWorkers": "local", "RayWorkers": "on_ray", "WorkersFailed": "protocol"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
