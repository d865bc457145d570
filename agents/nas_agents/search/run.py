"""A search: an agent designs networks, each is evaluated, and the best is trained to the end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

import nas_gym
from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import FOREVER, Plan
from nas_agents.catalogue.environments import make_environment
from nas_agents.search.drivers import Driver, check_workers, make_driver, proposes
from nas_agents.search.evaluators import check_children, composition, evaluated_by, lasting_store
from nas_agents.search.final import FinalTraining, Finished, OnFinalEpoch, finish
from nas_agents.search.progress import UNFINISHED, Limits, Progress
from nas_agents.search.reading import EPISODES, SETTINGS, SUMMARY, InvalidRunFolder
from nas_agents.search.recorder import Recorder
from nas_agents.search.run_folder import CURVES, RunFolder, default_run_folder, opened
from nas_agents.search.settings import LIMITS, SearchSettings, earlier_record, resumed_settings
from nas_agents.search.summary import SearchResult, read_best, read_summary, summary_of
from nas_gym import Evaluator, NASEnv
from nas_gym.rendering import draw
from nas_gym.training.trainer import Trainer
from nas_gym.weight_sharing.evaluator import WeightSharing


def search(
    settings: SearchSettings,
    run: Path | None = None,
    on_episode: Callable[[Progress], None] = lambda progress: None,
    on_final_epoch: OnFinalEpoch = lambda epoch, epochs: None,
    resume: bool = False,
) -> SearchResult:
    """Search, train the best architecture to the end, and leave a run folder.

    Ctrl-C (KeyboardInterrupt) ends the search after what it has recorded, without final training.

    A search that is resumed starts its agent again from the seed, takes from the store what was
    evaluated, checks that every episode is as it is recorded, and goes on from there. So it does
    what one that was never interrupted does, whatever the algorithm.

    Args:
        settings: What to search, with what, for how long.
        run: The run folder; default: `default_run_folder`.
        on_episode: Called after each child that no earlier process recorded.
        on_final_epoch: Called with (epochs done, epochs in all) during the final training.
        resume: Go on with the run in ``run``, if there is one.

    Raises:
        NASGymError: something in the settings is wrong, which shows before anything is trained; or
            the run folder or the store cannot be written (any more), or a resumed agent does not do
            what is recorded. What was recorded is kept.
    """
    path = run or default_run_folder(settings.env_id, settings.agent)
    with ExitStack() as stack:
        folder = stack.enter_context(opened(path, resume))
        earlier, before = earlier_record(path)
        if earlier is not None:
            settings = resumed_settings(earlier, vars(settings))

        agent = find_agent(settings.agent)
        env_arguments = agent.env_arguments(settings.env_id, settings.env_arguments)
        env_arguments = {"training_seed": settings.seed, **_with_curves(env_arguments, path)}
        env = make_environment(settings.env_id, env_arguments)
        stack.callback(env.close)
        evaluator = env.memory.evaluator
        check_children(settings, evaluator)

        plan = Plan(env.decisions, settings.episodes or FOREVER, settings.envs)
        arguments = before.get("agent_made_with") or agent.arguments(plan, settings.agent_arguments)
        if not proposes(agent, evaluator, settings.envs):
            check_workers(settings.workers or 1, settings.envs)
        final = FinalTraining.of(evaluator, settings.final_arguments) if settings.final else None
        name = before.get("run") or f"{path.resolve().name}-{uuid.uuid4().hex[:8]}"
        record = _record(settings, name, arguments, evaluator, final)
        _check_fingerprint(path, before, record)

        extended = earlier is None or any(
            getattr(settings, limit) != getattr(earlier, limit) for limit in LIMITS
        )
        summary = None if extended else read_summary(path)
        if summary is not None and summary["stopped_by"] != "interrupted":
            progress = Progress.of(folder.recorded, path / EPISODES)
            progress.best_architecture = read_best(path) or progress.best_architecture
            if final is None or not final.is_outdated(summary):
                folder.write(SETTINGS, record)
        else:
            around = composition(settings, name, path)
            env = stack.enter_context(evaluated_by(around, env))
            logs = path / "tensorboard"
            driver = make_driver(agent, env, plan, arguments, settings.seed, logs)
            limits = Limits(
                settings.episodes, settings.seconds, settings.target_accuracy, settings.max_failures
            )
            recorder = Recorder(folder, limits, on_episode, record)
            summary = _run(driver, recorder, env, evaluator)
            progress = recorder.progress
        return _finish(progress, summary, final, folder, record, on_final_epoch)


def _with_curves(arguments: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """Let early stopping keep its curves in the run's folder, unless it names another file.

    There all workers share them, and a resumed search finds what it had learned.
    """
    rule = arguments.get("early_stopping")
    if not isinstance(rule, Mapping):
        return dict(arguments)
    return {**arguments, "early_stopping": {"curves": str(run.resolve() / CURVES), **rule}}


def _record(
    settings: SearchSettings,
    name: str,
    arguments: Mapping[str, Any],
    evaluator: Evaluator,
    final: FinalTraining | None,
) -> dict[str, Any]:
    """Return the content of ``settings.json``: what was asked for, and what followed from it."""
    record = {
        "nas_gym": nas_gym.__version__,
        "torch": torch.__version__,
        "run": name,
        **asdict(settings),
        "store": lasting_store(settings.store),
        "agent_made_with": arguments,
        "fingerprint": getattr(evaluator, "fingerprint", None),
    }
    if isinstance(evaluator, Trainer | WeightSharing):
        record["device"] = str(evaluator.device)
        record["training"] = asdict(evaluator.settings)
        record["final_training"] = final and asdict(final.settings)
    return record


def _check_fingerprint(run: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `InvalidRunFolder` if children would be trained otherwise than before."""
    if before.get("fingerprint", now["fingerprint"]) != now["fingerprint"]:
        raise InvalidRunFolder(
            f"run: {run} cannot be resumed here: children would be trained otherwise than they "
            f"were, on {before.get('device')} with nas_gym {before.get('nas_gym')}; use that "
            "device and version, or start another run"
        )


