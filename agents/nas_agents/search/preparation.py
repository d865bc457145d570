"""The preparation of a search: what follows from its settings before anything is evaluated."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

import nas_gym
from nas_agents.catalogue.agents import Agent, find_agent
from nas_agents.catalogue.automatic import CHOICES, suited_agent
from nas_agents.catalogue.defaults import FOREVER, Plan
from nas_agents.catalogue.environments import make_environment
from nas_agents.catalogue.registry import AUTO
from nas_agents.drivers.asynchronous import PARTS, PLACES
from nas_agents.drivers.checkpoint import machine
from nas_agents.drivers.driver import Driver, is_asynchronous, make_driver
from nas_agents.runs.progress import UNFINISHED, Progress, StopReason
from nas_agents.runs.random_children import random_mark
from nas_agents.runs.reading import EPISODES, SETTINGS, InvalidRunFolder, check_lines
from nas_agents.runs.run_folder import CURVES, UNFINISHED_CHILDREN, RunFolder
from nas_agents.runs.settings import (
    LIMITS,
    SearchSettings,
    load_record,
    require_extendable,
    require_known_classes,
    resumed_settings,
    with_lasting_paths,
)
from nas_agents.runs.summary import read_best, read_summary
from nas_agents.search.evaluators import (
    check_children,
    check_limits,
    lasting_store,
    planned_episodes,
)
from nas_agents.search.final import FinalTraining
from nas_agents.search.finalists import Finalists, are_held, planned
from nas_gym import NASEnv, Objectives, SearchSpace
from nas_gym.training.network_trainer import DeviceTraining
from nas_gym.training.trainer import Trainer


@dataclass(frozen=True)
class Prepared:
    """A search that can begin, or go on."""

    folder: RunFolder
    settings: SearchSettings
    same_limits: bool
    """True unless a resumed search has other limits than it had."""
    before: Mapping[str, Any]
    """Content of ``settings.json`` when the search was resumed; empty for a new one."""
    env: NASEnv
    """The environment, whose evaluator has no workers and no store yet."""
    make_driver: Callable[[NASEnv], Driver]
    """Makes what drives the agent, in the environment with workers and a store."""
    final: FinalTraining | None
    finalists: Finalists | None
    finalists_line: str | None
    """A line about the finalists, for the user."""
    record: dict[str, Any]
    """Content of ``settings.json``."""
    summary: dict[str, Any] | None
    """Summary of the search before it was resumed, if there is one."""

    @property
    def ended_by(self) -> StopReason | None:
        """The reason why an earlier process ended the search; None if it goes on."""
        summary = self.summary
        if summary is None or not self.same_limits or summary["stopped_by"] == "interrupted":
            return None
        if summary["episodes"] != len(self.folder.recorded):  # it went on since
            return None
        reason: StopReason = summary["stopped_by"]
        return reason

    def ended(self) -> tuple[Progress, dict[str, Any]] | None:
        """Return progress and summary of a search of which at most the final training is left."""
        folder, summary = self.folder, self.summary
        if summary is None or self.ended_by is None:
            return None
        if summary["stopped_by"] not in UNFINISHED and not are_held(self.finalists, summary):
            return None
        progress = Progress.of(folder.recorded, folder.path / EPISODES)
        progress.best_architecture = read_best(folder.path) or progress.best_architecture
        progress.started = time.perf_counter() - summary["seconds"]
        if self.final is None or not self.final.is_outdated(summary):
            folder.write(SETTINGS, self.record)
        return progress, summary


def prepare(settings: SearchSettings, folder: RunFolder, stack: ExitStack) -> Prepared:
    """Make the parts of a search, from the outside in; the stack closes its environment."""
    path = folder.path
    earlier, before = load_record(path) if folder.resumed else (settings, {})
    settings = with_lasting_paths(resumed_settings(earlier, vars(settings)))

    named = None if settings.agent == AUTO else find_agent(settings.agent)
    env_arguments = _env_arguments(settings, named, path)
    env = stack.enter_context(closing(make_environment(settings.env_id, env_arguments)))
    evaluator = env.memory.evaluator
    check_children(settings, evaluator)
    check_limits(env)

    agent = named or find_agent(_chosen(settings, before, env))
    _fit_together(agent, env, path)
    plan = _plan(settings, earlier, before, env, len(folder.recorded))
    arguments = _agent_arguments(agent, settings, before, plan)
    of_agent: dict[str, Any] = {"plan": plan, "arguments": arguments, "seed": settings.seed}
    at_a_time = (settings.envs, _workers(settings))
    asynchronous = is_asynchronous(agent, evaluator, *at_a_time, before)

    final = FinalTraining.of(evaluator, settings.final_arguments) if settings.final else None
    finalists, line = planned(settings, env_arguments, evaluator, final, env.reward)

    name = before.get("run") or _new_name(path, agent, env.search_space)
    record = _record(settings, name, agent, arguments, env, final)
    record |= {"planned_episodes": plan.episodes, "asynchronous": asynchronous}
    _check_record(folder, before, record)
    return Prepared(
        folder=folder,
        settings=settings,
        same_limits=all(getattr(settings, each) == getattr(earlier, each) for each in LIMITS),
        before=before,
        env=env,
        make_driver=partial(make_driver, agent, asynchronous, **of_agent),
        final=final,
        finalists=finalists,
        finalists_line=line,
        record=record,
        summary=read_summary(path),
    )


def _new_name(run: Path, agent: Agent, search_space: SearchSpace) -> str:
    """Return a new run's name in a store, by which others find random search's children."""
    mark = random_mark(search_space) if agent.name == "random" else "-"
    return f"{run.resolve().name}{mark}{uuid.uuid4().hex[:8]}"


def _agent_arguments(
    agent: Agent, settings: SearchSettings, before: Mapping[str, Any], plan: Plan
) -> dict[str, Any]:
    """Return the agent's arguments; those of a resumed search are as they were."""
    asked = agent.arguments(plan, settings.agent_arguments)
    arguments: dict[str, Any] = before.get("agent_made_with") or asked
    require_known_classes(arguments, asked)
    made = math.ceil(plan.episodes / plan.environments) * plan.environments  # in whole batches
    require_extendable(arguments, plan.episodes, plan.in_all if plan.in_all > made else 0)
    return arguments


