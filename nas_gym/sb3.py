"""The vector environment as a Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from nas_gym.errors import InvalidSettings
from nas_gym.rewards import rewards_of
from nas_gym.search_spaces import SearchSpace, resolve_actions
from nas_gym.vector_env import NASVectorEnv, make


def make_vec_env(
    env_id: str, n_envs: int = 1, seed: int | None = None, **arguments: Any
) -> NASVecEnv:
    """N episodes of a registered environment in lock-step, for any Stable-Baselines3 agent.

        vec_env = nas_gym.sb3.make_vec_env("nas_gym/NASNet-v0", n_envs=8, epochs=2)
        MaskablePPO("MlpPolicy", vec_env, gamma=1.0).learn(4_000)

    Stable-Baselines3's own `make_vec_env` serves as well, where wrappers or processes are wanted;
    its environments share no memory of what was evaluated, and no budget.

    Args:
        env_id: As in `gymnasium.make`.
        n_envs: N.
        seed: Of the environments' generators and of their action space; children's own seeds
            follow from ``training_seed``.
        **arguments: The environment's.

    Raises:
        NASGymError: an argument is not valid.
    """
    if "autoreset_mode" in arguments:
        raise InvalidSettings("autoreset_mode: Stable-Baselines3 knows the mode 'SameStep' only")
    venv = make(env_id, n_envs, autoreset_mode=AutoresetMode.SAME_STEP, **arguments)
    vec_env = NASVecEnv(venv)
    if seed is not None:
        vec_env.seed(seed)
        vec_env.action_space.seed(seed)
    return vec_env


class NASVecEnv(VecEnv):
    """`NASVectorEnv` as a `VecEnv`.

    The last decision's ``infos`` have, for each of the N episodes, what `NASEnv` and SB3's
    `Monitor` tell at the end: ``architecture``, ``evaluation``, ``episode`` (``r``, which is not
    rounded, ``l``, ``t``) and ``terminal_observation``. Those of the other decisions are empty:
    masks come from ``env_method("action_masks")``.

    Args:
        venv: The environment, of autoreset mode "SameStep".

    Raises:
        InvalidSettings: it has another autoreset mode.
    """

    def __init__(self, venv: NASVectorEnv) -> None:
        if venv.metadata["autoreset_mode"] is not AutoresetMode.SAME_STEP:
            raise InvalidSettings("autoreset_mode: Stable-Baselines3 needs 'SameStep'")
        self.venv = venv
        self._since = time.time()
        self._actions: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        super().__init__(venv.num_envs, venv.single_observation_space, venv.single_action_space)

    def reset(self) -> NDArray[Any]:
        """The N first observations, (N, T)."""
        observations, _ = self.venv.reset(seed=self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        return observations

    def step_async(self, actions: NDArray[np.int64]) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        stage = self.venv.stage  # the next episodes may begin in another one
        observations, rewards, ended, _, info = self.venv.step(self._actions)
        infos: list[dict[str, Any]]
        if ended[0]:
            choices = info["final_info"]["choices"]
            infos = self._final_infos(stage, choices, rewards, info["final_obs"])
        else:
            infos = [{} for _ in range(self.num_envs)]
        return observations, rewards.astype(np.float32), ended, infos

    def _final_infos(
        self,
        stage: SearchSpace,
        choices: NDArray[np.int64],
        rewards: NDArray[np.float64],
        observations: NDArray[Any],
    ) -> list[dict[str, Any]]:
        seconds = round(time.time() - self._since, 6)
        return [
            {
                "architecture": stage.decode(choices[index]).to_json(),
                "evaluation": self.venv.evaluations[index].to_dict(),
                "episode": {"r": reward, "l": self.venv.decisions, "t": seconds},
                "terminal_observation": observations[index],
                "TimeLimit.truncated": False,
            }
            for index, reward in enumerate(rewards.tolist())
        ]

    def close(self) -> None:
        self.venv.close()

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        if self.render_mode != "rgb_array":
            return [None] * self.num_envs
        return self.venv.render() or ()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        value = getattr(self.venv, attr_name)
        return [value for _ in self._get_indices(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets an attribute of all environments; they are one object."""
        setattr(self.venv, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **keywords: Any
    ) -> list[Any]:
        """What a method that gives one result an environment gives for those chosen.

        Raises:
            AttributeError: there is no such method.
        """
        results = getattr(self.venv, method_name)(*method_args, **keywords)
        return [results[index] for index in self._get_indices(indices)]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """True for `Monitor`, whose statistics are in ``infos``; there are no other wrappers."""
        return [wrapper_class is Monitor for _ in self._get_indices(indices)]


