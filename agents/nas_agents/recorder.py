"""What is written down while an agent acts, and when its search is over."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from nas_agents.run_folder import RunFolder
from nas_gym import Architecture

if TYPE_CHECKING:
    from nas_agents.search import SearchSettings

RECORDED = ("accuracy", "status", "cached", "seconds", "parameters", "latency", "message")
"""What ``episodes.jsonl`` takes from an `Evaluation`."""
StopReason = Literal["episodes", "seconds", "target_accuracy", "interrupted"]


@dataclass
class Progress:
    """How a search stands; what a display needs."""

    episodes: int = 0
    started: float = field(default_factory=time.perf_counter)
    best_reward: float = float("-inf")
    best_accuracy: float = 0.0
    best_episode: int | None = None
    best_architecture: Architecture | None = None
    best_evaluation: dict[str, Any] = field(default_factory=dict)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=10))
    """Accuracies of the last ten children."""
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def seconds(self) -> float:
        """Since the search started."""
        return time.perf_counter() - self.started

    @property
    def recent_accuracy(self) -> float:
        """Mean accuracy of the last ten children."""
        return sum(self.recent) / len(self.recent) if self.recent else 0.0


class SearchOver(Exception):
    """Raised within the agent's step, when the budget is spent."""


class Recorder(VecEnvWrapper):
    """Writes every finished episode down, and ends the search when the budget is spent.

    It is a wrapper and no callback, since not every algorithm heeds what a callback returns, or
    shows it the finished episodes: ARS does neither.
    """

    def __init__(
        self,
        venv: VecEnv,
        settings: SearchSettings,
        progress: Progress,
        on_episode: Callable[[Progress], None],
    ) -> None:
        super().__init__(venv)
        self.settings, self.progress, self.on_episode = settings, progress, on_episode
        self.folder: RunFolder | None = None
        """Where to; given once the agent could be made."""
        self.stopped_by: StopReason | None = None

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        for done, info in zip(dones, infos, strict=True):
            if done:
                self._add(info, float(info["episode"]["r"]))
        if self.stopped_by is not None:
            raise SearchOver
        return observations, rewards, dones, infos

    def _add(self, info: Mapping[str, Any], reward: float) -> None:
        """Records an episode."""
        assert self.folder is not None
        progress, evaluation = self.progress, info["evaluation"]
        progress.episodes += 1
        progress.recent.append(evaluation["accuracy"])
        progress.statuses[evaluation["status"]] += 1
        self.folder.add_episode(
            {
                "episode": progress.episodes,
                "architecture": info["architecture"],
                "reward": reward,
                **{name: evaluation[name] for name in RECORDED},
            }
        )
        if evaluation["status"] == "ok" and reward > progress.best_reward:
            progress.best_reward = reward
            progress.best_accuracy = evaluation["accuracy"]
            progress.best_episode = progress.episodes
            progress.best_architecture = Architecture.from_json(info["architecture"])
            progress.best_evaluation = evaluation
            self.folder.write("best.json", progress.best_architecture.to_dict())
        self.on_episode(progress)
        self.stopped_by = self.stopped_by or self._limit_reached(evaluation)

    def _limit_reached(self, evaluation: Mapping[str, Any]) -> StopReason | None:
        settings, progress = self.settings, self.progress
        if settings.target_accuracy and evaluation["accuracy"] >= settings.target_accuracy:
            return "target_accuracy"
        if settings.episodes and progress.episodes >= settings.episodes:
            return "episodes"
        if settings.seconds and progress.seconds >= settings.seconds:
            return "seconds"
        return None


class ProgressLog(BaseCallback):
    """Adds how the search stands to the agent's own logs."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress

    def _on_step(self) -> bool:
        self.logger.record("search/best_accuracy", self.progress.best_accuracy)
        self.logger.record("search/recent_accuracy", self.progress.recent_accuracy)
        return True