def _run(driver: Driver, recorder: Recorder, env: NASEnv, evaluator: Evaluator) -> dict[str, Any]:
    """Let the agent search; return the summary of its search."""
    try:
        driver.run(recorder)
    except KeyboardInterrupt:
        recorder.stopped_by = "interrupted"
    stopped_by, folder = recorder.stopped_by or "episodes", recorder.folder
    if not recorder.replaying:
        driver.save(folder)
    if stopped_by not in UNFINISHED:
        chosen = driver.choose()
        if chosen is not None and chosen[1].status == "ok":
            architecture, evaluation = chosen
            recorder.choose(architecture, env.reward(evaluation), evaluation.to_dict())
    summary = summary_of(recorder.progress, stopped_by, evaluator, env.reward)
    if not recorder.replaying:
        best = recorder.progress.best_architecture
        if best is not None:
            folder.replace("best.png", draw(best).save)
        folder.write(SUMMARY, summary)
    return summary


def _finish(
    progress: Progress,
    summary: dict[str, Any],
    final: FinalTraining | None,
    folder: RunFolder,
    record: Mapping[str, Any],
    on_epoch: OnFinalEpoch,
) -> SearchResult:
    """Train the best architecture to the end, unless that is done, or was not asked for."""
    best, stopped_by = progress.best_architecture, summary["stopped_by"]
    finished = Finished(summary)
    if best is not None and final is not None and final.is_left(summary):
        finished = finish(final, best, summary, folder, record, on_epoch)
        stopped_by = "interrupted" if finished.interrupted else stopped_by
        if not (finished.interrupted and finished.summary["final"]):
            changed = {"stopped_by": stopped_by, "seconds": progress.seconds}
            finished.summary.update(changed)
            folder.write(SUMMARY, finished.summary)
    before = progress.resumed == progress.episodes > 0
    return SearchResult(folder.path, stopped_by, progress, finished.final, finished.summary, before)