class VecContinuousAction(VecEnvWrapper):
    """`nas_gym.wrappers.ContinuousAction` for N episodes at once.

    The actions are scores, (N, A) in [-1, 1]; in each episode the valid choice with the highest
    score is taken, of equal ones the first.

    Args:
        venv: The environment, or what wraps it.

    Raises:
        InvalidSettings: its actions are not `Discrete`, or it has no ``action_masks()``.
    """

    def __init__(self, venv: VecEnv) -> None:
        inner = venv.action_space
        if not isinstance(inner, spaces.Discrete):
            raise InvalidSettings(f"VecContinuousAction: expected Discrete actions, got {inner}")
        if not venv.has_attr("action_masks"):
            raise InvalidSettings(f"VecContinuousAction: {venv} has no action_masks()")
        super().__init__(venv, action_space=spaces.Box(-1.0, 1.0, (int(inner.n),), np.float32))

    def reset(self) -> NDArray[Any]:
        """The N first observations, (N, T)."""
        observations = self.venv.reset()
        assert isinstance(observations, np.ndarray)
        return observations

    def step_async(self, actions: NDArray[np.float32]) -> None:
        masks = np.stack(self.venv.env_method("action_masks"))  # (N, A)
        self.venv.step_async(np.where(masks, actions, -np.inf).argmax(axis=1))

    def step_wait(self) -> VecEnvStepReturn:
        return self.venv.step_wait()


class VecWholeArchitecture(NASVecEnv):
    """`nas_gym.wrappers.WholeArchitecture` for N networks at once: one step designs each of them.

    The actions are all T choices of each network, (N, T). Where an earlier choice rules a later one
    out, it is resolved as the environment does; so all actions are allowed, and
    ``env_method("action_masks")`` says so. Every step has what `NASVecEnv` tells at the end of an
    episode; the observation that each begins with is always the same.

        venv = nas_gym.sb3.make_vec_env("nas_gym/NASBench201-v0", evaluator="recorded").venv
        VecWholeArchitecture(venv).step(np.array([[3, 3, 1, 3, 2, 3]]))

    Args:
        venv: The environment, of autoreset mode "SameStep".

    Raises:
        InvalidSettings: it has another autoreset mode.
    """

    def __init__(self, venv: NASVectorEnv) -> None:
        super().__init__(venv)
        self.action_space = spaces.MultiDiscrete(list(venv.search_space.num_choices))
        self._start = self.reset()

    def step_wait(self) -> VecEnvStepReturn:
        venv = self.venv
        stage = venv.search_space.stage(venv.budget.asked)
        choices = _resolve_whole(stage, self._actions)
        venv.evaluations = venv.memory.evaluate_choices(stage, choices)
        rewards = rewards_of(venv.reward, venv.evaluations)
        finished = (choices + 1).astype(self._start.dtype)
        infos = self._final_infos(stage, choices, rewards, finished)
        ended = np.ones(self.num_envs, dtype=np.bool_)
        return self._start.copy(), rewards.astype(np.float32), ended, infos

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **keywords: Any
    ) -> list[Any]:
        if method_name != "action_masks":
            return super().env_method(method_name, *method_args, indices=indices, **keywords)
        masks = np.ones((self.num_envs, sum(self.venv.search_space.num_choices)), dtype=np.bool_)
        return [masks[index] for index in self._get_indices(indices)]


def _resolve_whole(search_space: SearchSpace, actions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The choices, (N, T), that N whole sequences of actions, (N, T), mean."""
    choices = np.array(actions, dtype=np.int64)
    for step in range(choices.shape[1]):
        masks = search_space.action_masks(choices[:, :step])
        choices[:, step], _ = resolve_actions(masks, choices[:, step])
    return choices
