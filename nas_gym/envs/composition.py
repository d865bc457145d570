"""Composes evaluators: a store that remembers, over workers that train, over a trainer in each.

>>> with composed(trainer, Composition(workers=2, store="x.db")) as evaluator:  # doctest: +SKIP
...     env = NASEnv(search_space, evaluator)
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeGuard

from nas_gym.evaluation.evaluator import ChildEvaluator, Evaluator
from nas_gym.settings import Above0, Positive, Repeats, settings
from nas_gym.store import Store, StoredEvaluator
from nas_gym.workers import LocalWorkers, RayWorkers


@settings
class Composition:
    """Workers and store around an evaluator that trains children.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    workers: Positive | None = None
    """Number of children trained at a time, each in its own process; default: in this process.
    Those that share a GPU wait where its memory is too small for all of them."""
    ray: str | None = None
    """Address of the Ray cluster that trains children; "local" starts one on this machine."""
    child_timeout: Above0 | None = None
    """Seconds after which a child's training, and its process, is ended; default: never."""
    store: str | None = None
    """File or database URL where evaluations are kept, and looked up; default: none."""
    repeats: Repeats = 1
    """Number of trainings of each child, each with its own seed; their mean is the result."""
    run: str | None = None
    """Name of the run in the store, the same when it is resumed; default: a new name."""


@contextmanager
def composed(evaluator: ChildEvaluator, around: Composition) -> Iterator[Evaluator]:
    """Give an evaluator within workers and a store; both are closed at the end.

    A layer that nothing asks for is left out.

    Raises:
        InvalidSettings: the workers or the store cannot be had.
        StoreError: the store cannot be opened.
    """
    with ExitStack() as stack:
        pool = _workers(evaluator, around)
        if pool is not None:
            stack.enter_context(closing(pool))
        kept_in = around.store
        if kept_in is None and around.repeats > 1:
            folder = stack.enter_context(TemporaryDirectory(prefix="nas_gym_"))
            kept_in = str(Path(folder) / "evaluations.db")
        if kept_in is None:
            yield pool or evaluator
            return
        store = stack.enter_context(closing(Store(kept_in)))
        run = around.run or uuid.uuid4().hex
        stored = StoredEvaluator(pool or evaluator, store, run, around.repeats)
        if pool is not None:
            stack.callback(stored.close)  # before the store, into which goes what ends meanwhile
        yield stored


def trains_children(evaluator: object) -> TypeGuard[ChildEvaluator]:
    """Return True for an evaluator of single children, which workers can run and a store keep."""
    if getattr(evaluator, "changes", False):
        return False
    return all(hasattr(evaluator, name) for name in ("evaluate_one", "fingerprint", "seed_of"))


def _workers(evaluator: ChildEvaluator, around: Composition) -> LocalWorkers | RayWorkers | None:
    """Start the workers that are asked for; a child with a time limit needs its own process."""
    number, timeout = around.workers, around.child_timeout
    if around.ray is not None:
        return RayWorkers(evaluator, around.ray, number, timeout)
    if number is None and timeout is None:
        return None
    return LocalWorkers(evaluator, number or 1, timeout)
