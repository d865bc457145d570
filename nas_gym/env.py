"""`NASEnv`: designing a neural network as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from nas_gym.errors import InvalidSettings, choices_hint
from nas_gym.evaluation.evaluator import Budget, CachingEvaluator, Evaluator
from nas_gym.rendering import Window, draw, picture_size, write
from nas_gym.rewards import Reward, accuracy, check_costs, reward_by_name
from nas_gym.search_spaces import Mask, SearchSpace, resolve_action

Observation = NDArray[np.int64]
"""(T,) int64: 0 = not decided yet, c + 1 = choice c."""


class NASEnv(gym.Env[Observation, np.int64]):
    """An episode builds one child network; the reward is what it was worth.

    This is the environment behind every registered id: `nas_gym.envs` has one class for each,
    whose docstring is its page for users.

    Args:
        search_space: The decisions, and the architecture that they mean.
        evaluator: What makes an `Evaluation` of a finished architecture. One that was evaluated
            before is answered from memory.
        reward: A function of the `Evaluation`, or the name of one in `nas_gym.rewards`, or a
            mapping of the ``name`` and of parameters.
        render_mode: None, "ansi" (a text), "rgb_array" (a picture) or "human" (a window).

    Raises:
        InvalidSettings: no reward or render mode has that name, or the reward needs a cost that the
            evaluator does not measure.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012 (as gymnasium.Env declares it)
        "render_modes": ["ansi", "rgb_array", "human"],
        "render_fps": 4,
    }

    def __init__(
        self,
        search_space: SearchSpace,
        evaluator: Evaluator,
        reward: str | Mapping[str, Any] | Reward = accuracy,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            hint = choices_hint(render_mode, self.metadata["render_modes"])
            raise InvalidSettings(f"render_mode: {render_mode!r} is not known; {hint}")
        self.search_space = search_space
        self.evaluator = CachingEvaluator(evaluator)
        self.reward = reward_by_name(reward)
        check_costs(self.reward, evaluator)
        self.render_mode = render_mode
        self.observation_space = spaces.MultiDiscrete(
            [number + 1 for number in search_space.num_choices]
        )
        self.action_space = spaces.Discrete(search_space.num_actions)
        self._window: Window | None = None
        self.decisions = len(search_space.decisions)
        """T, the number of steps in an episode."""
        self._choices = np.zeros(self.decisions, dtype=np.int64)
        self._observation = np.zeros(self.decisions, dtype=np.int64)
        self._step = 0
        self._stage = search_space
        self._mask = search_space.action_mask(self._choices[:0])

    @property
    def budget(self) -> Budget:
        """What has been spent on evaluations since the environment was made."""
        return self.evaluator.budget

    def action_masks(self) -> Mask:
        """Which actions are valid now, (A,) bool, as sb3-contrib's maskable agents ask for it."""
        return self._mask.copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts a new network: nothing is decided."""
        super().reset(seed=seed)
        self._observation[:] = 0
        self._step = 0
        self._stage = self.search_space.stage(self.budget.asked)
        self._mask = self._stage.action_mask(self._choices[:0])
        if self.render_mode == "human":
            self.render()
        return self._observation.copy(), {"action_mask": self._mask.astype(np.int8)}

    def step(self, action: int | np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Makes one decision; the last one has the network evaluated."""
        if self._step == self.decisions:
            raise gym.error.ResetNeeded("the network is complete; call reset() for a new one")
        choice, invalid = resolve_action(self._mask, int(action))
        self._choices[self._step] = choice
        self._observation[self._step] = choice + 1
        self._step += 1
        self._mask = self._stage.action_mask(self._choices[: self._step])
        info = {"action_mask": self._mask.astype(np.int8), "invalid_action": invalid}
        terminated = self._step == self.decisions
        reward = self._evaluate(info) if terminated else 0.0
        if self.render_mode == "human":
            self.render()
        return self._observation.copy(), reward, terminated, False, info

    def _evaluate(self, info: dict[str, Any]) -> float:
        """The reward of the finished network; adds its record to ``info``."""
        architecture = self._stage.decode(self._choices)
        [evaluation] = self.evaluator.evaluate([architecture])
        info["architecture"] = architecture.to_json()
        info["evaluation"] = evaluation.to_dict()
        return float(self.reward(evaluation))

    def render(self) -> Any:
        """The network as far as it is decided: a str, an (H, W, 3) uint8 array, or a window."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; give one to gym.make()")
            return None
        if self.render_mode == "ansi":
            return write(self._stage, self._choices[: self._step])
        picture = np.asarray(draw(self._stage, self._choices[: self._step]))
        if self.render_mode == "rgb_array":
            return picture
        if self._window is None:
            self._window = Window(picture_size(self.search_space), self.metadata["render_fps"])
        self._window.show(picture)
        return None

    def close(self) -> None:
        """Closes the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None
