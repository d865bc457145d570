"""A search run: an agent in an environment, its records, its stop rules, and the final training."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

import nas_gym
from nas_agents.catalogue.entries import Plan
from nas_agents.catalogue.making import agent_arguments, agent_entry, load_algorithm
from nas_agents.controllers.shared_weights import SHARING
from nas_agents.search.drivers import FOREVER, Driver, check_workers, make_driver
from nas_agents.search.evaluators import check_children, lasting_store, workers_and_store
from nas_agents.search.recorder import UNFINISHED, Progress, Recorder, SearchOver, StopReason
from nas_agents.search.run_folder import (
    BEST,
    CURVES,
    EPISODES,
    SETTINGS,
    SUMMARY,
    WEIGHTS,
    InvalidRunFolder,
    RunFolder,
    broken,
    default_run_folder,
    has_run,
    reading_line,
)
from nas_agents.search.settings import (
    LIMITS,
    SearchSettings,
    load_record,
    resumed_settings,
    same_json,
)
from nas_agents.search.summary import read_summary, summary_of, with_final
from nas_gym import Architecture, InvalidArchitecture, NASEnv
from nas_gym.errors import InvalidSettings, choices_hint, with_fixed
from nas_gym.rendering import draw
from nas_gym.training.failures import Diverged
from nas_gym.training.final import FinalResult, train_final
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer
from nas_gym.weight_sharing.evaluator import WeightSharing

__all__ = ["FOREVER", "SearchResult", "SearchSettings", "final_settings", "make_env", "search"]

OnEpisode = Callable[[Progress], None]
OnFinalEpoch = Callable[[int, int], None]


@dataclass(frozen=True)
class SearchResult:
    """What a search found."""

    run: Path
    stopped_by: StopReason
    progress: Progress
    final: FinalResult | None
    """None where there was no final training, or it failed, or an earlier process did it."""
    summary: dict[str, Any]
    """What ``summary.json`` holds."""
    finished_before: bool = False
    """Whether a search that is resumed had been finished, but for its final training perhaps."""

    @property
    def complaint(self) -> str:
        """Why a search stopped that had too many failures in a row, or whose weights diverged."""
        if self.stopped_by == "diverged":
            return (
                f"the shared weights diverged after {self.progress.episodes} children: their loss "
                "is not finite any more, and under them no child can be evaluated. What was "
                f"recorded is in {self.run}; start another run with a lower learning rate (--set "
                "learning_rate=0.01), or with clipped gradients (--set gradient_clip=5)"
            )
        return (
            f"{self.progress.failures_in_a_row} children in a row failed, so the settings are "
            f"likely wrong; the last one: {self.progress.last_failure}. What was recorded is in "
            f"{self.run}; --max-failures allows more"
        )


def make_env(settings: SearchSettings) -> NASEnv:
    """The environment of a search.

    Raises:
        InvalidSettings: there is no environment of that id, or it is none of nas_gym's.
    """
    known = [env_id for env_id in gym.registry if env_id.startswith("nas_gym/")]
    env_id = settings.env_id
    if env_id not in gym.registry and ":" not in env_id:
        raise InvalidSettings(
            f"environment: {env_id!r} is not known; {choices_hint(env_id, known)}"
        )
    needed = _needed_arguments(settings)
    arguments = {"training_seed": settings.seed, **needed, **settings.env_arguments}
    try:
        env = gym.make(env_id, disable_env_checker=True, **arguments).unwrapped
    except TypeError as error:
        raise InvalidSettings(
            f"environment: {env_id!r} does not take these arguments: {error}"
        ) from error
    except (ImportError, gym.error.Error) as error:
        raise InvalidSettings(f"environment: {env_id!r} cannot be made: {error}") from error
    if not isinstance(env, NASEnv):
        raise InvalidSettings(
            f"environment: {env_id!r} does not design networks; {choices_hint(env_id, known)}"
        )
    return env


def _needed_arguments(settings: SearchSettings) -> Mapping[str, Any]:
    """The arguments that the environment is made with for the agent's sake.

    Raises:
        InvalidSettings: the agent needs shared weights, and the environment has none.
    """
    needed = agent_entry(settings.agent).env_arguments
    shares = needed.get("evaluator") == "weight-sharing" and "evaluator" not in (
        settings.env_arguments
    )
    if shares and settings.env_id.startswith("nas_gym/") and settings.env_id not in SHARING:
        raise InvalidSettings(
            f"environment: the agent {settings.agent!r} needs children that share weights, and "
            f"those of {settings.env_id!r} cannot; use {' or '.join(SHARING)}, or another agent"
        )
    return needed


def final_settings(settings: TrainingSettings, given: Mapping[str, Any]) -> TrainingSettings:
    """The settings of the final training: a child's, for longer and in a wider network.

    Args:
        settings: A child's.
        given: Fields of these settings, or of the network's, that the user gave. Otherwise the
            final training takes ten times a child's epochs, at least 25, and twice its filters
            (`NetworkSettings.width_setting`), and none of what makes a child's estimate cheaper.

    Raises:
        InvalidSettings: a name or a value is not valid.
    """
    of_network = asdict(settings.network) if settings.network else {}
    whole = {"data_fraction": 1.0, "early_stopping": None, "inherit_weights": None}
    defaults = {"epochs": max(25, 10 * settings.epochs)}
    if settings.network is not None:
        width = settings.network.width_setting
        defaults |= {width: 2 * of_network[width]} if width in of_network else {}
    why = "a final training takes all images, to the end, with weights of its own"
    given = with_fixed({**defaults, **given}, whole, why)
    unknown = [name for name in given if name not in of_network and not hasattr(settings, name)]
    if unknown:
        valid = (*of_network, *asdict(settings))
        raise InvalidSettings(
            f"final: {unknown[0]!r} is not known; {choices_hint(unknown[0], valid)}"
        )
    network = {name: value for name, value in given.items() if name in of_network}
    training = {name: value for name, value in given.items() if name not in of_network}
    if settings.network is not None:
        settings = replace(settings, network=replace(settings.network, **network))
    return replace(settings, **training)


def search(
    settings: SearchSettings,
    run: Path | None = None,
    on_episode: OnEpisode = lambda progress: None,
    on_final_epoch: OnFinalEpoch = lambda epoch, epochs: None,
    resume: bool = False,
) -> SearchResult:
    """Searches, trains the best architecture to the end, and leaves a run folder.

    Ctrl-C (KeyboardInterrupt) ends the search after what it has recorded, without final training.

    A search that is resumed starts its agent again from the seed, takes from the store what was
    evaluated, checks that all comes as it is recorded, and goes on from there. So it does what one
    that was never interrupted does, whatever the algorithm.

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
    with ExitStack() as stack:
        folder = stack.enter_context(_opened(run, settings, resume))
        ready = _set_up(settings, folder)
        stack.callback(ready.env.close)
        finished = ready.finished_summary()
        if finished is not None:
            if not ready.final_is_outdated(finished):
                folder.write(SETTINGS, ready.record())
            return ready.finish(_progress_of(folder), finished, on_final_epoch)
        env = stack.enter_context(workers_and_store(ready.settings, ready.env, folder, ready.name))
        logs = folder.path / "tensorboard"
        driver = make_driver(ready.settings, env, ready.plan, ready.arguments, logs)
        folder.write(SETTINGS, ready.record())
        folder.remove(SUMMARY)
        recorder = Recorder(folder, ready.settings, on_episode)
        summary = ready.search(driver, recorder)
        return ready.finish(recorder.progress, summary, on_final_epoch)


