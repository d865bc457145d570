"""A search run: an agent in an environment, its records, its stop rules, and the final training."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from gymnasium.vector import AutoresetMode

import nas_gym
from nas_agents.agents import agent_arguments, agent_entry, load_algorithm, make_agent
from nas_agents.recorder import Progress, ProgressLog, Recorder, SearchOver, StopReason
from nas_agents.registry import Plan
from nas_agents.run_folder import RunFolder, default_run_folder
from nas_gym import Architecture, Evaluator, NASEnv
from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.evaluation.settings import TrainingSettings
from nas_gym.evaluation.table import Table
from nas_gym.evaluation.training import Diverged, FinalResult, Trainer, train_final
from nas_gym.rendering import draw
from nas_gym.sb3 import NASVecEnv
from nas_gym.vector_env import NASVectorEnv

FOREVER = 10**9


@dataclass(frozen=True)
class SearchSettings:
    """What to search, with what, for how long.

    Raises:
        InvalidSettings: a value is out of its range, or nothing would ever stop the search.
    """

    env_id: str
    agent: str = "ppo"
    episodes: int | None = 60
    """Stop after so many children."""
    seconds: float | None = None
    """Stop after the first child that ends later than this."""
    target_accuracy: float | None = None
    """Stop at the first child whose validation accuracy reaches this, in [0, 1]."""
    envs: int = 1
    """How many networks are designed, and then evaluated, at a time. The search ends after the
    batch in which a limit is reached."""
    seed: int = 0
    """Of the agent's draws and of the children's training."""
    env_arguments: Mapping[str, Any] = field(default_factory=dict)
    agent_arguments: Mapping[str, Any] = field(default_factory=dict)
    final_arguments: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `TrainingSettings` and of the network's settings, for the final training; see
    `final_settings` for what holds otherwise."""
    final: bool = True
    """Whether the best architecture is trained to the end and tested."""

    def __post_init__(self) -> None:
        budget = (self.episodes, self.seconds, self.target_accuracy)
        require(
            any(limit is not None for limit in budget),
            "nothing would stop the search; give --episodes, --seconds or --target-accuracy",
        )
        for name, limit in zip(("episodes", "seconds"), budget, strict=False):
            require(limit is None or limit > 0, f"{name}: expected more than 0, got {limit}")
        target = self.target_accuracy
        require(
            target is None or 0 < target <= 1,
            f"target_accuracy: expected a number in (0, 1], got {target}",
        )
        require(self.envs >= 1, f"envs: expected at least 1, got {self.envs}")
        require(self.seed >= 0, f"seed: expected at least 0, got {self.seed}")


@dataclass(frozen=True)
class SearchResult:
    """What a search found."""

    run: Path
    stopped_by: StopReason
    progress: Progress
    final: FinalResult | None
    """None where there was no final training, or it failed."""
    summary: dict[str, Any]


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
    arguments = {"seed": settings.seed, **settings.env_arguments}
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


