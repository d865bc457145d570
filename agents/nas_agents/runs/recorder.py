"""Writes down what an agent does, and ends its search."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from nas_agents.runs.callbacks import Callback, Child, Update, entropy_of
from nas_agents.runs.progress import FROM_EVALUATION, Progress, StopReason, first_of, reached
from nas_agents.runs.reading import (
    BEST,
    EPISODES,
    SETTINGS,
    UPDATES,
    read_episodes,
    reading_line,
)
from nas_agents.runs.run_folder import RunFolder
from nas_agents.runs.settings import SearchSettings
from nas_gym import Architecture, Evaluation
from nas_gym.errors import NASGymError
from nas_gym.objectives import Objectives
from nas_gym.pareto import Front
from nas_gym.sb3 import NASVecEnv
from nas_gym.search_spaces import Choices


class NotReproduced(NASGymError):
    """An agent that is resumed does not do what it is recorded to have done."""


class SearchOver(Exception):
    """Raised within the agent's step, when a limit is reached."""


class Recorder:
    """Writes every finished episode down, in order, and says when the search is over.

    Episodes of an earlier process are taken over. The agent goes on from its last checkpoint, or
    starts again, and repeats those that came after. Where one comes out otherwise, all stand as
    they are recorded, and what the agent does from then on comes after them. Until there is more
    than was recorded, the folder is not written to.

    Args:
        folder: The run's folder.
        limits: The limits that end the search.
        callback: Called after each child, and each update, that no earlier process recorded.
        record: The content of ``settings.json``.
        objectives: The objectives whose front is kept, if there are several.
        verify: Repeat all episodes from the beginning, and raise where one comes out otherwise.
        ended_by: The reason why the search ended after the episodes of an earlier process, if it
            did: a limit of time need not show in them.
    """

    def __init__(
        self,
        folder: RunFolder,
        limits: SearchSettings,
        callback: Callback,
        record: Mapping[str, Any],
        objectives: Objectives | None = None,
        verify: bool = False,
        ended_by: StopReason | None = None,
    ) -> None:
        self.folder, self.limits, self.callback = folder, limits, callback
        self.verify, self._ended_by = verify, ended_by
        front = Front(objectives) if objectives else None
        self.progress = Progress(front=front, repeats_are_free=limits.repeats_are_free)
        self.stopped_by: StopReason | None = None
        self.earlier = folder.recorded
        """The lines of ``episodes.jsonl`` that an earlier process recorded."""
        self.writes = False
        """True once the folder is written to."""
        self._record = record
        self._rewards: list[float] = []  # of the children since the last update
        self._updates = 0
        file = folder.path / UPDATES
        updates = read_episodes(file, {"number": (int,)}) if file.exists() else []
        self._updates_earlier = int(updates[-1]["number"]) if updates else 0
        self._updates_missed: list[Update] = []  # of a process that died just before it wrote them
        self._digest = hashlib.sha256()
        if not folder.resumed:
            self.start()

    def start(self, *episode: dict[str, Any]) -> None:
        """Write to the folder from now on; until then, that of an earlier process is unchanged.

        What was asked for now is written down after the first ``episode`` that follows from it.
        """
        if not self.writes:
            self.folder.start()
        for each in episode:
            self.folder.add_episode(each)
        if not self.writes:
            self.folder.write(SETTINGS, self._record)
            self.writes = True
            self._write_best()  # the earlier process may have had no time to
            for update in self._updates_missed:
                self._add_update(update)

    @property
    def replaying(self) -> bool:
        """True if the next episode is one that an earlier process recorded."""
        return self.progress.episodes < len(self.earlier)

    @property
    def over(self) -> bool:
        """True if a limit is reached, and all recorded episodes are taken over."""
        return self.stopped_by is not None and not self.replaying

    def add(
        self,
        architecture: str,
        choices: Choices,
        reward: Any,
        evaluation: Mapping[str, Any],
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """Record an episode.

        ``architecture`` is canonical JSON, which ``choices`` mean, (T,) int64. The reward is a
        number, or the list of a vector reward. ``more`` are further fields of its line in
        ``episodes.jsonl``. Where it is to be verified, and an earlier process recorded another in
        its place, it raises `NotReproduced`. Where the recorded ones stand instead, and reach a
        limit, it raises `SearchOver`. A number that is not finite raises `InvalidSettings`.
        """
        if self.replaying:
            self._compare({"architecture": architecture, "reward": reward})
            if self.over:
                raise SearchOver
        progress, new = self.progress, not self.replaying
        record = {
            "episode": progress.episodes + 1,
            **(more or {}),
            **{"architecture": architecture, "choices": choices.tolist(), "reward": reward},
            **{name: evaluation[name] for name in FROM_EVALUATION},
            "elapsed": progress.seconds,
        }
        if new:
            self.start(record)
        else:
            record = self.earlier[progress.episodes]
            progress.resumed += 1
        is_best = self._count(record)
        if is_best and new:
            self._write_best()
        self._rewards.append(first_of(reward))
        if new:
            made = Evaluation(**{**evaluation, "curve": tuple(evaluation["curve"])})
            design, number = Architecture.from_json(architecture), progress.episodes
            child = Child(number, design, choices, reward, made, is_best, progress)
            self.callback.on_child(child)

    def update(self, logs: Mapping[str, float]) -> None:
        """Record an update of the agent, with what it logs, if children were evaluated since."""
        rewards, self._rewards = self._rewards, []
        if not rewards:
            return
        self._updates += 1
        reward, children = sum(rewards) / len(rewards), self.progress.episodes
        update = Update(self._updates, children, reward, entropy_of(logs), dict(logs))
        if self.writes:
            self._add_update(update)
        elif update.number > self._updates_earlier:
            self._updates_missed.append(update)

    def _add_update(self, update: Update) -> None:
        self.folder.add_update(asdict(update))
        self.callback.on_update(update)

    def choose(
        self,
        architecture: Architecture,
        reward: Any,
        evaluation: Mapping[str, Any],
        episode: int | None = None,
    ) -> None:
        """Make an architecture the best, by an evaluation's record; see `Progress.choose`."""
        self.progress.choose(architecture, reward, evaluation, episode)
        self._write_best()

    def _count(self, record: Mapping[str, Any]) -> bool:
        """Add a line of ``episodes.jsonl`` to the progress; return True if it is the best."""
        _add_to(self._digest, record)
        is_best = self.progress.add(record)
        self.stopped_by = self.stopped_by or reached(self.limits, self.progress)
        if not self.replaying:
            self.stopped_by = self.stopped_by or self._ended_by
        return is_best

    def place(self) -> dict[str, Any]:
        """Return the place in the record, for a checkpoint."""
        numbers = {"episodes": self.progress.episodes, "updates": self._updates}
        return {**numbers, "rewards": list(self._rewards), "digest": self._digest.hexdigest()}

    def fits(self, place: Mapping[str, Any]) -> bool:
        """Return True if the record has the episodes that a checkpoint follows from."""
        digest = hashlib.sha256()
        for line in self.earlier[: place["episodes"]]:
            _add_to(digest, line)
        return bool(digest.hexdigest() == place["digest"])

    def go_on_from(self, place: Mapping[str, Any]) -> None:
        """Take over what is recorded up to a `place`."""
        self._take_over(place["episodes"])
        self._updates, self._rewards = place["updates"], list(place["rewards"])

    def go_on_after_all(self) -> None:
        """Take over all that is recorded: the agent has come to something else.

        Raises:
            NotReproduced: it was to be verified.
        """
        number = self.progress.episodes + 1
        if self.verify:
            raise NotReproduced(
                f"run: episode {number} of {self.folder.path} has another architecture, or another "
                "proposal, now. The agent, the environment or the machine is not the same, or "
                f"{EPISODES} was changed. Nothing was changed; --resume goes on all the same"
            )
        self._take_over(len(self.earlier))
        self._updates = max(self._updates, self._updates_earlier)
        self.callback.on_notice(
            f"episode {number} comes out otherwise than it is recorded, as with other threads or "
            f"on another machine; the {len(self.earlier):,} recorded ones stand, and the search "
            "goes on after them"
        )

    def _take_over(self, episodes: int) -> None:
        for number in range(self.progress.episodes + 1, episodes + 1):
            with reading_line(self.folder.path / EPISODES, number):
                self._count(self.earlier[number - 1])
            self.progress.resumed += 1

    def _compare(self, now: Mapping[str, Any]) -> None:
        """Compare the next episode with the recorded one in its place."""
        earlier = self.earlier[self.progress.episodes]
        name = next((each for each in now if earlier[each] != now[each]), None)
        if name is not None and self.verify:
            raise NotReproduced(
                f"run: episode {self.progress.episodes + 1} of {self.folder.path} has the "
                f"{name} {now[name]!r} now, and {earlier[name]!r} is recorded. The agent, the "
                "environment or the machine is not the same, or the result depends on more "
                "than the seed. Nothing was changed; --resume goes on all the same"
            )
        if name is not None:
            self.go_on_after_all()

    def _write_best(self) -> None:
        if self.progress.best_architecture is not None:
            self.folder.write(BEST, self.progress.best_architecture.to_dict())


def _add_to(digest: Any, line: Mapping[str, Any]) -> None:
    digest.update(json.dumps([line["architecture"], line["reward"]]).encode())


class RecordingVecEnv(VecEnvWrapper):
    """Records every finished episode, and ends the search when a limit is reached.

    It is a wrapper and no callback, since not every algorithm obeys what a callback returns, or
    shows it the finished episodes: ARS does neither. ``on_step`` is called after a step in which
    episodes ended, if the search goes on.
    """

    def __init__(self, venv: NASVecEnv, on_step: Callable[[], None] = lambda: None) -> None:
        super().__init__(venv)
        self.on_step, self._vector = on_step, venv.venv
        self.recorder: Recorder | None = None
        """Given once the agent could be made."""
        self.designed: deque[str] = deque(maxlen=10)
        """The last architectures, as canonical JSON."""

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        if dones.any():
            finished = self._vector.finished
            assert self.recorder is not None
            assert finished is not None
            for index in np.flatnonzero(dones).tolist():
                info = infos[index]
                architecture, reward = info["architecture"], info["episode"]["r"]
                self.designed.append(architecture)
                choices = finished.choices[index]
                self.recorder.add(architecture, choices, reward, info["evaluation"])
            if self.recorder.over:
                raise SearchOver
            self.on_step()
        return observations, rewards, dones, infos
