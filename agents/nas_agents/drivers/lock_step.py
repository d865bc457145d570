"""Drives any Stable-Baselines3 agent: in N environments, whose networks are one batch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnvWrapper

from nas_agents.catalogue.agents import Agent
from nas_agents.catalogue.automatic import episodes_an_update, too_few_updates
from nas_agents.catalogue.defaults import Plan, episodes_an_epoch
from nas_agents.controllers.asynchronous import check_batches
from nas_agents.controllers.sharing.enas import ENAS
from nas_agents.controllers.sharing.shared_weights import TrainSharedWeights, best_by_shared_weights
from nas_agents.drivers.checkpoint import Checkpoints, agent_state, restore_agent
from nas_agents.drivers.state import Plain, restore, state_of
from nas_agents.runs.callbacks import PassLogsOn
from nas_agents.runs.progress import FROM_EVALUATION
from nas_agents.runs.reading import SHARED_WEIGHTS, broken
from nas_agents.runs.recorder import Recorder, RecordingVecEnv, SearchOver
from nas_agents.runs.run_folder import RunFolder
from nas_gym import Architecture, Evaluation, NASEnv
from nas_gym.sb3 import NASVecEnv
from nas_gym.training.checkpoint import packed
from nas_gym.vector_env import NASVectorEnv
from nas_gym.weight_sharing.evaluator import WeightSharing

CHECKPOINT = "checkpoint/agent.zip"
EVERY = 60.0
"""Seconds from one checkpoint to the next, at least."""
SHARE = 0.01
"""The share of the time that checkpoints may take."""


def lock_step_env(env: NASEnv, number: int) -> NASVectorEnv:
    """Return as many environments in lock-step as a search's ``env`` is one of."""
    parts = (env.search_space, env.memory, number, env.reward)
    mode = AutoresetMode.SAME_STEP
    return NASVectorEnv(*parts, autoreset_mode=mode, observation=env.observation)


def learning(
    agent: BaseAlgorithm, steps: int, decisions: int, **keywords: Any
) -> Iterator[BaseAlgorithm]:
    """Let an agent learn for the ``steps`` that are planned, and then on, update by update: repeats
    are free, so a search may take more episodes of T ``decisions`` than its plan has.

    What changes over the plan, such as `BaselinePPO`'s weight of the entropy, stays at its end:
    Stable-Baselines3 measures progress by the steps of one call of `learn`, so each further call
    is for one update. Yields the agent after each call.
    """
    yield agent.learn(steps, **keywords)
    n_envs = agent.n_envs
    rounds = math.ceil((episodes_an_update(agent, decisions) or 1) / n_envs)
    while True:
        yield agent.learn(rounds * n_envs * decisions, reset_num_timesteps=False, **keywords)


