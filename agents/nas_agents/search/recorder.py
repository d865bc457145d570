"""What is written down while an agent acts, and when its search is over."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from nas_agents.search.run_folder import RunFolder
from nas_agents.search.settings import SearchSettings
from nas_gym import Architecture, Evaluation
from nas_gym.errors import NASGymError

RECORDED = (
    *("accuracy", "status", "cached", "seconds", "parameters", "multiply_adds", "latency"),
    "message",
)
"""What ``episodes.jsonl`` takes from an `Evaluation`."""
StopReason = Literal[
    "episodes", "seconds", "target_accuracy", "failures", "diverged", "interrupted"
]
UNFINISHED: tuple[StopReason, ...] = ("failures", "diverged", "interrupted")
"""Those after which nothing is chosen, and nothing trained to the end."""


class NotReproduced(NASGymError):
    """An agent that is resumed does not do what it is recorded to have done."""


class SearchOver(Exception):
    """Raised within the agent's step, when the budget is spent."""


@dataclass
class Progress:
    """How a search stands; what a display needs."""

    episodes: int = 0
    resumed: int = 0
    """How many of these an earlier process recorded."""
    started: float = field(default_factory=time.perf_counter)
    best_reward: float = float("-inf")
    best_accuracy: float = 0.0
    best_episode: int | None = None
    best_architecture: Architecture | None = None
    best_evaluation: dict[str, Any] = field(default_factory=dict)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    """Accuracies of the last ten children."""
    statuses: Counter[str] = field(default_factory=Counter)
    made: int = 0
    """Evaluations really made; the others were answered from memory, or from the store."""
    training_seconds: float = 0.0
    """Seconds of training in the evaluations made."""
    failures_in_a_row: int = 0
    """The last evaluations made, as far as all of them failed."""
    last_failure: str = ""

    @property
    def seconds(self) -> float:
        """Since the search started; of a resumed one, what its processes spent together.

        What a process that was killed did after its last episode does not count.
        """
        return time.perf_counter() - self.started

    @property
    def recent_accuracy(self) -> float:
        """Mean accuracy of the last ten children."""
        return sum(self.recent) / len(self.recent) if self.recent else 0.0

    @property
    def failed(self) -> int:
        """Children that failed."""
        return self.episodes - self.statuses["ok"]

    def add(self, record: Mapping[str, Any]) -> bool:
        """Counts an episode, given as its line in ``episodes.jsonl``; whether it is the best."""
        self.started = time.perf_counter() - record["elapsed"]
        self.episodes += 1
        self.recent.append(record["accuracy"])
        self.statuses[record["status"]] += 1
        if not record["cached"]:
            self.made += 1
            self.training_seconds += record["seconds"]
        if record["status"] == "ok":
            self.failures_in_a_row = 0
        elif not record["cached"]:
            self.failures_in_a_row += 1
            self.last_failure = f"{record['status']}: {record['message'] or 'no message'}"
        if record["status"] != "ok" or record["reward"] <= self.best_reward:
            return False
        self.best_reward, self.best_accuracy = record["reward"], record["accuracy"]
        self.best_episode = self.episodes
        self.best_architecture = Architecture.from_json(record["architecture"])
        self.best_evaluation = {name: record[name] for name in RECORDED}
        return True

    def limit_reached(self, settings: SearchSettings) -> StopReason | None:
        """Why the search ends after the episode that was added last; None if it goes on."""
        if settings.target_accuracy and self.recent[-1] >= settings.target_accuracy:
            return "target_accuracy"
        if settings.episodes and self.episodes >= settings.episodes:
            return "episodes"
        if settings.seconds and self.seconds >= settings.seconds:
            return "seconds"
        if self.failures_in_a_row >= settings.max_failures:
            return "failures"
        return None