@contextmanager
def _opened(run: Path | None, settings: SearchSettings, resume: bool) -> Iterator[RunFolder]:
    """The run's folder; one in which nothing was started is not left behind."""
    path = run or default_run_folder(settings.env_id, settings.agent)
    folder = RunFolder(path, resume and has_run(path))
    try:
        yield folder
    finally:
        folder.close()
        if not has_run(path):
            folder.discard()


def _env_arguments(settings: SearchSettings, folder: RunFolder) -> dict[str, Any]:
    """The environment's arguments; early stopping keeps its curves in the run's folder.

    There all workers share them, and a resumed search finds what it had learned.
    """
    arguments = dict(settings.env_arguments)
    rule = arguments.get("early_stopping")
    if isinstance(rule, Mapping):
        arguments["early_stopping"] = {"curves": str(folder.path.resolve() / CURVES), **rule}
    return arguments


def _set_up(settings: SearchSettings, folder: RunFolder) -> _Ready:
    """Everything that a search needs, but for its workers and its store."""
    saved, before = load_record(folder.path) if has_run(folder.path) else (settings, {})
    if before:
        settings = resumed_settings(saved, vars(settings))
    load_algorithm(agent_entry(settings.agent))  # before the data set is loaded
    env = make_env(replace(settings, env_arguments=_env_arguments(settings, folder)))
    trainer = env.memory.evaluator
    check_children(settings, trainer)
    check_workers(settings, env)
    plan = Plan(env.decisions, settings.episodes or FOREVER, settings.envs)
    arguments = before.get("agent_made_with") or agent_arguments(
        settings.agent, plan, settings.agent_arguments
    )
    final = None
    if settings.final and isinstance(trainer, Trainer | WeightSharing):
        alone = trainer.settings if isinstance(trainer, Trainer) else trainer.child_settings
        final = final_settings(alone, settings.final_arguments)
    name = before.get("run") or f"{folder.path.resolve().name}-{uuid.uuid4().hex[:8]}"
    ready = _Ready(settings, saved, name, folder, env, trainer, arguments, plan, final)
    if before.get("fingerprint", ready.fingerprint) != ready.fingerprint:
        raise InvalidRunFolder(
            f"run: {folder.path} cannot be resumed here: children would be trained otherwise than "
            f"they were, on {before.get('device')} with nas_gym {before['nas_gym']}; use that "
            "device and version, or start another run"
        )
    return ready


