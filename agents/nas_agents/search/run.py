"""A search: an agent designs networks, each is evaluated, and the best is trained to the end."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
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
from nas_agents.drivers.checkpoint import differences, machine
from nas_agents.drivers.driver import drive, is_asynchronous, make_driver
from nas_agents.runs.callbacks import Callback, Callbacks, Start
from nas_agents.runs.progress import UNFINISHED, Progress
from nas_agents.runs.random_children import random_mark
from nas_agents.runs.reading import EPISODES, SETTINGS, InvalidRunFolder, check_lines
from nas_agents.runs.recorder import Recorder
from nas_agents.runs.run_folder import (
    CURVES,
    DATABASE,
    UNFINISHED_CHILDREN,
    RunFolder,
    default_run_folder,
    opened,
)
from nas_agents.runs.settings import (
    LIMITS,
    SearchSettings,
    load_record,
    require_extendable,
    require_known_classes,
    resumed_settings,
    with_lasting_paths,
)
from nas_agents.runs.summary import SearchResult, read_best, read_summary
from nas_agents.search.evaluators import (
    check_children,
    check_limits,
    evaluated_by,
    lasting_store,
    planned_episodes,
)
from nas_agents.search.final import FinalTraining, finish
from nas_agents.search.finalists import Finalists, are_held, evaluated_again, planned
from nas_gym import Evaluator, NASEnv, Objectives, SearchSpace
from nas_gym.rewards import objectives_of
from nas_gym.training.network_trainer import DeviceTraining
from nas_gym.training.trainer import Trainer


def search(
    settings: SearchSettings,
    run: Path | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    verify: bool = False,
) -> SearchResult:
    """Search, train the best architecture to the end, and leave a run folder.

    Ctrl-C (KeyboardInterrupt) ends the search after what it has recorded, without final training.

    A search that is resumed goes on from its last checkpoint, or from the seed where there is none,
    and takes from the store what was evaluated after it. On the same machine, with as many threads,
    it does what one that was never interrupted does, to the bit. Elsewhere floats may differ: what
    is recorded stands, and the search goes on.

    Args:
        settings: What to search, with what, for how long.
        run: The run folder; default: `default_run_folder`.
        resume: Go on with the run in ``run``, if there is one.
        callbacks: Watch the search, in this order.
        verify: Repeat all that is recorded from the seed, and raise where something differs.

    Raises:
        NASGymError: something in the settings is wrong, which shows before anything is trained; or
            the run folder or the store cannot be written (any more), or ``verify`` finds that the
            agent does not do what is recorded. What was recorded is kept.
    """
    path = run or default_run_folder(settings.env_id, settings.agent)
    callback = Callbacks(callbacks)
    with ExitStack() as stack:
        folder = stack.enter_context(opened(path, resume))
        earlier, before = load_record(path) if folder.resumed else (settings, {})
        settings = with_lasting_paths(resumed_settings(earlier, vars(settings)))

        named = None if settings.agent == AUTO else find_agent(settings.agent)
        of_env = _env_arguments(settings, named, path)
        env = stack.enter_context(closing(make_environment(settings.env_id, of_env)))
        agent = named or find_agent(_chosen(settings, before, env))
        evaluator = env.memory.evaluator
        check_children(settings, evaluator)
        check_limits(env)
        _fit_together(agent, env, path)
        plan, longer = _plans(settings, earlier, before, env, len(folder.recorded))
        asked = agent.arguments(plan, settings.agent_arguments)
        arguments = before.get("agent_made_with") or asked
        require_known_classes(arguments, asked)
        require_extendable(arguments, plan.episodes, longer.episodes)
        at_a_time = (settings.envs, settings.workers or 1)
        asynchronous = is_asynchronous(agent, evaluator, *at_a_time, before)
        final = FinalTraining.of(evaluator, settings.final_arguments) if settings.final else None
        finalists, costing = planned(settings, of_env, evaluator, final, env.reward)
        name = before.get("run") or _new_name(path, agent, env.search_space)
        record = _record(settings, name, agent, arguments, evaluator, final, env.search_space)
        record |= {"planned_episodes": plan.episodes, "asynchronous": asynchronous}
        _check_record(folder, before, record)

        done = read_summary(path)
        as_before = not verify and all(
            getattr(settings, each) == getattr(earlier, each) for each in LIMITS
        )
        ended = _ended(folder, done, final, finalists, record) if as_before else None
        if ended is None:
            if isinstance(evaluator, DeviceTraining):
                callback.on_dataset(evaluator.dataset)
                for note in evaluator.task.notes:
                    callback.on_notice(note)
            # Workers end before the final training, which may need their memory.
            with evaluated_by(settings, name, path / DATABASE, env) as around:
                of = (around, longer, arguments, settings.seed)
                driver = make_driver(agent, asynchronous, *of)
                objectives = objectives_of(env.reward)
                recorder = Recorder(folder, settings, callback, record, objectives, verify)
                other = differences(before.get("machine", {}), record["machine"])
                for notice in filter(None, (other, *driver.notices, costing)):
                    callback.on_notice(notice)
                callback.on_start(Start(path, record, env))
                decide = None
                if finalists is not None:
                    again = evaluated_again(settings, of_env, evaluator, around)
                    decide = partial(finalists.decide, recorder, around, again)
                ended = drive(driver, recorder, around, evaluator, decide, done)
        result = finish(*ended, final, folder, record, callback.on_final_epoch)
    callback.on_end(result)  # the folder is whole, and free for others
    return result


def _new_name(run: Path, agent: Agent, search_space: SearchSpace) -> str:
    """Return a new run's name in a store, by which others find random search's children."""
    mark = random_mark(search_space) if agent.name == "random" else "-"
    return f"{run.resolve().name}{mark}{uuid.uuid4().hex[:8]}"


def _fit_together(agent: Agent, env: NASEnv, run: Path) -> None:
    """Raise `InvalidSettings` for a reward that does not suit the agent; keep unfinished children.

    Theirs is a folder in the run's, from which all workers let them go on.
    """
    agent.check_reward(env.reward)
    if agent.trains_in_parts and isinstance(env.memory.evaluator, Trainer):
        env.memory.evaluator.checkpoints = run.resolve() / UNFINISHED_CHILDREN


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


def _plans(
    settings: SearchSettings,
    earlier: SearchSettings,
    before: Mapping[str, Any],
    env: NASEnv,
    recorded: int,
) -> tuple[Plan, Plan]:
    """Return the plan that the agent's arguments follow from, and that of all its episodes.

    The first is that of the search as it began; it goes on for longer where it is extended.
    """
    number = env.reward_dim if isinstance(env.reward, Objectives) else 1
    first = _planned(earlier, env)
    first = max(1, before.get("planned_episodes", first))
    plan = Plan(env.decisions, first, settings.envs, number)
    now = _planned(settings, env)
    return plan, replace(plan, episodes=max(first, now, recorded))


def _planned(settings: SearchSettings, env: NASEnv) -> int:
    """Return about how many children a search's limits allow; `FOREVER` if time alone does."""
    counted = settings.episodes or settings.evaluations
    return counted or planned_episodes(env, settings.simulated_seconds)


