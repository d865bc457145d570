"""The vector environment as a Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker
from numpy.typing import NDArray
from stable_baselines3.common import env_util
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from nas_gym.env import NASEnv
from nas_gym.episode import Episode
from nas_gym.errors import InvalidSettings, require
from nas_gym.search_spaces import resolve_actions
from nas_gym.settings import require_known
from nas_gym.vector_env import (
    NASVectorEnv,
    Results,
    check_num_envs,
    checked_actions,
    has_vector_form,
)
from nas_gym.wrappers import AnyEnv, ContinuousAction, Scores, WholeArchitecture


def make_vec_env(
    env_id: str | Callable[..., AnyEnv],
    n_envs: int = 1,
    seed: int | None = None,
    start_index: int = 0,
    monitor_dir: str | None = None,
    wrapper_class: Callable[..., AnyEnv] | None = None,
    env_kwargs: dict[str, Any] | None = None,
    vec_env_cls: type[VecEnv] | None = None,
    vec_env_kwargs: dict[str, Any] | None = None,
    monitor_kwargs: dict[str, Any] | None = None,
    wrapper_kwargs: dict[str, Any] | None = None,
) -> VecEnv:
    """Make N episodes of an environment that share one evaluator, for Stable-Baselines3's agents.

        vec_env = nas_gym.sb3.make_vec_env("nas_gym/NASNet-v0", 8, env_kwargs={"epochs": 2})
        MaskablePPO("MlpPolicy", vec_env, gamma=1.0).learn(4_000)

    The arguments are those of Stable-Baselines3's own `make_vec_env`, whose environments share no
    memory of what was evaluated, and no budget. Here the result is

    - a `NASVecEnv`, in lock-step, without ``wrapper_class`` or with one in `LOCK_STEP`;
    - a `DummyVecEnv`, one environment after the other, with another ``wrapper_class``, with a
      subclass of `NASEnv` that has its own ``step()``, or where ``vec_env_cls`` says so.

    Another ``vec_env_cls``, `SubprocVecEnv` for instance, is left to Stable-Baselines3's function.

    Args:
        env_id: As in `gymnasium.make`, or a function that returns a `NASEnv`.
        n_envs: N.
        seed: The seed of the episodes and of the action space. It changes no reward: children's own
            seeds follow from the environment's ``training_seed``.
        start_index: As in `NASVecEnv`.
        monitor_dir: As in `NASVecEnv`.
        wrapper_class: A wrapper, or a function that wraps an environment.
        env_kwargs: The environment's arguments; ``render_mode`` is "rgb_array" by default.
        vec_env_cls: The class of the result; default: see above.
        vec_env_kwargs: Arguments of ``vec_env_cls``.
        monitor_kwargs: Arguments of `Monitor`; in lock-step as in `NASVecEnv`.
        wrapper_kwargs: Arguments of ``wrapper_class``.

    Raises:
        NASGymError: an argument is not valid.
    """
    arguments = dict(locals())
    if vec_env_cls is not None and not issubclass(vec_env_cls, DummyVecEnv):
        return env_util.make_vec_env(**arguments)
    check_num_envs("n_envs", n_envs)
    env = _plain_env(env_id, env_kwargs or {})
    if vec_env_cls is not None or wrapper_class not in LOCK_STEP or not has_vector_form(env):
        siblings = iter([env, *(_sibling(env) for _ in range(n_envs - 1))])
        shared = {**arguments, "env_id": lambda: next(siblings), "env_kwargs": None}
        return env_util.make_vec_env(**shared)

    require(not vec_env_kwargs, "vec_env_kwargs: in lock-step there are none; give a vec_env_cls")
    wrapping = wrapper_kwargs or {}
    own = {"render_mode": env.render_mode, "autoreset_mode": AutoresetMode.SAME_STEP}
    venv = NASVectorEnv.of(env, n_envs, **own)
    vec_env: VecEnv = NASVecEnv(venv, monitor_dir, start_index, monitor_kwargs)
    if (wrapper := LOCK_STEP[wrapper_class]) is not None:
        vec_env = wrapper(vec_env, **wrapping)
    if seed is not None:
        vec_env.action_space.seed(seed)
    vec_env.seed(seed)
    return vec_env


def _plain_env(env_id: str | Callable[..., AnyEnv], arguments: dict[str, Any]) -> NASEnv:
    """Make one environment, without the wrappers that `gymnasium.make` adds to check it."""
    if isinstance(env_id, str):
        env = gym.make(env_id, **{"render_mode": "rgb_array", **arguments})
    else:
        env = env_id(**arguments)
    while isinstance(env, (OrderEnforcing, PassiveEnvChecker)):
        env = env.env
    if not isinstance(env, NASEnv):
        raise InvalidSettings(
            f"env_id: {env} is no environment of nas_gym, or it is wrapped; give wrapper_class, or "
            "use stable_baselines3.common.env_util.make_vec_env"
        )
    return env


def _sibling(env: NASEnv) -> NASEnv:
    """Return another environment of the same kind, which shares memory and budget."""
    sibling = copy.copy(env)
    parts = (env.search_space, env.memory, env.reward, env.render_mode, env.limits)
    NASEnv.__init__(sibling, *parts, env.observation, env.info)
    return sibling


class NASVecEnv(DummyVecEnv):
    """`NASVectorEnv` as a `VecEnv`, which answers as a `DummyVecEnv` of monitored environments.

    The last decision's ``infos`` have, for each of the N episodes, what `NASEnv` and SB3's
    `Monitor` say at the end: ``architecture``, ``evaluation`` (here with ``seconds`` and
    ``cached``), ``episode`` (``r``, which is not rounded, ``l``, ``t``) and
    ``terminal_observation``. Those of the other decisions are empty:
    masks come from ``env_method("action_masks")``. Where the budget has limits, they have
    ``budget_exhausted`` too, and an episode that is truncated has neither of the first three.

    Args:
        venv: The environment, of autoreset mode "SameStep".
        monitor_dir: Folder for a monitor file of each environment; default: none is written.
        start_index: Number of the first environment in the names of these files.
        monitor_kwargs: ``info_keywords`` and ``override_existing``, as in `Monitor`.

    Raises:
        InvalidSettings: it has another autoreset mode or ``info``, or an argument is not known.
    """

    envs: list[Monitor[Any, Any]]  # type: ignore[assignment]

    def __init__(
        self,
        venv: NASVectorEnv,
        monitor_dir: str | None = None,
        start_index: int = 0,
        monitor_kwargs: dict[str, Any] | None = None,
    ) -> None:
        require(isinstance(venv, NASVectorEnv), f"venv: expected a NASVectorEnv, got {venv}")
        same_step = venv.autoreset_mode is AutoresetMode.SAME_STEP
        require(same_step, "autoreset_mode: Stable-Baselines3 needs 'SameStep'")
        require(venv.info == "records", "info: Stable-Baselines3's VecEnv has 'records'")
        monitoring = monitor_kwargs or {}
        require_known(monitoring, ("info_keywords", "override_existing"))

        def monitored(index: int) -> AnyEnv:
            file = None if monitor_dir is None else str(Path(monitor_dir, str(start_index + index)))
            return Monitor(Episode(venv, index), file, **monitoring)

        self.venv = venv
        super().__init__([partial(monitored, index) for index in range(venv.num_envs)])

    def reset(self) -> NDArray[Any]:
        """Return the N first observations, (N, T)."""
        observations, info = self.venv.reset(seed=self._seeds[0], options=self._joined_options())
        self._reset_seeds()
        self._reset_options()
        self.reset_infos = [{"action_mask": mask} for mask in info["action_mask"]]
        return observations

    def _joined_options(self) -> dict[str, Any] | None:
        """Return the options of all episodes as those of the vector environment."""
        if not any(self._options):
            return None
        alone = all(list(options) == ["choices"] for options in self._options)
        choices = [options.get("choices", ()) for options in self._options]
        require(
            alone and len(set(map(len, choices))) == 1,
            "options: in lock-step there is 'choices' alone, of one length for all episodes",
        )
        return {"choices": np.array(choices)}

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, terminated, truncated, info = self.venv.step(self.actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        ended = terminated | truncated
        if ended[0]:
            assert self.venv.finished is not None
            infos = self.final_infos(self.venv.finished, terminated, info["final_obs"])
            self.reset_infos = [{"action_mask": mask} for mask in info["action_mask"]]
        return observations, rewards.astype(np.float32), ended, infos

    def final_infos(
        self, finished: Results, evaluated: NDArray[np.bool_], observations: NDArray[Any]
    ) -> list[dict[str, Any]]:
        """Return the information of N episodes at their end, and monitor those evaluated."""
        limited = self.venv.limits is not None
        exhausted = {"budget_exhausted": self.venv.exhausted} if limited else {}
        infos: list[dict[str, Any]] = []
        for index, (observation, ended) in enumerate(zip(observations, evaluated, strict=True)):
            info = {"terminal_observation": observation, "TimeLimit.truncated": not ended}
            info |= exhausted
            if ended:
                info["architecture"] = finished.stage.decode(finished.choices[index]).to_json()
                info["evaluation"] = finished.evaluations[index].to_dict()
                info["episode"] = self._monitor(index, finished.rewards[index].tolist(), info)
            infos.append(info)
        return infos

    def _monitor(self, index: int, reward: Any, info: dict[str, Any]) -> dict[str, Any]:
        """Record an episode as `Monitor` does; return its ``info["episode"]``."""
        monitor = self.envs[index]
        seconds = time.time() - monitor.t_start
        own = {name: info[name] for name in monitor.info_keywords}
        episode = {"r": reward, "l": self.venv.decisions, "t": round(seconds, 6), **own}
        monitor.episode_returns.append(reward)
        monitor.episode_lengths.append(self.venv.decisions)
        monitor.episode_times.append(seconds)
        if monitor.results_writer is not None:
            monitor.results_writer.write_row(episode)
        return episode

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute; one that the N episodes share is set for all of them.

        Raises:
            InvalidSettings: it is shared, and only some of the episodes are chosen.
        """
        if not hasattr(self.venv, attr_name):
            return super().set_attr(attr_name, value, indices)
        for_all = set(self._get_indices(indices)) == set(range(self.num_envs))
        require(for_all, f"{attr_name}: the episodes share it; set it for all of them")
        return setattr(self.venv, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **keywords: Any
    ) -> list[Any]:
        if method_name != "action_masks":
            return super().env_method(method_name, *method_args, indices=indices, **keywords)
        masks = self.venv.action_masks()  # of all at once
        return [masks[index] for index in self._get_indices(indices)]


