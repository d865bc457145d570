"""Workers and store around the evaluator of a search; see `nas_gym.envs.composition`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from nas_agents.catalogue.defaults import FOREVER
from nas_agents.runs.run_folder import DATABASE
from nas_agents.runs.settings import OF_CHILDREN, SearchSettings
from nas_gym import NASEnv
from nas_gym.envs.composition import Composition, composed, trains_children
from nas_gym.errors import require
from nas_gym.store.urls import parse_url, without_passwords
from nas_gym.training.network_trainer import DeviceTraining


def check_children(settings: SearchSettings, evaluator: object) -> None:
    """Raise `InvalidSettings` if a search asks for what an evaluator that trains nothing lacks."""
    for name in () if trains_children(evaluator) else OF_CHILDREN:
        require(
            getattr(settings, name) == getattr(SearchSettings, name),
            f"--{name.replace('_', '-')}: this environment's evaluator "
            f"({type(evaluator).__name__}) trains no children: it has nothing to hand to workers "
            "or to keep, and one answer for an architecture; leave the option out",
        )
    trains = isinstance(evaluator, DeviceTraining) or not settings.final_arguments
    require(
        trains,
        f"--final-set: this environment's evaluator ({type(evaluator).__name__}) trains nothing, "
        "the best architecture neither; leave the option out",
    )


def planned_episodes(env: NASEnv, simulated_seconds: float | None) -> int:
    """Return about how many networks recorded seconds pay for; `FOREVER` without such a limit."""
    if simulated_seconds is None:
        return FOREVER
    recorded = env.memory.recorded
    mean = 0.0 if recorded is None else float(recorded.columns["seconds"].mean())
    require(mean > 0, "simulated-seconds: this environment records none; count evaluations instead")
    return max(1, round(simulated_seconds / mean))


def check_limits(env: NASEnv) -> None:
    """Raise `InvalidSettings` for a budget of the environment: a search has its own."""
    require(
        env.limits is None,
        "limits: a search has limits of its own; give --evaluations or --simulated-seconds",
    )


@contextmanager
def evaluated_by(
    settings: SearchSettings, run: str, database: Path, env: NASEnv
) -> Iterator[NASEnv]:
    """Open the environment with its children trained by workers, and kept in a store.

    ``run`` is the run's name in the store, which is the ``database`` unless the settings name one.
    """
    own = env.memory.evaluator
    if not trains_children(own):
        yield env
        return
    around = {name: getattr(settings, name) for name in OF_CHILDREN}
    around["store"] = settings.store or str(database)
    hidden = "***" in around["store"]
    require(not hidden, "--store: give it again; passwords are not written down")
    with composed(own, Composition(run=run, **around)) as evaluator:
        yield NASEnv(env.search_space, evaluator, env.reward, observation=env.observation)


def lasting_store(store: str | None) -> str | None:
    """Return what is written down of ``--store``: without a password, for any working directory."""
    if not store:
        return store
    url = parse_url(store)
    if url.get_backend_name() == "sqlite":
        return str(Path(str(url.database)).resolve())
    return without_passwords(make_url(store))


def other_store(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return a line if a search is resumed with another store than its record, ``before``, has."""
    if not before or before.get("store") == now["store"]:
        return ""
    old, new = (each.get("store") or f"the run's {DATABASE}" for each in (before, now))
    return (
        f"store: now {new}, before {old}; a child that only the other one has is trained again "
        "where the search asks for it once more"
    )
