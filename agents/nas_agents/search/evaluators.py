"""The layers of a search whose children are trained: workers that train, a store that remembers.

`CachingEvaluator` (the environment's) over `StoredEvaluator` over `LocalWorkers` or `RayWorkers`
over a `Trainer` in each worker. Each layer is left out where nothing asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TypeGuard

from sqlalchemy import make_url

from nas_agents.search.run_folder import RunFolder
from nas_agents.search.settings import SearchSettings
from nas_gym import Evaluator, NASEnv
from nas_gym.errors import require
from nas_gym.evaluation.evaluator import ChildEvaluator
from nas_gym.store.evaluator import StoredEvaluator
from nas_gym.store.store import Store
from nas_gym.workers.local import LocalWorkers
from nas_gym.workers.on_ray import RayWorkers

HIDDEN = ":***@"
OF_CHILDREN = ("workers", "ray", "child_timeout", "store")
"""Settings that mean something where children are trained, and nowhere else."""


@contextmanager
def workers_and_store(
    settings: SearchSettings, env: NASEnv, folder: RunFolder, run: str
) -> Iterator[None]:
    """Within it, the environment's children are trained by workers, and kept in a store.

    Args:
        settings: The search's.
        env: Whose evaluator is taken and given back.
        folder: Where the store is, unless the settings say otherwise.
        run: The run's name in the store.

    Raises:
        InvalidSettings: the workers or the store cannot be had.
        StoreError: the store cannot be opened.
    """
    own = env.evaluator.evaluator
    if not trains_children(own):
        yield
        return
    with ExitStack() as stack:
        pool = _workers(settings, own)
        if pool is not None:
            stack.enter_context(closing(pool))
        url = settings.store or str(folder.path / "evaluations.db")
        require(HIDDEN not in url, "--store: give it again; passwords are not written down")
        store = Store(url)
        stack.enter_context(closing(store))
        if pool is not None:
            stack.callback(pool.close)  # first, since what ends meanwhile goes into the store
        env.evaluator.evaluator = StoredEvaluator(pool or own, store, run, settings.repeats)
        try:
            yield
        finally:
            env.evaluator.evaluator = own


def lasting_store(store: str | None) -> str | None:
    """What may be written down of ``--store``, and is understood in any working directory.

    It has no password.
    """
    if store is None:
        return None
    if "://" not in store:
        return str(Path(store).resolve())
    return make_url(store).render_as_string(hide_password=True)


def trains_children(evaluator: Evaluator) -> TypeGuard[ChildEvaluator]:
    """Whether an evaluator makes one evaluation at a time, which can be done elsewhere and kept."""
    if getattr(evaluator, "changes", False):
        return False
    return all(hasattr(evaluator, name) for name in ("evaluate_one", "fingerprint", "seed_of"))


def check_children(settings: SearchSettings, evaluator: Evaluator) -> None:
    """Raises `InvalidSettings` if a search asks for what an evaluator that trains nothing lacks."""
    if trains_children(evaluator):
        return
    for name in OF_CHILDREN:
        option = f"--{name.replace('_', '-')}"
        require(
            getattr(settings, name) is None,
            f"{option}: this environment's evaluator ({type(evaluator).__name__}) trains no "
            "children: it has nothing to hand to workers or to keep; leave the option out",
        )
    require(
        settings.repeats == 1,
        f"--repeats: this environment's evaluator ({type(evaluator).__name__}) gives one answer "
        "for an architecture; leave the option out",
    )


def _workers(settings: SearchSettings, trainer: ChildEvaluator) -> LocalWorkers | RayWorkers | None:
    """The workers that the settings ask for, if they do.

    A child that may be ended has a process of its own.
    """
    if settings.ray is not None:
        share = 1 / settings.children_per_gpu
        gpus = share if settings.children_per_gpu > 1 else None  # by default as many as it needs
        return RayWorkers(
            trainer, settings.ray, settings.workers, settings.child_timeout, num_gpus=gpus
        )
    if settings.workers is None and settings.child_timeout is None:
        return None
    return LocalWorkers(
        trainer,
        settings.workers or 1,
        settings.child_timeout,
        children_per_gpu=settings.children_per_gpu,
    )