def _chosen(settings: SearchSettings, before: Mapping[str, Any], env: NASEnv) -> str:
    """Return the agent that a search takes which leaves the choice; a resumed one, the same."""
    chosen = before.get("chosen_agent")
    if chosen in CHOICES:  # a run folder may be a stranger's
        return str(chosen)
    episodes = _planned(settings, env)
    known = None if episodes == FOREVER else episodes
    return suited_agent(env, known, settings.envs, settings.workers or 1)


def _record(
    settings: SearchSettings,
    name: str,
    agent: Agent,
    arguments: Mapping[str, Any],
    evaluator: Evaluator,
    final: FinalTraining | None,
    search_space: SearchSpace,
) -> dict[str, Any]:
    """Return the content of ``settings.json``: what was asked for, and what followed from it."""
    decisions = {each.name: each.choices for each in search_space.decisions}
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


def _ended(
    folder: RunFolder,
    summary: dict[str, Any] | None,
    final: FinalTraining | None,
    finalists: Finalists | None,
    record: Mapping[str, Any],
) -> tuple[Progress, dict[str, Any]] | None:
    """Return the progress and the summary of a search that an earlier process ended, if one did."""
    if summary is None or summary["stopped_by"] == "interrupted":
        return None
    if summary["episodes"] != len(folder.recorded):  # it went on since
        return None
    if summary["stopped_by"] not in UNFINISHED and not are_held(finalists, summary):
        return None
    progress = Progress.of(folder.recorded, folder.path / EPISODES)
    progress.best_architecture = read_best(folder.path) or progress.best_architecture
    if final is None or not final.is_outdated(summary):
        folder.write(SETTINGS, record)
    return progress, summary