class Recorder:
    """Writes every finished episode down, in order, and says when the search is over.

    What an earlier process recorded is taken over: the agent, which starts anew, has to come to the
    same architectures and rewards, until there is more than was recorded.
    """

    def __init__(
        self,
        folder: RunFolder,
        settings: SearchSettings,
        on_episode: Callable[[Progress], None],
    ) -> None:
        self.folder, self.settings, self.on_episode = folder, settings, on_episode
        self.progress = Progress()
        self.stopped_by: StopReason | None = None
        self.earlier = folder.recorded
        """What there is to take over, one line of ``episodes.jsonl`` each."""

    @property
    def replaying(self) -> bool:
        """Whether the next episode is one that an earlier process recorded."""
        return self.progress.episodes < len(self.earlier)

    @property
    def over(self) -> bool:
        """Whether a limit is reached, and all that there is to take over was."""
        return self.stopped_by is not None and not self.replaying

    def add(
        self,
        architecture: str,
        reward: float,
        evaluation: Mapping[str, Any],
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Records an episode.

        Args:
            architecture: As canonical JSON.
            reward: What the agent is told.
            evaluation: The record of an `Evaluation`.
            more: What else its line in ``episodes.jsonl`` has.

        Raises:
            NotReproduced: an earlier process recorded another episode in its place.
            InvalidRunFolder: it cannot be written.
        """
        progress = self.progress
        record = {
            "episode": progress.episodes + 1,
            **(more or {}),
            "architecture": architecture,
            "reward": reward,
            **{name: evaluation[name] for name in RECORDED},
            "elapsed": progress.seconds,
        }
        replayed = self.replaying
        if replayed:
            earlier = self.earlier[progress.episodes]
            self._check(earlier, record)
            record, progress.resumed = earlier, progress.resumed + 1
        else:
            self.folder.add_episode(record)
        if progress.add(record) and not self.replaying:
            self._write_best()
        self.stopped_by = self.stopped_by or progress.limit_reached(self.settings)
        if not replayed:
            self.on_episode(progress)
        elif not self.replaying:  # it may be that the earlier process had no time to
            self._write_best()

    def choose(self, architecture: Architecture, evaluation: Evaluation, reward: float) -> None:
        """Has an architecture be the best, whatever the episodes were worth.

        Args:
            architecture: What the agent ends with.
            evaluation: Its own, by which the agent chose it.
            reward: Of this evaluation.
        """
        progress, record = self.progress, evaluation.to_dict()
        progress.best_architecture, progress.best_episode = architecture, None
        progress.best_reward, progress.best_accuracy = reward, evaluation.accuracy
        progress.best_evaluation = {name: record[name] for name in RECORDED}
        self._write_best()

    def _write_best(self) -> None:
        if self.progress.best_architecture is not None:
            self.folder.write("best.json", self.progress.best_architecture.to_dict())

    def _check(self, earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        """Raises `NotReproduced` unless an episode is the one that was recorded."""
        for name in ("architecture", "reward"):
            if earlier[name] != now[name]:
                raise NotReproduced(
                    f"run: {self.folder.path} cannot be resumed: episode {now['episode']} has the "
                    f"{name} {now[name]!r} now, and {earlier[name]!r} is recorded. The agent, the "
                    "environment or the training is not the same, or depends on more than its "
                    "seed. Nothing was changed; start another run, with --store to use what was "
                    "evaluated"
                )


class RecordingVecEnv(VecEnvWrapper):
    """Has every finished episode recorded, and ends the search when the budget is spent.

    It is a wrapper and no callback, since not every algorithm heeds what a callback returns, or
    shows it the finished episodes: ARS does neither.

    Args:
        venv: The environments, in lock-step.
        on_step: Called after a step in which episodes ended, if the search goes on.
    """

    def __init__(self, venv: VecEnv, on_step: Callable[[], None] = lambda: None) -> None:
        super().__init__(venv)
        self.on_step = on_step
        self.recorder: Recorder | None = None
        """Given once the agent could be made."""
        self.designed: deque[str] = deque(maxlen=10)
        """The last architectures, as canonical JSON."""

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        if dones.any():
            assert self.recorder is not None
            for done, info in zip(dones, infos, strict=True):
                if done:
                    reward = float(info["episode"]["r"])
                    self.designed.append(info["architecture"])
                    self.recorder.add(info["architecture"], reward, info["evaluation"])
            if self.recorder.over:
                raise SearchOver
            self.on_step()
        return observations, rewards, dones, infos


class ProgressLog(BaseCallback):
    """Adds how the search stands to the agent's own logs."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def _on_step(self) -> bool:
        self.logger.record("search/best_accuracy", self.progress.best_accuracy)
        self.logger.record("search/recent_accuracy", self.progress.recent_accuracy)
        return True
