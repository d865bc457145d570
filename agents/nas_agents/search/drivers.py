"""How an agent is made to search: in lock-step with its environments, or asynchronously."""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.callbacks import BaseCallback

from nas_agents.catalogue.entries import Plan, episodes_an_epoch
from nas_agents.catalogue.making import agent_entry, load_strategy, make_agent, make_strategy
from nas_agents.controllers.enas import ENAS
from nas_agents.controllers.shared_weights import TrainSharedWeights, best_by_shared_weights
from nas_agents.search.asynchronous import AsynchronousSearch
from nas_agents.search.recorder import ProgressLog, Recorder, RecordingVecEnv, SearchOver
from nas_agents.search.run_folder import RunFolder
from nas_agents.search.settings import SearchSettings
from nas_gym import Architecture, Evaluation, NASEnv
from nas_gym.errors import require
from nas_gym.sb3 import NASVecEnv
from nas_gym.training.inheritance import load_weights
from nas_gym.vector_env import NASVectorEnv
from nas_gym.weight_sharing.evaluator import WeightSharing

FOREVER = 10**9
"""As many episodes as a search plans that time or accuracy ends."""
CHECKPOINT = "checkpoint/agent.zip"
SHARED_WEIGHTS = "checkpoint/shared_weights.pt"
SHARED_RECORD = ("status", "accuracy", "seconds", "parameters", "message")
"""What an evaluation under shared weights has of its line in ``episodes.jsonl``."""
EVERY = 60.0
"""Seconds from one checkpoint to the next, at least."""
SHARE = 0.01
"""The share of the time that checkpoints may take."""


class Driver(Protocol):
    """What makes an agent search."""

    def run(self, recorder: Recorder) -> None:
        """Searches until it is over, from what is recorded on.

        Raises:
            SearchOver: a limit is reached.
        """

    def choose(self) -> tuple[Architecture, Evaluation] | None:
        """What the agent ends with, if that is not the best of its episodes."""

    def save(self, folder: RunFolder) -> None:
        """Saves the agent, if it can be saved, in the run's folder."""


def make_driver(
    settings: SearchSettings,
    env: NASEnv,
    plan: Plan,
    arguments: Mapping[str, Any],
    logs: Path,
) -> Driver:
    """What makes the agent of a search act: a `Strategy` by itself, unless its proposals are to be
    evaluated several at a time in lock-step; any other in an environment.

    Args:
        settings: The search's.
        env: The environment.
        plan: What the agent's defaults follow from.
        arguments: What the agent is made with.
        logs: The folder of its TensorBoard logs.

    Raises:
        InvalidSettings: the agent does not suit the environment, or refuses its arguments.
    """
    if is_asynchronous(settings, env):
        made = make_strategy(settings.agent, env.search_space, arguments, settings.seed)
        return AsynchronousSearch(made, env)
    return LockStepSearch(settings, env, plan, arguments, logs)


def is_asynchronous(settings: SearchSettings, env: NASEnv) -> bool:
    """Return True for a `Strategy` whose children are evaluated one by one, as workers get free."""
    shared = isinstance(env.memory.evaluator, WeightSharing)  # trained between the episodes
    strategy = load_strategy(agent_entry(settings.agent))
    return strategy is not None and settings.envs == 1 and not shared


def check_workers(settings: SearchSettings, env: NASEnv) -> None:
    """Raise `InvalidSettings` for more workers than an agent in lock-step has children for."""
    workers = settings.workers or 1
    if is_asynchronous(settings, env):
        return
    require(
        workers <= settings.envs,
        f"workers: {settings.agent} designs {settings.envs} network(s) at a time (--envs), of "
        f"which {workers} workers would not all have one; give --envs {2 * workers}, for instance",
    )


