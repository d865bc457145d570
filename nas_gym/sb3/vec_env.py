"""`NASVecEnv`: the vector environment as a Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from nas_gym.episode import Episode
from nas_gym.errors import require
from nas_gym.search_spaces.base import as_array
from nas_gym.settings import require_known
from nas_gym.vector_env import NASVectorEnv
from nas_gym.wrappers import AnyEnv


class NASVecEnv(DummyVecEnv):
    """`NASVectorEnv` as a `VecEnv`, which answers as a `DummyVecEnv` of monitored environments.

    The last decision's ``infos`` have, for each of the N episodes, what `NASEnv` and SB3's
    `Monitor` say at the end: ``architecture``, ``evaluation`` (here with ``seconds`` and
    ``cached``), ``episode`` (``r``, which is not rounded, ``l``, ``t``) and
    ``terminal_observation``. Those of the other decisions are empty:
    masks come from ``env_method("action_masks")``. Where the budget has limits, they have
    ``budget_exhausted`` too, and a truncated episode has neither ``architecture`` nor
    ``evaluation``.

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
        self._length = 0  # of the episodes under way
        super().__init__([partial(monitored, index) for index in range(venv.num_envs)])

    def reset(self) -> NDArray[Any]:
        """Return the N first observations, (N, T)."""
        observations, info = self.venv.reset(seed=self._seeds[0], options=self._joined_options())
        self._reset_seeds()
        self._reset_options()
        self._length = 0
        self.reset_infos = [{"action_mask": mask} for mask in info["action_mask"]]
        return observations

    def _joined_options(self) -> dict[str, Any] | None:
        """Return the options of all episodes as those of the vector environment."""
        if not any(self._options):
            return None
        alone = all(list(options) == ["choices"] for options in self._options)
        choices = [options.get("choices", ()) for options in self._options]
        shapes = {as_array(each).shape for each in choices}
        require(
            alone and [len(shape) for shape in shapes] == [1],
            "options: in lock-step there is 'choices' alone, of one length for all episodes",
        )
        return {"choices": np.array(choices)}

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, terminated, truncated, info = self.venv.step(self.actions)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._length += 1
        ended = terminated | truncated
        if ended[0]:
            infos = self.final_infos(rewards, terminated, info["final_obs"], self._length)
            self._length = 0
            self.reset_infos = [{"action_mask": mask} for mask in info["action_mask"]]
        return observations, rewards.astype(np.float32), ended, infos

    def final_infos(
        self,
        rewards: NDArray[Any],
        evaluated: NDArray[np.bool_],
        observations: NDArray[Any],
        length: int,
    ) -> list[dict[str, Any]]:
        """Return the information of N episodes of this length at their end, and monitor them."""
        finished = self.venv.finished
        limited = self.venv.limits is not None
        exhausted = {"budget_exhausted": self.venv.exhausted} if limited else {}
        infos: list[dict[str, Any]] = []
        for index, (observation, ended) in enumerate(zip(observations, evaluated, strict=True)):
            info = {"terminal_observation": observation, "TimeLimit.truncated": not ended}
            info |= exhausted
            if ended and finished is not None:
                info["architecture"] = finished.stage.decode(finished.choices[index]).to_json()
                info["evaluation"] = finished.evaluations[index].to_dict()
            info["episode"] = self._monitor(index, rewards[index].tolist(), length, info)
            infos.append(info)
        return infos

    def _monitor(
        self, index: int, reward: Any, length: int, info: dict[str, Any]
    ) -> dict[str, Any]:
        """Record an episode as `Monitor` does; return its ``info["episode"]``."""
        monitor = self.envs[index]
        seconds = time.time() - monitor.t_start
        results = {"architecture": None, "evaluation": None, **info}  # of a truncated one: none
        own = {name: results[name] for name in monitor.info_keywords}
        episode = {"r": reward, "l": length, "t": round(seconds, 6), **own}
        monitor.episode_returns.append(reward)
        monitor.episode_lengths.append(length)
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

    def close(self) -> None:
        """Close the monitor files, and the workers and the store that the environment opened."""
        super().close()
        self.venv.close()

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **keywords: Any
    ) -> list[Any]:
        if method_name != "action_masks":
            return super().env_method(method_name, *method_args, indices=indices, **keywords)
        masks = self.venv.action_masks()  # of all at once
        return [masks[index] for index in self._get_indices(indices)]
