"""A search: an agent designs networks, each is evaluated, and the best is trained to the end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nas_agents.drivers.checkpoint import differences
from nas_agents.drivers.driver import drive
from nas_agents.runs.callbacks import Callback, Callbacks, Start
from nas_agents.runs.progress import Progress
from nas_agents.runs.recorder import Recorder
from nas_agents.runs.run_folder import DATABASE, default_run_folder, opened
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import SearchResult
from nas_agents.search.evaluators import evaluated_by, other_store
from nas_agents.search.final import finish
from nas_agents.search.preparation import Prepared, prepare
from nas_gym.objectives import Objectives
from nas_gym.rewards import AnyReward, objectives_of
from nas_gym.training.network_trainer import DeviceTraining


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
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(opened(path, resume))
            prepared = prepare(settings, folder, stack)
            ended = None if verify else prepared.ended()
            before = ended is not None
            if ended is None:
                ended = _searched(prepared, callback, verify)
            elif prepared.final is not None and prepared.final.is_left(ended[1]):
                callback.on_dataset(prepared.final.dataset)
            result = finish(*ended, prepared.final, folder, prepared.record, callback)
    except BaseException as error:
        callback.on_failure(error)
        raise
    verified = result.progress.resumed if verify else 0
    result = replace(result, finished_before=before, verified=verified)
    callback.on_end(result)  # the folder is whole, and free for others
    return result


def _searched(
    prepared: Prepared, callback: Callbacks, verify: bool
) -> tuple[Progress, dict[str, Any]]:
    """Let the agent search; return the progress and the summary of its search."""
    settings, record, folder = prepared.settings, prepared.record, prepared.folder
    env, evaluator = prepared.env, prepared.env.memory.evaluator
    if isinstance(evaluator, DeviceTraining):
        callback.on_dataset(evaluator.dataset)
        for note in evaluator.task.notes:
            callback.on_notice(note)

    # Workers end before the final training, which may need their memory.
    with evaluated_by(settings, record["run"], folder.path / DATABASE, env) as around:
        driver = prepared.make_driver(around)
        objectives, no_front = _objectives(env.reward)
        ended_by = prepared.ended_by
        recorder = Recorder(folder, settings, callback, record, objectives, verify, ended_by)
        before = prepared.before
        moved = [differences(before.get("machine", {}), record["machine"])]
        moved.append(other_store(before, record))
        for notice in filter(None, (*moved, *driver.notices, no_front, prepared.finalists_line)):
            callback.on_notice(notice)
        callback.on_start(Start(folder.path, record, env))
        decide = None
        if prepared.finalists is not None:
            decide = partial(prepared.finalists.decide, recorder, around)
        return drive(driver, recorder, around, evaluator, decide, prepared.summary)


def _objectives(reward: AnyReward) -> tuple[Objectives | None, str]:
    """Return the objectives whose front is kept, None for none, and a line if one is missed.

    Under a reward that is a number, a front is no more than a view of the children: without the
    extra that computes it, the search goes on.
    """
    objectives = objectives_of(reward)
    if objectives is None or isinstance(reward, Objectives) or find_spec("moocore") is not None:
        return objectives, ""
    names = " and ".join(objectives.names)
    return None, f"no front of {names} is kept: pip install 'nas-gym[multi-objective]' computes it"