class VecContinuousAction(VecEnvWrapper):
    """`nas_gym.wrappers.ContinuousAction` for N episodes at once.

    The actions are scores, (N, S) in [-1, 1]; in each episode the valid choice with the highest
    score is taken, of equal ones the first; on top of `VecWholeArchitecture` one of each decision.

    Raises:
        InvalidSettings: the actions of ``venv`` are neither `Discrete` nor `MultiDiscrete`, or it
            has no ``action_masks()``.
    """

    def __init__(self, venv: VecEnv) -> None:
        require(isinstance(venv, VecEnv), f"VecContinuousAction: expected a VecEnv, got {venv}")
        self._choices = Scores("VecContinuousAction", venv.action_space)
        has_masks = venv.has_attr("action_masks")
        require(has_masks, f"VecContinuousAction: {venv} has no action_masks()")
        super().__init__(venv, action_space=self._choices.action_space)

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_async(self, actions: NDArray[np.float32]) -> None:
        masks = np.stack(self.venv.env_method("action_masks"))  # (N, S)
        self.venv.step_async(self._choices.best(actions, masks))

    def step_wait(self) -> VecEnvStepReturn:
        return self.venv.step_wait()


class VecWholeArchitecture(VecEnvWrapper):
    """`nas_gym.wrappers.WholeArchitecture` for N networks at once: one step designs each of them.

    The actions are all T choices of each network, (N, T), and all are allowed. Every step has the
    ``infos`` of the end of an episode of `NASVecEnv`.

        vec_env = nas_gym.sb3.make_vec_env("nas_gym/DigitsBench-v0")
        VecWholeArchitecture(vec_env).step(np.array([[3, 3, 1, 3, 2, 3]]))

    Raises:
        InvalidSettings: ``venv`` is no `NASVecEnv`, or it is wrapped.
    """

    def __init__(self, venv: VecEnv) -> None:
        if not isinstance(venv, NASVecEnv):
            raise InvalidSettings(
                f"VecWholeArchitecture: expected a NASVecEnv, got {venv}; wrap it in this first, "
                "and then in other wrappers"
            )
        sizes = venv.venv.search_space.num_choices
        super().__init__(venv, action_space=spaces.MultiDiscrete(list(sizes)))
        self._inner = venv
        self._masks = np.ones((venv.num_envs, sum(sizes)), dtype=np.bool_)
        self._start = venv.reset()
        self._shape = (venv.num_envs, venv.venv.decisions)

    def reset(self) -> NDArray[Any]:
        return self._inner.reset()

    def step_async(self, actions: NDArray[np.int64]) -> None:
        sizes = self._inner.venv.search_space.num_choices
        self._actions = checked_actions(actions, self._shape, sizes)

    def step_wait(self) -> VecEnvStepReturn:
        venv = self._inner.venv
        stage = venv.search_space.stage(venv.budget.asked)
        choices = self._actions.copy()
        for step in range(venv.decisions):
            masks = stage.action_masks(choices[:, :step])
            choices[:, step], _ = resolve_actions(masks, choices[:, step])
        finished = venv.evaluate(stage, choices)
        partial = finished.choices + 1
        partial[~finished.evaluated, -1] = 0
        observations = venv.single_observation_space.encode(partial)
        infos = self._inner.final_infos(finished, finished.evaluated, observations)
        ended = np.ones(self.num_envs, dtype=np.bool_)
        return self._start.copy(), finished.rewards.astype(np.float32), ended, infos

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **keywords: Any
    ) -> list[Any]:
        if method_name != "action_masks":
            return self.venv.env_method(method_name, *method_args, indices=indices, **keywords)
        return [self._masks[index] for index in self._get_indices(indices)]


class StopOnBudget(BaseCallback):
    """Ends an agent's ``learn()`` once the budget is exhausted.

    env = gym.make("nas_gym/NASNet-v0", limits={"asked": 100})
    PPO("MlpPolicy", env).learn(100_000, callback=StopOnBudget())
    """

    def _on_step(self) -> bool:
        return not any(info.get("budget_exhausted") for info in self.locals["infos"])


LOCK_STEP: dict[Any, Callable[..., VecEnvWrapper] | None] = {
    None: None,
    ContinuousAction: VecContinuousAction,
    WholeArchitecture: VecWholeArchitecture,
}
"""The wrappers that `make_vec_env` has in lock-step, and their vector forms."""
