"""`NASVectorEnv`: N networks designed in lock-step, and evaluated as one batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from nas_gym.env import NASEnv, check_render_mode, observation_space_of
from nas_gym.errors import InvalidSettings, choices_hint, require_integer
from nas_gym.evaluation.budget import Budget
from nas_gym.evaluation.evaluation import Evaluations
from nas_gym.evaluation.evaluator import Evaluator
from nas_gym.evaluation.memory import Memory, memory_of
from nas_gym.rendering import draw, write
from nas_gym.rewards import Reward, accuracy, check_costs, reward_by_name, rewards_of
from nas_gym.search_spaces import Masks, SearchSpace, resolve_actions

Observations = NDArray[np.integer[Any]]
"""(N, T) of a small integer type: 0 = not decided yet, c + 1 = choice c."""
Info = dict[str, Any]
MODES = (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP)


class NASVectorEnv(VectorEnv[Observations, NDArray[np.int64], NDArray[Any]]):
    """N episodes of `NASEnv` in lock-step, as arrays.

    All episodes have T decisions, so all of them end in the same step; their networks are
    evaluated as one batch. The trajectories are those of N single environments with the same
    actions, which share one evaluator: the N networks count as N evaluations asked for, and
    one that is finished twice is evaluated once.

    Every step's ``info`` has ``action_mask``, (N, A) int8, and ``invalid_action``, (N,) bool. The
    last decision's has arrays in the place of `NASEnv`'s text and record: ``choices``, (N, T)
    int64, ``accuracy``, ``seconds``, ``status``, ``cached``, and what else the evaluator knows
    (``parameters``, ``multiply_adds``; nan where unknown), (N,) each. As Gymnasium has it, a key
    ``_name`` says for which of the N episodes ``name`` holds: for all.

    Args:
        search_space: The decisions, and the architecture that they mean.
        evaluator: What evaluates the N finished architectures; see `NASEnv`.
        num_envs: N.
        reward: A function of the `Evaluation`, or the name of one in `nas_gym.rewards`.
        render_mode: None, "ansi" (N texts) or "rgb_array" (N pictures).
        autoreset_mode: "NextStep": the step after the last decision ignores its actions and
            starts new networks. "SameStep": the last decision's step does so itself; then the
            finished observation and information are ``info["final_obs"]`` and
            ``info["final_info"]``.

    Raises:
        InvalidSettings: an argument is not valid, or the evaluator is a recorded benchmark of
            another search space.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as gymnasium's VectorEnv declares it)
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": NASEnv.metadata["render_fps"],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        search_space: SearchSpace,
        evaluator: Evaluator | Memory,
        num_envs: int = 1,
        reward: str | Mapping[str, Any] | Reward = accuracy,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ) -> None:
        require_integer("num_envs", num_envs, least=1)
        check_render_mode(render_mode, self.metadata["render_modes"])
        self.search_space = search_space
        self.memory = memory_of(evaluator, search_space)
        self.num_envs = num_envs
        self.reward = reward_by_name(reward)
        check_costs(self.reward, self.memory)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "autoreset_mode": _mode(autoreset_mode)}
        self._same_step = self.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        self.decisions = len(search_space.decisions)
        """T, the number of decisions in an episode."""
        self.single_observation_space = observation_space_of(search_space)
        self.single_action_space = spaces.Discrete(search_space.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._choices = np.zeros((self.decisions, num_envs), dtype=np.int64).T  # (N, T)
        self._observations = np.zeros(
            (num_envs, self.decisions), dtype=self.single_observation_space.dtype
        )
        self.made_from: NASEnv | None = None
        """The single environment that `make` made first; it is closed with this one."""
        self._all = np.ones(num_envs, dtype=np.bool_)
        self._step = 0
        self._started = False
        self._start()
        self._started = False

    @property
    def budget(self) -> Budget:
        """What has been spent on evaluations since the environment was made."""
        return self.memory.budget

    @property
    def stage(self) -> SearchSpace:
        """The search space as it stands in the episodes under way."""
        return self._stage

    def action_masks(self) -> NDArray[np.bool_]:
        """Which actions are valid now, (N, A) bool."""
        if self._masks.ndim == 2:
            return self._masks.copy(order="K")
        return _repeated(self._masks.tobytes(), self.num_envs).copy()

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: Info | None = None
    ) -> tuple[Observations, Info]:
        """Starts N new networks; nothing is drawn at random, so the seed changes nothing.

        Raises:
            gymnasium.error.Error: ``options["reset_mask"]`` asks for some of the N only.
        """
        chosen = (options or {}).get("reset_mask", self._all)
        if not np.all(chosen):
            raise gym.error.Error("the N episodes are in lock-step; reset all of them, or none")
        super().reset(seed=seed if seed is None or isinstance(seed, int) else seed[0])
        self._start()
        return self._observations.copy(), self._info()

    def _start(self) -> None:
        """Nothing is decided."""
        self._observations.fill(0)
        self._step = 0
        self._started = True
        self._stage = self.search_space.stage(self.budget.asked)
        self._masks: Masks = self._stage.action_masks(self._choices[:, :0])

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Observations, NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """Makes one decision in each episode; the last one has the networks evaluated."""
        if not self._started:
            raise gym.error.ResetNeeded("call reset() first; it starts new networks")
        rewards = np.zeros(self.num_envs)
        ended = np.zeros(self.num_envs, dtype=np.bool_)
        truncated = np.zeros(self.num_envs, dtype=np.bool_)
        if self._step == self.decisions:  # the episodes ended in the last step
            self._start()
            return self._observations.copy(), rewards, ended, truncated, self._info()
        info = self._decide(self._checked(actions))
        if self._step == self.decisions:
            ended[:] = True
            evaluations = self.memory.evaluate_choices(self._stage, self._choices)
            rewards = rewards_of(self.reward, evaluations)
            self._add_results(info, evaluations)
            if self._same_step:
                final = {"final_obs": self._observations.copy(), "final_info": info}
                self._start()
                info = {**self._info(), **final, "_final_obs": self._all, "_final_info": self._all}
        return self._observations.copy(), rewards, ended, truncated, info

    def _checked(self, actions: Any) -> NDArray[np.int64]:
        array = np.asarray(actions)
        if array.shape != (self.num_envs,) or array.dtype.kind not in "iub":
            raise gym.error.InvalidAction(
                f"expected {self.num_envs} integers, got shape {array.shape} of {array.dtype}"
            )
        return array.astype(np.int64, copy=False)

    def _decide(self, actions: NDArray[np.int64]) -> Info:
        """Makes the decision that the actions, (N,), mean; the step's ``info``."""
        choices, invalid = resolve_actions(self._masks, actions)
        self._choices[:, self._step] = choices
        self._observations[:, self._step] = choices.astype(self._observations.dtype) + 1
        self._step += 1
        self._masks = self._stage.action_masks(self._choices[:, : self._step])
        return {**self._info(), "invalid_action": invalid, "_invalid_action": self._all}

    def _info(self) -> Info:
        """What every step's and every reset's ``info`` has."""
        return {"action_mask": self.action_masks().view(np.int8), "_action_mask": self._all}

    def _add_results(self, info: Info, evaluations: Evaluations) -> None:
        """Adds what the finished networks were, and what they were worth."""
        self.evaluations = evaluations
        results = {"choices": self._choices.copy(order="K"), **evaluations.columns}
        for name, column in results.items():
            info[name] = column
            info[f"_{name}"] = self._all

    def close_extras(self, **kwargs: Any) -> None:
        """Close what `make` opened: workers, a store."""
        if self.made_from is not None:
            self.made_from.close()

    def render(self) -> tuple[Any, ...] | None:
        """The N networks as far as they are decided: texts, or (H, W, 3) uint8 arrays."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; give one to make_vec()")
            return None
        prefixes = self._choices[:, : self._step]
        if self.render_mode == "ansi":
            return tuple(write(self._stage, prefix) for prefix in prefixes)
        return tuple(np.asarray(draw(self._stage, prefix)) for prefix in prefixes)


def make(env_id: str, num_envs: int = 1, **arguments: Any) -> NASVectorEnv:
    """The vector environment of a registered environment.

    Args:
        env_id: As in `gymnasium.make`.
        num_envs: N.
        **arguments: ``autoreset_mode`` and ``render_mode`` as in `NASVectorEnv`; all others go to
            the environment.

    Raises:
        NASGymError: an argument is not valid.
    """
    own = {name: arguments.pop(name) for name in OWN_ARGUMENTS if name in arguments}
    env = gym.make(env_id, **arguments).unwrapped
    if not isinstance(env, NASEnv):
        raise InvalidSettings(f"{env_id} is no environment of nas_gym")
    try:
        venv = NASVectorEnv(env.search_space, env.memory, num_envs, env.reward, **own)
    except BaseException:
        env.close()
        raise
    venv.made_from = env
    return venv


OWN_ARGUMENTS = ("render_mode", "autoreset_mode")


def __getattr__(name: str) -> Callable[..., NASVectorEnv]:
    """`make` of the environment "nas_gym/NAME", so that one entry point serves every id.

    Gymnasium hands a vector entry point, "module:attribute", no id; here the attribute is the id.
    """
    if name.startswith("__"):
        raise AttributeError(name)
    return partial(make, f"nas_gym/{name}")


@lru_cache
def _repeated(mask: bytes, number: int) -> NDArray[np.bool_]:
    """A mask, (A,) bool, N times: (N, A), not to be written to."""
    return np.frombuffer(mask * number, dtype=np.bool_).reshape(number, -1)


def _mode(mode: str | AutoresetMode) -> AutoresetMode:
    names = [each.value for each in MODES]
    name = mode.value if isinstance(mode, AutoresetMode) else mode
    if name not in names:
        raise InvalidSettings(f"autoreset_mode: {mode!r} is not one; {choices_hint(name, names)}")
    return AutoresetMode(name)
