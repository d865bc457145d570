"""`NASVectorEnv`: N networks designed in lock-step, and evaluated as one batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from gymnasium.wrappers import OrderEnforcing, PassiveEnvChecker
from numpy.typing import NDArray

from nas_gym.checks import check_num_envs, checked_actions, checked_autoreset_mode, checked_prefixes
from nas_gym.env import Design, Info, NASEnv
from nas_gym.episode import Episodes, Observations, Results
from nas_gym.errors import InvalidSettings, require
from nas_gym.evaluation import NOT_REPEATED, Evaluator, Limits, Memory
from nas_gym.objectives import Objectives
from nas_gym.observations import OBSERVATION_SPACES, ObservationSpace, PartialArchitectures
from nas_gym.outside.json_text import short
from nas_gym.rewards import AnyReward, accuracy, rewards_of
from nas_gym.search_spaces import Masks, SearchSpace, resolve_actions


class NASVectorEnv(Design, Episodes, VectorEnv[Observations, NDArray[np.int64], NDArray[Any]]):
    """N episodes of `NASEnv` in lock-step, as arrays.

    All episodes end in the same step, the T-th, and their networks are evaluated as one batch. The
    trajectories are those of N single environments with the same actions and a shared evaluator:
    the N networks count as N evaluations asked for, and one that is finished twice is evaluated
    once.

    Every step's ``info`` has ``action_mask``, (N, A) int8, and ``invalid_action``, (N,) bool. The
    last decision's has arrays in the place of `NASEnv`'s text and record: ``choices``, (N, T)
    int64, ``accuracy``, ``status``, and what else the evaluator knows (``parameters``,
    ``multiply_adds``; nan where unknown), (N,) each. As Gymnasium has it, a key ``_name`` says for
    which of the N episodes ``name`` holds: for all that were evaluated. The ``columns`` of
    ``finished`` have ``seconds`` and ``cached``, too, which differ from one run to the next.

    Args:
        search_space: The decisions, and the architecture that they mean.
        evaluator: Evaluator of the N finished architectures; see `NASEnv`.
        num_envs: N, at most 2**20.
        reward: A function of the `Evaluation`, or the name of one in `nas_gym.rewards`.
        render_mode: None, "ansi" (N texts) or "rgb_array" (N pictures).
        autoreset_mode: "NextStep": the step after the last decision ignores its actions and
            starts new networks. "SameStep": the last decision's step does so itself; then the
            finished observation and information are ``info["final_obs"]`` and
            ``info["final_info"]``. "Disabled": `reset` has to be called.
        limits: The budget, as in `NASEnv`. The episodes whose networks are beyond it are truncated
            with reward 0, and so is every later one in its first step. All N networks of a batch
            begin before its seconds count.
        observation: As in `NASEnv`.
        info: "records", or "numbers": without ``status``, the one array of texts.

    Raises:
        InvalidSettings: an argument is not valid, or the evaluator is a recorded benchmark of
            another search space.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as gymnasium's VectorEnv declares it)
        "render_modes": ["ansi", "rgb_array"],
        "render_fps": NASEnv.metadata["render_fps"],
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    single_observation_space: ObservationSpace
    _single: NASEnv | None = None  # closed with this one

    def __init__(
        self,
        search_space: SearchSpace,
        evaluator: Evaluator | Memory,
        num_envs: int = 1,
        reward: str | Mapping[str, Any] | AnyReward = accuracy,
        render_mode: str | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
        limits: Limits | Mapping[str, Any] | None = None,
        observation: str = "choices",
        info: str = "records",
    ) -> None:
        check_num_envs("num_envs", num_envs)
        self.compose(search_space, evaluator, reward, render_mode, observation, info)
        self.num_envs = num_envs
        self.autoreset_mode = checked_autoreset_mode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}
        self.limits = Limits.of(limits)

        self.single_observation_space = OBSERVATION_SPACES[observation](search_space.decisions)
        self.single_action_space = spaces.Discrete(search_space.num_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._choices = np.zeros((self.decisions, num_envs), dtype=np.int64).T  # (N, T)
        dtype = PartialArchitectures(search_space.decisions).dtype
        self._partial = np.zeros(self._choices.shape, dtype)  # (N, T), 0 = undecided
        self._all = np.ones(num_envs, dtype=np.bool_)
        self._rewards_shape: tuple[int, ...] = (num_envs,)
        self._rewards_dtype: type[np.floating[Any]] = np.float64
        if isinstance(self.reward, Objectives):
            self._rewards_shape, self._rewards_dtype = (num_envs, self.reward_dim), np.float32
        self.finished: Results | None = None
        """Results of the episodes that ended last."""
        self._start()
        self._started = False

    @classmethod
    def of(cls, env: NASEnv, num_envs: int = 1, **arguments: Any) -> NASVectorEnv:
        """Return the vector form of a single environment, which shares its memory and its budget.

        Args:
            env: The environment, without wrappers; it is closed with the vector form.
            num_envs: N.
            **arguments: ``render_mode``, ``autoreset_mode`` and ``limits``.

        Raises:
            InvalidSettings: the environment has no vector form, or an argument is not valid.
        """
        require(isinstance(env, NASEnv), f"{env} is no environment of nas_gym, or it is wrapped")
        require(
            has_vector_form(env),
            f"{env}: a class with a step() or reset() of its own has no vector form; make it with "
            'vectorization_mode="sync"',
        )
        own = {"limits": env.limits, "observation": env.observation, "info": env.info}
        arguments = {**own, **arguments}
        vector_env = cls(env.search_space, env.memory, num_envs, env.reward, **arguments)
        vector_env.spec, vector_env._single = env.spec, env
        return vector_env

    @property
    def decided(self) -> NDArray[np.int64]:
        """The choices made so far in the episodes under way, (N, T')."""
        return self._choices[:, : self._step].copy()

    def action_masks(self) -> NDArray[np.bool_]:
        """Return the masks of the actions that are valid now, (N, A) bool."""
        if self._masks.ndim == 2:
            return self._masks.copy(order="K")
        return _repeated(self._masks.tobytes(), self.num_envs).copy()

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: Info | None = None
    ) -> tuple[Observations, Info]:
        """Start N new networks.

        Args:
            seed: The seed of ``np_random``, which no episode draws from.
            options: ``choices``: the first choices, (T',) for all episodes or (N, T'), which are
                decided already. ``reset_mask``: as Gymnasium has it; all of the N, or none.

        Raises:
            gymnasium.error.Error: ``reset_mask`` asks for some of the N only.
            InvalidSettings, InvalidArchitecture: as in `NASEnv.reset`.
        """
        if not isinstance(options, Mapping | None):
            raise InvalidSettings(f"options: expected a mapping of 'choices', got {short(options)}")
        options = dict(options or {})
        if not np.all(options.pop("reset_mask", self._all)):
            raise gym.error.Error("the N episodes are in lock-step; reset all of them, or none")
        stage = self.search_space.stage(self.budget.asked)
        prefixes = checked_prefixes(stage, options, self.num_envs)
        super().reset(seed=seed[0] if isinstance(seed, (list, tuple)) else seed)
        self._start()
        for actions in prefixes.T:
            self._decide(actions)
        return self._observations(), self._info()

    def _start(self) -> None:
        """Begin the episodes: nothing is decided."""
        self._partial.fill(0)
        self._step = 0
        self._started = True
        self._ended = False
        self._stage = self.search_space.stage(self.budget.asked)
        self._masks: Masks = self._stage.action_masks(self._choices[:, :0])

    def step(
        self, actions: NDArray[np.int64]
    ) -> tuple[Observations, NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """Make one decision in each episode; the last one triggers evaluation of the networks.

        Raises:
            gymnasium.error.InvalidAction: the actions are not in the action space.
            gymnasium.error.ResetNeeded: no episodes are under way.
        """
        if not self._started or (self._ended and self.autoreset_mode is AutoresetMode.DISABLED):
            raise gym.error.ResetNeeded("call reset() first; it starts new networks")
        rewards = np.zeros(self._rewards_shape, dtype=self._rewards_dtype)
        terminated = np.zeros(self.num_envs, dtype=np.bool_)
        truncated = np.zeros(self.num_envs, dtype=np.bool_)
        if self._ended:  # in the last step
            self._start()
            return self._observations(), rewards, terminated, truncated, self._info()

        actions = checked_actions(actions, (self.num_envs,), self.search_space.num_actions)
        results: Info = {}
        if self.exhausted:
            invalid = truncated.copy()
            truncated[:] = self._ended = True
        else:
            invalid = self._decide(actions)
            if self._step == self.decisions:
                self._started = False  # an evaluation that is interrupted leaves no next step
                rewards, terminated, results = self._finish()
                np.logical_not(terminated, out=truncated)
                self._started = self._ended = True

        info = {**self._info(), "invalid_action": invalid, "_invalid_action": self._all, **results}
        observations = self._observations()
        if self._ended and self.autoreset_mode is AutoresetMode.SAME_STEP:
            final = {"final_obs": observations, "final_info": info}
            holds = {"_final_obs": self._all, "_final_info": self._all}
            self._start()
            observations, info = self._observations(), {**self._info(), **final, **holds}
        return observations, rewards, terminated, truncated, info

    def _observations(self) -> Observations:
        return self.single_observation_space.encode(self._partial)

    def _decide(self, actions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Make the decision that the actions, (N,), mean; return which were invalid."""
        choices, invalid = resolve_actions(self._masks, actions)
        self._choices[:, self._step] = choices
        self._partial[:, self._step] = choices + 1
        self._step += 1
        self._masks = self._stage.action_masks(self._choices[:, : self._step])
        return invalid

    def _finish(self) -> tuple[NDArray[np.floating[Any]], NDArray[np.bool_], Info]:
        """Evaluate the networks; return rewards, who was evaluated, and entries of ``info``."""
        finished = self.evaluate(self._stage, self._choices)
        if not finished.evaluated[-1]:
            self._partial[~finished.evaluated, -1] = 0  # these ended before
            before = self._stage.action_masks(self._choices[:, :-1])
            self._masks = np.where(finished.evaluated[:, np.newaxis], self._masks, before)
        left_out = (*NOT_REPEATED, "status") if self.info == "numbers" else NOT_REPEATED
        columns = {n: each for n, each in finished.columns.items() if n not in left_out}
        results = {"choices": finished.choices, **columns}
        holds = {f"_{name}": finished.evaluated for name in results}
        return finished.rewards, finished.evaluated.copy(), results | holds

    def evaluate(self, stage: SearchSpace, choices: NDArray[np.int64]) -> Results:
        """Evaluate complete, valid sequences of choices, (N, T), as far as the limits allow."""
        evaluations = self.memory.evaluate_choices(stage, choices, self.limits)
        rewards = rewards_of(self.reward, evaluations)
        self.finished = Results.of(stage, choices, rewards, evaluations)
        return self.finished

    def _info(self) -> Info:
        """Return what every step's and every reset's ``info`` has."""
        info = {"action_mask": self.action_masks().view(np.int8), "_action_mask": self._all}
        if self.limits is not None:
            info["budget_exhausted"] = np.full(self.num_envs, self.exhausted)
            info["_budget_exhausted"] = self._all
        return info

    def close_extras(self, **kwargs: Any) -> None:
        """Close the workers and the store that the single environment opened."""
        if self._single is not None:
            self._single.close()

    def render(self) -> tuple[Any, ...] | None:
        """Return the N networks as far as they are decided: texts, or (H, W, 3) uint8 arrays."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; give one to make_vec()")
            return None
        return tuple(self.drawn(prefix) for prefix in self._choices[:, : self._step])


def without_checks(env: gym.Env[Any, Any]) -> gym.Env[Any, Any]:
    """Return an environment without the wrappers that `gymnasium.make` adds to check it."""
    while isinstance(env, (OrderEnforcing, PassiveEnvChecker)):
        env = env.env
    return env


def has_vector_form(env: NASEnv) -> bool:
    """Return True unless an environment's class changes what a step or a reset does."""
    return type(env).step is NASEnv.step and type(env).reset is NASEnv.reset


@lru_cache
def _repeated(mask: bytes, number: int) -> NDArray[np.bool_]:
    """Return a mask, (A,) bool, N times: (N, A), not to be written to."""
    return np.frombuffer(mask * number, dtype=np.bool_).reshape(number, -1)
