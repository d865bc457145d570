"""The evaluators of a search whose children are trained; see `nas_gym.composition`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

from sqlalchemy import make_url

from nas_agents.search.run_folder import RunFolder
from nas_agents.search.settings import SearchSettings
from nas_gym import Evaluator, NASEnv
from nas_gym.composition import Composition, composed, trains_children
from nas_gym.errors import require

HIDDEN = ":***@"
OF_CHILDREN = ("workers", "ray", "child_timeout", "store")
"""Settings that mean something where children are trained, and nowhere else."""


@contextmanager
def workers_and_store(
    settings: SearchSettings, env: NASEnv, folder: RunFolder, run: str
) -> Iterator[NASEnv]:
    """Give the environment with its children trained by workers, and kept in a store.

    Args:
        settings: The search's.
        env: The environment as its id makes it.
        folder: Where the store is, unless the settings say otherwise.
        run: The run's name in the store.

    Raises:
        InvalidSettings: the workers or the store cannot be had.
        StoreError: the store cannot be opened.
    """
    own = env.memory.evaluator
    if not trains_children(own):
        yield env
        return
    store = settings.store or str(folder.path / "evaluations.db")
    require(HIDDEN not in store, "--store: give it again; passwords are not written down")
    given = {each.name: getattr(settings, each.name, None) for each in fields(Composition)}
    with composed(own, Composition(**{**given, "store": store, "run": run})) as evaluator:
        yield NASEnv(env.search_space, evaluator, env.reward)


def lasting_store(store: str | None) -> str | None:
    """What may be written down of ``--store``, and is understood in any working directory.

    It has no password.
    """
    if store is None:
        return None
    if "://" not in store:
        return str(Path(store).resolve())
    return make_url(store).render_as_string(hide_password=True)


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
