"""Workers and store around the evaluator of a search; see `nas_gym.envs.composition`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from nas_agents.search.run_folder import DATABASE
from nas_agents.search.settings import SearchSettings
from nas_gym import Evaluator, NASEnv
from nas_gym.envs.composition import Composition, composed, trains_children
from nas_gym.errors import require

HIDDEN = ":***@"
OF_CHILDREN = ("workers", "ray", "child_timeout", "store")
"""Settings that mean something where children are trained, and nowhere else."""


def composition(settings: SearchSettings, run: str, folder: Path) -> Composition:
    """Return the workers and the store that a search asks for.

    Args:
        settings: The search's.
        run: The run's name in the store.
        folder: Where the store is, unless the settings name another.

    Raises:
        InvalidSettings: a password is missing, or a value is not valid.
    """
    store = settings.store or str(folder / DATABASE)
    require(HIDDEN not in store, "--store: give it again; passwords are not written down")
    return Composition(
        workers=settings.workers,
        ray=settings.ray,
        child_timeout=settings.child_timeout,
        children_per_gpu=settings.children_per_gpu,
        store=store,
        repeats=settings.repeats,
        run=run,
    )


@contextmanager
def evaluated_by(around: Composition, env: NASEnv) -> Iterator[NASEnv]:
    """Open the environment with its children trained by workers, and kept in a store.

    Raises:
        InvalidSettings: the workers or the store cannot be had.
        StoreError: the store cannot be opened.
    """
    own = env.memory.evaluator
    if not trains_children(own):
        yield env
        return
    with composed(own, around) as evaluator:
        yield NASEnv(env.search_space, evaluator, env.reward)


def lasting_store(store: str | None) -> str | None:
    """Return what is written down of ``--store``: without a password, for any working directory."""
    if store is None:
        return None
    if "://" not in store:
        return str(Path(store).resolve())
    return make_url(store).render_as_string(hide_password=True)


def check_children(settings: SearchSettings, evaluator: Evaluator) -> None:
    """Raise `InvalidSettings` if a search asks for what an evaluator that trains nothing lacks."""
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