class LockStepSearch:
    """A Stable-Baselines3 agent in N environments, whose networks are evaluated as one batch.

    Where the networks share weights, these are trained for an epoch now and then, on children that
    the agent draws (`TrainSharedWeights`), and the search ends with the one of the last ten that is
    best by all validation images, unless the agent does both by itself, as `ENAS` does.

    Checkpoints are written between two rollouts, of agents that have such a moment: others begin
    again when the search is resumed. Weights that children share are saved from time to time, and
    spare a resumed search their training: only those from between two steps of the agent, which an
    interrupted epoch does not leave behind.
    A search whose shared weights diverge is over.

    For the arguments, and what is raised, see `nas_agents.drivers.driver.make_driver`.
    """

    def __init__(
        self,
        agent: Agent,
        env: NASEnv,
        plan: Plan,
        arguments: Mapping[str, Any],
        seed: int,
    ) -> None:
        vector = lock_step_env(env, plan.environments)
        self.envs = RecordingVecEnv(NASVecEnv(vector), self._after_step)
        self._vector, self._env = vector, env
        self.agent = agent.make(self.envs, arguments, seed, wrap=True)
        check_batches(self.agent)
        self._learns = agent.strategy is None
        batches = math.ceil(plan.in_all / plan.environments)
        self.steps = batches * plan.environments * plan.decisions
        notice = too_few_updates(self.agent, plan.decisions, plan.in_all)
        self.notices = [notice] if notice else []
        self._memory = env.memory
        own = env.memory.evaluator
        self._shared = own if isinstance(own, WeightSharing) else None
        self._callbacks: list[BaseCallback] = []
        if self._shared is not None and not isinstance(self.agent, ENAS):
            self._callbacks.append(TrainSharedWeights(episodes_an_epoch(plan)))
        self._due = 0.0

    def run(self, recorder: Recorder) -> None:
        """See `nas_agents.drivers.driver.Driver.run`."""
        self.envs.recorder = recorder
        if self._shared is not None:
            _restore(self._shared, recorder)
        self._due = time.perf_counter() + EVERY
        checkpoints = Checkpoints(recorder, self._env, self.state, self.restore)
        logs = [PassLogsOn(recorder)] if self._learns else []
        callbacks = [*self._callbacks, *logs, _BetweenRollouts(checkpoints)]
        try:
            with suppress(SearchOver):
                for _ in learning(
                    self.agent,
                    self.steps,
                    self._vector.decisions,
                    callback=callbacks,
                    log_interval=1,
                ):
                    if recorder.limits.episodes is not None or self._diverged:
                        break
        finally:
            if self._diverged:
                recorder.stopped_by = "diverged"

    def state(self) -> Plain:
        """Return the state between two rollouts; raise `NotPlain` if it has no plain form."""
        decided = self._vector.decided.tolist()
        wrappers = [state_of(each, lenient=True) for each in self._wrappers()]
        return {"agent": agent_state(self.agent), "decided": decided, "wrappers": wrappers}

    def restore(self, state: Plain) -> None:
        """Restore a `state`."""
        self._vector.reset(options={"choices": np.array(state["decided"], dtype=np.int64)})
        for wrapper, own in zip(self._wrappers(), state["wrappers"], strict=True):
            restore(wrapper, own)
        restore_agent(self.agent, state["agent"])

    def _wrappers(self) -> list[VecEnvWrapper]:
        """Return the agent's own wrappers around the environments."""
        found, each = [], self.agent.get_env()
        while each is not self.envs:
            assert isinstance(each, VecEnvWrapper)
            found.append(each)
            each = each.venv
        return found

    def choose(self) -> tuple[Architecture, Evaluation] | None:
        """See `nas_agents.drivers.driver.Driver.choose`: the agent's own ``choose``, if any."""
        if hasattr(self.agent, "choose"):
            chosen: tuple[Architecture, Evaluation] = self.agent.choose()
            return chosen
        if self._shared is None or not self.envs.designed:
            return None
        candidates = [Architecture.from_json(text) for text in dict.fromkeys(self.envs.designed)]
        return best_by_shared_weights(self._memory, candidates)

    def save(self, folder: RunFolder) -> None:
        """See `nas_agents.drivers.driver.Driver.save`."""
        if self._learns:  # a strategy is made of its record
            folder.replace(CHECKPOINT, self.agent.save)
        recorder = self.envs.recorder
        if self._shared is None or recorder is None:
            return
        if recorder.stopped_by not in ("interrupted", "diverged"):  # else amid or after an epoch
            state = {"episodes": recorder.progress.episodes, "shared": self._shared.state_dict()}
            content = packed(state)
            folder.replace(SHARED_WEIGHTS, lambda part: part.write_bytes(content))

    @property
    def _diverged(self) -> bool:
        """True if the last epoch of the shared weights ended with a loss that is not finite."""
        history = self._shared.history if self._shared is not None else []
        return bool(history) and not math.isfinite(history[-1].loss)

    def _after_step(self) -> None:
        """Save shared weights, if that is due.

        Raises:
            SearchOver: the shared weights diverged, and the agent, as ARS, obeys no callback.
        """
        if self._diverged:
            raise SearchOver
        started = time.perf_counter()
        recorder = self.envs.recorder
        assert recorder is not None
        if self._shared is None or started < self._due or not recorder.writes:
            return
        self.save(recorder.folder)
        ended = time.perf_counter()
        self._due = ended + max(EVERY, (ended - started) / SHARE)


class _BetweenRollouts(BaseCallback):
    """Goes on from a checkpoint before the first rollout, and writes others before later ones.

    Where all that is recorded came before the checkpoint, and has reached a limit, the search ends.
    """

    def __init__(self, checkpoints: Checkpoints) -> None:
        super().__init__()
        self.checkpoints = checkpoints
        self._begun = False

    def _on_rollout_start(self) -> None:
        if self._begun:
            self.checkpoints.save_if_due()
        else:
            self._begun = True
            self.checkpoints.restore()
            if self.checkpoints.recorder.over:
                raise SearchOver

    def _on_step(self) -> bool:
        return True


def _restore(shared: WeightSharing, recorder: Recorder) -> None:
    """Restore shared weights from where an earlier process saved them, if it did.

    Evaluations that it made later are made again, and checked.

    Raises:
        InvalidRunFolder: the file is damaged, or of other weights.
    """
    file = recorder.folder.path / SHARED_WEIGHTS
    if not (recorder.earlier and file.is_file()):
        return
    try:
        saved = torch.load(file, map_location=shared.device, weights_only=True)
        untrained = deepcopy(shared.state_dict())
        shared.load_state_dict(saved["shared"])  # raises now, and not in the middle of the search
        shared.load_state_dict(untrained)
        records = recorder.earlier[: saved["episodes"]]
        if len(records) == saved["episodes"]:
            shared.go_on_from(saved["shared"], [_evaluation(each, shared) for each in records])
    except Exception as error:  # torch raises errors of many types
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise broken(file, f"holds no shared weights of this run ({why})") from error


def _evaluation(record: Mapping[str, Any], shared: WeightSharing) -> Evaluation:
    """Return the evaluation that an earlier process made with shared weights, from its record."""
    return Evaluation(
        **{name: record[name] for name in FROM_EVALUATION},
        curve=(record["accuracy"],) if record["status"] == "ok" else (),
        seed=shared.settings.seed,
        fingerprint=shared.fingerprint,
    )
