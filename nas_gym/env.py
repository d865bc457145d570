"""`NASEnv`: designing a neural network as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from nas_gym.checks import checked_action, checked_prefix
from nas_gym.errors import InvalidSettings, choices_hint
from nas_gym.evaluation import NUMBERS, Budget, Evaluator, Finished, Limits, Memory, memory_of
from nas_gym.objectives import Objectives
from nas_gym.observations import OBSERVATION_SPACES, Observation, ObservationSpace
from nas_gym.outside.json_text import short
from nas_gym.rendering import Window, draw, picture_size, write
from nas_gym.rewards import AnyReward, accuracy, check_costs, reward_by_name
from nas_gym.search_spaces import Choices, Mask, SearchSpace
from nas_gym.settings import require_known

Info = dict[str, Any]


class Design:
    """The parts that a single and a vector environment are composed of, and share."""

    metadata: dict[str, Any]
    limits: Limits | None = None
    """The budget, after which episodes are truncated with reward 0; default: none."""

    def compose(
        self,
        search_space: SearchSpace,
        evaluator: Evaluator | Memory,
        reward: str | Mapping[str, Any] | AnyReward,
        render_mode: str | None,
        observation: str,
        info: str,
    ) -> None:
        """Take the parts, or raise `InvalidSettings` if one does not suit the others."""
        require_known([observation], OBSERVATION_SPACES, "observation: ")
        require_known([info], ("records", "numbers"), "info: ")
        self.observation, self.info = observation, info
        modes = self.metadata["render_modes"]
        if render_mode is not None and render_mode not in modes:
            hint = choices_hint(render_mode, modes)
            raise InvalidSettings(f"render_mode: {short(render_mode)} is not known; {hint}")
        self.render_mode = render_mode
        self.search_space = self._stage = search_space
        self.memory = memory_of(evaluator, search_space)
        """Answers for finished networks; what it asks for new ones is ``memory.evaluator``."""
        self.reward = reward_by_name(reward)
        check_costs(self.reward, self.memory)
        if isinstance(self.reward, Objectives):
            self.reward_space = self.reward.space
            self.reward_dim = len(self.reward.names)
        self.decisions = len(search_space.decisions)
        """T, the number of steps in an episode."""

    @property
    def budget(self) -> Budget:
        """Evaluations and seconds spent since the memory was made."""
        return self.memory.budget

    @property
    def exhausted(self) -> bool:
        """True once a limit of the budget has been reached."""
        return self.limits is not None and self.limits.spent(self.memory.budget)

    def drawn(self, prefix: Choices) -> Any:
        """Return the decisions made: a str in mode "ansi", else an (H, W, 3) uint8 array."""
        if self.render_mode == "ansi":
            return write(self._stage, prefix)
        return np.asarray(draw(self._stage, prefix))


class NASEnv(Design, gym.Env[Observation, np.int64]):
    """Environment whose episode builds one child network; the reward follows from its evaluation.

    Every registered id has a subclass in `nas_gym.envs`, whose docstring is its page for users.

    A deep copy in the middle of an episode goes on from the same prefix, and shares only the
    memory, with its evaluator and budget. A pickle carries what was evaluated; an environment with
    workers or a store cannot be pickled.

    >>> import gymnasium, nas_gym
    >>> env = gymnasium.make("nas_gym/TinyBench-v0")
    >>> _, info = env.reset(seed=0, options={"choices": [3, 1, 1, 3, 1]})
    >>> _, reward, terminated, _, info = env.step(3)
    >>> round(reward, 3), terminated
    (0.467, True)

    Args:
        search_space: The decisions, and the architecture that they mean.
        evaluator: Makes an `Evaluation` of a finished architecture. Known networks are answered
            from `memory`; environments that are given the same `Memory` share it, and the budget.
        reward: A function of the `Evaluation`, or the name of one in `nas_gym.rewards`, or a
            mapping of the ``name`` and of parameters. With `nas_gym.Objectives`, rewards are
            vectors, (K,) float32, by MO-Gymnasium's convention: ``reward_space`` and ``reward_dim``
            describe them.
        render_mode: None, "ansi" (a text), "rgb_array" (a picture) or "human" (a window).
        limits: The budget, a mapping of ``asked``, ``made`` or ``seconds``; see `Limits`. The
            network that reaches it is still evaluated; every later step truncates its episode with
            reward 0. Environments with the same memory share the budget.
            ``info["budget_exhausted"]`` is true, at reset and step, once it is reached: see
            `nas_gym.sb3.StopOnBudget`.
        observation: "choices", (T,) integers, or "one-hot", one flat float32 vector of zeros and
            ones: each decision's one-hot code, one after the other.
        info: "records": the last step's ``info`` has the ``architecture`` as JSON and the record of
            its ``evaluation``. "numbers": it has ``accuracy`` and what else is known of `NUMBERS`
            instead, since some libraries stack what they find there.

    Raises:
        InvalidSettings: no reward or render mode has that name, the reward needs a cost that is not
            measured, a limit is not valid, or the evaluator is a recorded benchmark of another
            search space.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as gymnasium.Env declares it)
        "render_modes": ["ansi", "rgb_array", "human"],
        "render_fps": 4,
    }

    observation_space: ObservationSpace

    def __init__(
        self,
        search_space: SearchSpace,
        evaluator: Evaluator | Memory,
        reward: str | Mapping[str, Any] | AnyReward = accuracy,
        render_mode: str | None = None,
        limits: Limits | Mapping[str, Any] | None = None,
        observation: str = "choices",
        info: str = "records",
    ) -> None:
        self.compose(search_space, evaluator, reward, render_mode, observation, info)
        self.limits = Limits.of(limits)
        self.observation_space = OBSERVATION_SPACES[observation](search_space.decisions)
        self.action_space = spaces.Discrete(search_space.num_actions)
        self._choices: Choices = np.zeros(self.decisions, dtype=np.int64)
        self._partial = np.zeros(self.decisions, dtype=np.int64)  # 0 = undecided
        self._step = 0
        self._started = False
        self.finished: Finished | None = None
        """Architecture and `Evaluation` of the episode that ended last; ``info`` has the latter
        without ``seconds`` and ``cached``, so that it is the same in every run."""
        self._rules = search_space.rules(self._choices, 0)
        self._window: Window | None = None
        self._close_evaluator: Callable[[], None] | None = None

    def action_masks(self) -> Mask:
        """Return the actions that are valid now, (A,) bool, as sb3-contrib's agents ask for it."""
        return self._rules.mask.copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start a new network.

        Args:
            seed: Of the environment's generator; nothing in an episode is drawn from it.
            options: ``{"choices": prefix}`` starts after the choices of the first decisions.

        Raises:
            InvalidSettings: an option is not known, or the prefix is too long or no integers.
            InvalidArchitecture: a choice is not valid after those before it.
        """
        if seed is not None:
            super().reset(seed=seed)
        stage = self.search_space.stage(self.memory.budget.asked)
        prefix = checked_prefix(stage, options) if options else ()

        self._stage = stage
        self._step = len(prefix)
        self._partial.fill(0)
        if options:
            self._choices[: self._step] = prefix
            self._partial[: self._step] = np.add(prefix, 1)
        self._rules = stage.rules(self._choices, self._step)
        self._started = True
        if self.render_mode == "human":
            self.render()
        info: dict[str, Any] = {"action_mask": self._rules.mask_int8.copy()}
        if self.limits is not None:
            info["budget_exhausted"] = self.exhausted
        return self.observation_space.encode(self._partial), info

    def step(self, action: int | np.int64) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Make one decision; the last one triggers evaluation of the network.

        Raises:
            gymnasium.error.InvalidAction: the action is not in the action space. A masked
                one is in it, and becomes a valid one instead.
            gymnasium.error.ResetNeeded: no episode is under way.
        """
        if not self._started:
            raise gym.error.ResetNeeded("call reset() first; it starts a new network")
        choice, invalid = self._rules.resolve(checked_action(action, len(self._rules.mask)))
        if self.exhausted:
            info = {"action_mask": self._rules.mask_int8.copy(), "invalid_action": invalid}
            info["budget_exhausted"] = True
            observation = self.observation_space.encode(self._partial)
            return observation, self._no_reward(), False, True, info

        step = self._step
        self._choices[step] = choice
        self._partial[step] = choice + 1
        self._step = step = step + 1
        self._rules = rules = self._stage.rules(self._choices, step)
        info = {"action_mask": rules.mask_int8.copy(), "invalid_action": invalid}

        reward, terminated = self._no_reward(), step == self.decisions
        if terminated:
            self._started = False
            self.finished = self.memory.finish(self._stage, self._choices)
            info |= self._results(self.finished)
            reward = self.reward(self.finished.evaluation)
            if not isinstance(self.reward, Objectives):
                reward = float(reward)
        if self.limits is not None:
            info["budget_exhausted"] = self.exhausted
        if self.render_mode == "human":
            self.render()
        return self.observation_space.encode(self._partial), reward, terminated, False, info

    def _results(self, finished: Finished) -> Info:
        """Return what ``info`` has of a finished network."""
        architecture, evaluation = finished
        if self.info == "records":
            return {"architecture": architecture, "evaluation": evaluation.outcome()}
        numbers = {name: getattr(evaluation, name) for name in NUMBERS}
        return {name: number for name, number in numbers.items() if number is not None}

    def _no_reward(self) -> Any:
        """Return the reward of every decision but the last."""
        vector = isinstance(self.reward, Objectives)
        return np.zeros(self.reward_dim, dtype=np.float32) if vector else 0.0

    def render(self) -> Any:
        """Show the decisions made: a str, an (H, W, 3) uint8 array, or a window."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; give one to gym.make()")
            return None
        drawn = self.drawn(self._choices[: self._step])
        if self.render_mode != "human":
            return drawn
        if self._window is None:
            self._window = Window(picture_size(self.search_space), self.metadata["render_fps"])
        self._window.show(drawn)
        return None

    def close(self) -> None:
        """Close the window, and the workers and the store that the environment opened."""
        if self._window is not None:
            self._window.close()
            self._window = None
        if self._close_evaluator is not None:
            self._close_evaluator()

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_window": None, "_close_evaluator": None}

    def __deepcopy__(self, memo: dict[int, Any]) -> NASEnv:
        unchanging = (self.search_space, self._stage, self._rules, self.reward, self.spec)
        memo |= {id(each): each for each in (*unchanging, self.observation_space.decisions)}
        copied = object.__new__(type(self))
        memo[id(self)] = copied
        vars(copied).update(deepcopy(self.__getstate__(), memo))
        return copied