def _env_arguments(settings: SearchSettings, agent: Agent | None, run: Path) -> dict[str, Any]:
    """Return the environment's arguments; early stopping keeps its curves in the run's folder.

    There all workers share them, and a resumed search finds what it had learned.
    """
    arguments = dict(settings.env_arguments)
    if agent is not None:
        arguments = agent.env_arguments(settings.env_id, arguments)
    rule = arguments.get("early_stopping")
    if isinstance(rule, Mapping):
        arguments["early_stopping"] = {"curves": str(run.resolve() / CURVES), **rule}
    return {"training_seed": settings.seed, **arguments}


def _chosen(settings: SearchSettings, before: Mapping[str, Any], env: NASEnv) -> str:
    """Return the agent that a search takes which leaves the choice; a resumed one, the same."""
    chosen = before.get("chosen_agent")
    if chosen in CHOICES:  # a run folder may be a stranger's
        return str(chosen)
    episodes = _planned(settings, env)
    known = None if episodes == FOREVER else episodes
    return suited_agent(env, known, settings.envs, _workers(settings))


def _workers(settings: SearchSettings) -> float:
    """Return the number of workers; infinite for as many as a Ray cluster has room for."""
    return settings.workers or (math.inf if settings.ray is not None else 1)


def _planned(settings: SearchSettings, env: NASEnv) -> int:
    """Return about how many children a search's limits allow; `FOREVER` if time alone does."""
    counted = settings.episodes or settings.evaluations
    return counted or planned_episodes(env, settings.simulated_seconds)


def _fit_together(agent: Agent, env: NASEnv, run: Path) -> None:
    """Raise `InvalidSettings` for a reward that does not suit the agent; keep unfinished children.

    Theirs is a folder in the run's, from which all workers let them go on.
    """
    agent.check_reward(env.reward)
    if agent.trains_in_parts and isinstance(env.memory.evaluator, Trainer):
        env.memory.evaluator.checkpoints = run.resolve() / UNFINISHED_CHILDREN


def _plan(
    settings: SearchSettings,
    earlier: SearchSettings,
    before: Mapping[str, Any],
    env: NASEnv,
    recorded: int,
) -> Plan:
    """Return the plan of a search as it began, ``earlier``, with its extension, if it has one.

    Recorded episodes beyond the plan are no extension where repeats are free. No more networks are
    designed at a time than the search has children.
    """
    objectives = env.reward_dim if isinstance(env.reward, Objectives) else 1
    first = max(1, before.get("planned_episodes", _planned(earlier, env)))
    now = max(_planned(settings, env), recorded if settings.episodes else 0)
    return Plan(env.decisions, first, min(settings.envs, first), objectives, extended=now)


def _record(
    settings: SearchSettings,
    name: str,
    agent: Agent,
    arguments: Mapping[str, Any],
    env: NASEnv,
    final: FinalTraining | None,
) -> dict[str, Any]:
    """Return the content of ``settings.json``: what was asked for, and what followed from it."""
    evaluator = env.memory.evaluator
    decisions = {each.name: each.choices for each in env.search_space.decisions}
    record = {
        **{"nas_gym": nas_gym.__version__, "torch": torch.__version__, "run": name},
        "machine": machine(),
        **asdict(settings),
        "store": lasting_store(settings.store),
        "chosen_agent": agent.name,
        "agent_made_with": arguments,
        "decisions": decisions,
        "fingerprint": getattr(evaluator, "fingerprint", None),
    }
    if isinstance(evaluator, DeviceTraining):
        record["device"] = str(evaluator.device)
        record["data"] = {**evaluator.dataset.summary(), "digest": evaluator.dataset.digest}
        record["training"] = asdict(evaluator.settings)
        record["final_training"] = final and asdict(final.settings)
    return record


def _check_record(folder: RunFolder, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `InvalidRunFolder` if a line is broken, or children would be trained otherwise."""
    run = folder.path
    if now["asynchronous"]:
        in_parts = any("epochs" in each for each in folder.recorded)
        check_lines(run / EPISODES, folder.recorded, {**PLACES, **(PARTS if in_parts else {})})
    data, read_now = before.get("data"), now.get("data")
    if isinstance(data, dict) and read_now and data.get("digest") != read_now["digest"]:
        counts = [f"{each['images']} images" for each in (data, read_now) if "images" in each]
        raise InvalidRunFolder(
            f"run: {run} cannot be resumed: the data changed since it began "
            f"({' before, '.join(counts)}); restore them, or start another run"
        )
    if before.get("fingerprint", now["fingerprint"]) != now["fingerprint"]:
        raise InvalidRunFolder(
            f"run: {run} cannot be resumed here: children would be trained otherwise than they "
            f"were, on {before.get('device')} with nas_gym {before.get('nas_gym')}; use that "
            "device and version, or start another run"
        )