def final_settings(settings: TrainingSettings, given: Mapping[str, Any]) -> TrainingSettings:
    """The settings of the final training: a child's, for longer and in a wider network.

    Args:
        settings: A child's.
        given: Fields of these settings, or of the network's, that the user gave. Otherwise the
            final training takes ten times a child's epochs, at least 25, and twice its filters
            (`NetworkSettings.width_setting`).

    Raises:
        InvalidSettings: a name or a value is not valid.
    """
    of_network = asdict(settings.network) if settings.network else {}
    defaults = {"epochs": max(25, 10 * settings.epochs)}
    if settings.network is not None:
        width = settings.network.width_setting
        defaults |= {width: 2 * of_network[width]} if width in of_network else {}
    given = {**defaults, **given}
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
    on_episode: Callable[[Progress], None] = lambda progress: None,
    on_final_epoch: Callable[[int, int], None] = lambda epoch, epochs: None,
) -> SearchResult:
    """Searches, trains the best architecture to the end, and leaves a run folder.

    Ctrl-C (KeyboardInterrupt) ends the search after what it has recorded, without final training.

    Args:
        settings: What to search, with what, for how long.
        run: The run folder; default: `default_run_folder`.
        on_episode: Called after each child.
        on_final_epoch: Called with (epochs done, epochs in all) during the final training.

    Raises:
        NASGymError: something in the settings is wrong; raised before anything is trained.
    """
    load_algorithm(agent_entry(settings.agent))  # before the data set is loaded
    env = make_env(settings)
    trainer = env.evaluator.evaluator
    final = None
    if settings.final and isinstance(trainer, Trainer):
        final = final_settings(trainer.settings, settings.final_arguments)
    path = run or default_run_folder(settings.env_id, settings.agent)
    plan = Plan(env.decisions, settings.episodes or FOREVER, settings.envs)
    arguments = agent_arguments(settings.agent, plan, settings.agent_arguments)
    progress = Progress()
    recorder = Recorder(_vec_env(env, settings.envs), settings, progress, on_episode)
    logs = str(path / "tensorboard") if importlib.util.find_spec("tensorboard") else None
    agent = make_agent(settings.agent, recorder, arguments, settings.seed, logs, wrap=True)
    recorder.folder = folder = RunFolder(path)
    folder.write("settings.json", _settings_record(settings, arguments, trainer, final))
    result, failure = None, ""
    try:
        try:
            with suppress(SearchOver):  # a limit was reached
                agent.learn(plan.episodes * plan.decisions, callback=ProgressLog(progress))
        except KeyboardInterrupt:
            recorder.stopped_by = "interrupted"
        agent.save(folder.path / "checkpoint" / "agent.zip")
        searched = progress.seconds
        best = progress.best_architecture
        if best is not None:
            draw(best).save(folder.path / "best.png")
        if best is not None and final is not None and recorder.stopped_by != "interrupted":
            assert isinstance(trainer, Trainer)
            try:
                result = _train_best(best, trainer, final, on_final_epoch)
                torch.save(result.network.state_dict(), folder.path / "best_weights.pt")
            except KeyboardInterrupt:
                recorder.stopped_by = "interrupted"
            except (Diverged, MemoryError, RuntimeError) as error:
                failure = f"{type(error).__name__}: {error}"
        summary = _summary(env, recorder, searched, result, failure)
        folder.write("summary.json", summary)
    finally:
        folder.close()
        env.close()
    return SearchResult(folder.path, recorder.stopped_by or "episodes", progress, result, summary)


def _settings_record(
    settings: SearchSettings,
    arguments: Mapping[str, Any],
    evaluator: Evaluator,
    final: TrainingSettings | None,
) -> dict[str, Any]:
    """What ``settings.json`` holds: what was asked for, and what it came to."""
    record = {"nas_gym": nas_gym.__version__, "torch": torch.__version__, **asdict(settings)}
    record["agent_made_with"] = arguments
    if isinstance(evaluator, Trainer):
        record["device"] = str(evaluator.device)
        record["training"] = asdict(evaluator.settings)
        record["final_training"] = final and asdict(final)
    return record


def _vec_env(env: NASEnv, number: int) -> NASVecEnv:
    """So many episodes of an environment in lock-step."""
    mode = AutoresetMode.SAME_STEP
    return NASVecEnv(
        NASVectorEnv(env.search_space, env.evaluator, number, env.reward, autoreset_mode=mode)
    )


def _train_best(
    architecture: Architecture,
    trainer: Trainer,
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


def _summary(
    env: NASEnv,
    recorder: Recorder,
    search_seconds: float,
    final: FinalResult | None,
    failure: str,
) -> dict[str, Any]:
    """What ``summary.json`` holds."""
    progress = recorder.progress
    best = None
    if progress.best_architecture is not None:
        best = {
            "episode": progress.best_episode,
            "key": progress.best_architecture.key,
            "reward": progress.best_reward,
            "validation_accuracy": progress.best_accuracy,
            "parameters": progress.best_evaluation["parameters"],
            "multiply_adds": progress.best_evaluation["multiply_adds"],
            "latency": progress.best_evaluation["latency"],
        }
    return {
        "stopped_by": recorder.stopped_by or "episodes",
        "episodes": progress.episodes,
        "evaluations": asdict(env.budget),
        "statuses": dict(progress.statuses),
        "best": best,
        "final": final
        and {
            "test_accuracy": final.test_accuracy,
            "parameters": final.parameters,
            "epochs": final.epochs,
            "seconds": final.seconds,
        },
        "final_failure": failure,
        "test_accuracy": final.test_accuracy if final else _recorded_test_accuracy(env, progress),
        "search_seconds": search_seconds,
        "seconds": progress.seconds,
    }


def _recorded_test_accuracy(env: NASEnv, progress: Progress) -> float | None:
    """The best architecture's test accuracy in a recorded benchmark, which no agent was given."""
    table, best = env.evaluator.evaluator, progress.best_architecture
    if best is None or not isinstance(table, Table):
        return None
    accuracy = table.test_accuracy(best)
    return None if math.isnan(accuracy) else accuracy
