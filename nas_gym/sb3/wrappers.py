"""The wrappers of `nas_gym.wrappers` that change actions, for N episodes at once."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

from nas_gym.checks import checked_actions
from nas_gym.errors import InvalidSettings, require
from nas_gym.outside.json_text import short
from nas_gym.sb3.vec_env import NASVecEnv
from nas_gym.search_spaces import resolve_actions
from nas_gym.wrappers import Scores


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

        vec_env = nas_gym.sb3.make_vec_env("nas_gym/TinyBench-v0")
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
        """Return the N first observations; `InvalidSettings` where there are options."""
        options = [each for each in self._inner._options if each]
        require(not options, f"options: an action makes all choices; got {short(options)}")
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
        partial[~finished.evaluated] = 0  # nothing was decided there
        observations = venv.single_observation_space.encode(partial)
        rewards, ended = finished.rewards, np.ones(self.num_envs, dtype=np.bool_)
        infos = self._inner.final_infos(rewards, finished.evaluated, observations, venv.decisions)
        return self._start.copy(), rewards.astype(np.float32), ended, infos

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **keywords: Any
    ) -> list[Any]:
        if method_name != "action_masks":
            return self.venv.env_method(method_name, *method_args, indices=indices, **keywords)
        return [self._masks[index] for index in self._get_indices(indices)]