class LockStepSearch:
    """A Stable-Baselines3 agent in N environments, whose networks are evaluated as one batch.

    Where the networks share weights, these are trained for an epoch now and then, on children that
    the agent draws (`TrainSharedWeights`), and the search ends with the one of the last ten that is
    best by all validation images, unless the agent does both by itself, as `ENAS` does.

    The agent is saved from time to time, for the user; a resumed search does not need it. Weights
    that children share are saved with it, and spare a resumed search their training: only those
    from between two steps of the agent, which an interrupted epoch does not leave behind.
    A search whose shared weights diverge is over.

    Args:
        settings: The search's.
        env: The environment.
        plan: What the agent's defaults follow from.
        arguments: What the agent is made with.
        logs: The folder of its TensorBoard logs.

    Raises:
        InvalidSettings: the agent does not suit the environment, or refuses its arguments.
    """

    def __init__(
        self,
        settings: SearchSettings,
        env: NASEnv,
        plan: Plan,
        arguments: Mapping[str, Any],
        logs: Path,
    ) -> None:
        self.envs = RecordingVecEnv(_vec_env(env, settings.envs), self._checkpoint)
        log = str(logs) if importlib.util.find_spec("tensorboard") else None
        self.agent = make_agent(settings.agent, self.envs, arguments, settings.seed, log, wrap=True)
        self.steps = plan.episodes * plan.decisions
        self.evaluator = env.memory
        own = env.memory.evaluator
        self._shared = own if isinstance(own, WeightSharing) else None
        self._callbacks: list[BaseCallback] = []
        if self._shared is not None and not isinstance(self.agent, ENAS):
            self._callbacks.append(TrainSharedWeights(episodes_an_epoch(plan)))
        self._due = 0.0

    def run(self, recorder: Recorder) -> None:
        """See `Driver.run`."""
        self.envs.recorder = recorder
        if self._shared is not None:
            _go_on(self._shared, recorder)
        self._due = time.perf_counter() + EVERY
        callbacks = [*self._callbacks, ProgressLog(recorder.progress)]
        try:
            self.agent.learn(self.steps, callback=callbacks)
        finally:
            if self._diverged:
                recorder.stopped_by = "diverged"

    def choose(self) -> tuple[Architecture, Evaluation] | None:
        """See `Driver.choose`: agents that have a method ``choose`` do so."""
        choose = getattr(self.agent, "choose", None)
        if choose is not None:
            chosen: tuple[Architecture, Evaluation] = choose()
            return chosen
        if self._shared is None or not self.envs.designed:
            return None
        candidates = [Architecture.from_json(text) for text in dict.fromkeys(self.envs.designed)]
        return best_by_shared_weights(self.evaluator, candidates)

    def save(self, folder: RunFolder) -> None:
        """See `Driver.save`."""
        folder.replace(CHECKPOINT, self.agent.save)
        recorder = self.envs.recorder
        if self._shared is None or recorder is None:
            return
        if recorder.stopped_by not in ("interrupted", "diverged"):  # else amid or after an epoch
            state = {"episodes": recorder.progress.episodes, "shared": self._shared.state_dict()}
            folder.replace(SHARED_WEIGHTS, lambda part: torch.save(state, part))

    @property
    def _diverged(self) -> bool:
        """Whether the last epoch of the shared weights ended with a loss that is not finite."""
        history = self._shared.history if self._shared is not None else []
        return bool(history) and not math.isfinite(history[-1].loss)

    def _checkpoint(self) -> None:
        """Saves the agent, if it is time to.

        Raises:
            SearchOver: the shared weights diverged, and the agent, as ARS, heeds no callback.
        """
        if self._diverged:
            raise SearchOver
        started = time.perf_counter()
        recorder = self.envs.recorder
        assert recorder is not None
        if started < self._due or recorder.replaying:
            return
        self.save(recorder.folder)
        ended = time.perf_counter()
        self._due = ended + max(EVERY, (ended - started) / SHARE)


def _go_on(shared: WeightSharing, recorder: Recorder) -> None:
    """Has shared weights go on from where they were saved, if they were.

    What a later process evaluated after that is done again, and checked.
    """
    file = recorder.folder.path / SHARED_WEIGHTS
    if not (recorder.earlier and file.is_file()):
        return
    saved = load_weights(file, "resume")
    made = [
        Evaluation(
            **{name: record[name] for name in SHARED_RECORD},
            curve=(record["accuracy"],) if record["status"] == "ok" else (),
            seed=shared.settings.seed,
            fingerprint=shared.fingerprint,
        )
        for record in recorder.earlier[: saved["episodes"]]
    ]
    if len(made) == saved["episodes"]:
        shared.go_on_from(saved["shared"], made)


def _vec_env(env: NASEnv, number: int) -> NASVecEnv:
    """So many episodes of an environment in lock-step."""
    mode = AutoresetMode.SAME_STEP
    return NASVecEnv(
        NASVectorEnv(env.search_space, env.memory, number, env.reward, autoreset_mode=mode)
    )