@dataclass(frozen=True)
class _Ready:
    """A search that is set up."""

    settings: SearchSettings
    saved: SearchSettings
    """Those of an earlier process, where the search is resumed."""
    name: str
    """The run's name in the store."""
    folder: RunFolder
    env: NASEnv
    evaluator: Any
    """The environment's own, without workers and store."""
    arguments: Mapping[str, Any]
    """What the agent is made with."""
    plan: Plan
    """What the agent's defaults follow from."""
    final: TrainingSettings | None

    @property
    def fingerprint(self) -> str | None:
        """Of everything that could change an evaluation, if the evaluator tells."""
        return getattr(self.evaluator, "fingerprint", None)

    def record(self) -> dict[str, Any]:
        """What ``settings.json`` holds: what was asked for, and what it came to."""
        record = {
            "nas_gym": nas_gym.__version__,
            "torch": torch.__version__,
            "run": self.name,
            **asdict(self.settings),
            "store": lasting_store(self.settings.store),
            "agent_made_with": self.arguments,
            "fingerprint": self.fingerprint,
        }
        if isinstance(self.evaluator, Trainer | WeightSharing):
            record["device"] = str(self.evaluator.device)
            record["training"] = asdict(self.evaluator.settings)
            record["final_training"] = self.final and asdict(self.final)
        return record

    def finished_summary(self) -> dict[str, Any] | None:
        """The summary of a search that an earlier process finished; None if there is more to do."""
        summary = read_summary(self.folder.path)
        if summary is None or summary["stopped_by"] == "interrupted":
            return None
        extended = any(getattr(self.settings, n) != getattr(self.saved, n) for n in LIMITS)
        return None if extended else summary

    def search(self, driver: Driver, recorder: Recorder) -> dict[str, Any]:
        """Has the agent search; the summary of what it found."""
        try:
            with suppress(SearchOver):  # a limit was reached
                driver.run(recorder)
        except KeyboardInterrupt:
            recorder.stopped_by = "interrupted"
        driver.save(self.folder)
        if recorder.stopped_by not in UNFINISHED:
            self._choose(driver, recorder)
        best = recorder.progress.best_architecture
        if best is not None:
            self.folder.replace("best.png", draw(best).save)
        summary = summary_of(recorder, self.evaluator)
        self.folder.write(SUMMARY, summary)
        return summary

    def _choose(self, driver: Driver, recorder: Recorder) -> None:
        """Has an agent that does so name the architecture that it ends with."""
        chosen = driver.choose()
        if chosen is not None and chosen[1].status == "ok":
            architecture, evaluation = chosen
            recorder.choose(architecture, evaluation, self.env.reward(evaluation))

    def final_is_outdated(self, summary: Mapping[str, Any]) -> bool:
        """Whether the final training was done, but otherwise than it is asked for now."""
        done = summary["final"]
        if done is None or self.final is None:
            return False
        return not same_json(done.get("training"), asdict(self.final))

    def finish(
        self, progress: Progress, summary: dict[str, Any], on_final_epoch: OnFinalEpoch
    ) -> SearchResult:
        """Trains the best architecture to the end, unless that is done, or was not asked for.

        If it was done otherwise, it is done again. What there is of it, ``settings.json`` included,
        stands until the new one has ended, and stays where that is interrupted or fails.
        """
        best, final, failure = progress.best_architecture, None, ""
        stopped_by: StopReason = summary["stopped_by"]
        finished_before = progress.resumed == progress.episodes > 0
        if best is not None and self.final is not None and self._final_is_left(summary):
            try:
                final = _train_best(best, self.evaluator, self.final, on_final_epoch)
                summary = {**summary, "final": None, "test_accuracy": None}
                self._keep(final, summary)
            except KeyboardInterrupt:
                final, stopped_by = None, "interrupted"
            except (Diverged, MemoryError, RuntimeError) as error:
                stands = "; the earlier one stands" if summary["final"] else ""
                failure = f"{type(error).__name__}: {error}{stands}"
            if summary["final"] is None or stopped_by != "interrupted":
                summary = {**summary, "stopped_by": stopped_by}
                summary = with_final(summary, final, self.final, failure, progress.seconds)
                self.folder.write(SUMMARY, summary)
        return SearchResult(self.folder.path, stopped_by, progress, final, summary, finished_before)

    def _final_is_left(self, summary: Mapping[str, Any]) -> bool:
        """Whether a search has come to its end, and its final training, as asked for, has not."""
        if summary["stopped_by"] in UNFINISHED:
            return False
        return summary["final"] is None or self.final_is_outdated(summary)

    def _keep(self, final: FinalResult, without: Mapping[str, Any]) -> None:
        """Puts a final training in the place of an earlier one.

        Args:
            final: Its result.
            without: The summary without it, which holds for a process that dies meanwhile.
        """
        self.folder.write(SUMMARY, without)
        self.folder.remove(WEIGHTS)
        self.folder.write(SETTINGS, self.record())
        weights = final.network.state_dict()
        self.folder.replace(WEIGHTS, lambda part: torch.save(weights, part))


def _progress_of(folder: RunFolder) -> Progress:
    """How a search stands of which nothing but its records is at hand."""
    progress = Progress()
    for number, episode in enumerate(folder.recorded, start=1):
        with reading_line(folder.path / EPISODES, number):
            progress.add(episode)
        progress.resumed += 1
    best = folder.read(BEST)
    if best is not None:  # an agent may have chosen another than the best of its episodes
        try:
            progress.best_architecture = Architecture.from_dict(best)
        except InvalidArchitecture as error:
            raise broken(folder.path / BEST, f"is no architecture: {error}") from error
    return progress


def _train_best(
    architecture: Architecture,
    trainer: Trainer | WeightSharing,
    settings: TrainingSettings,
    on_epoch: Callable[[int, int], None],
) -> FinalResult:
    """The final training, on the search's data set and device."""
    return train_final(
        architecture,
        trainer.dataset,
        settings,
        str(trainer.device),
        lambda epoch: on_epoch(epoch, settings.epochs),
    )
