"""`NASEnv`: designing a neural network as a Gymnasium environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.evaluation.budget import Budget
from nas_gym.evaluation.evaluator import Evaluator
from nas_gym.evaluation.memory import CachingEvaluator
from nas_gym.rendering import Window, draw, picture_size, write
from nas_gym.rewards import Reward, accuracy, check_costs, reward_by_name
from nas_gym.search_spaces import Decision, Mask, SearchSpace

Observation = NDArray[np.integer[Any]]
"""(T,) of a small integer type: 0 = not decided yet, c + 1 = choice c."""

REMEMBERED = 2**14
"""How many sequences of choices an environment keeps the outcome of, so as not to decode again."""


class Outcome(NamedTuple):
    """What a sequence of choices came to."""

    reward: float
    architecture: str
    evaluation: dict[str, Any]


class NASEnv(gym.Env[Observation, np.int64]):
    """An episode builds one child network; the reward is what it was worth.

    This is the environment behind every registered id: `nas_gym.envs` has one class for each,
    whose docstring is its page for users.

    Args:
        search_space: The decisions, and the architecture that they mean.
        evaluator: What makes an `Evaluation` of a finished architecture. One that was evaluated
            before is answered from memory; environments that are given the same
            `CachingEvaluator` share this memory, and the budget.
        reward: A function of the `Evaluation`, or the name of one in `nas_gym.rewards`, or a
            mapping of the ``name`` and of parameters.
        render_mode: None, "ansi" (a text), "rgb_array" (a picture) or "human" (a window).

    Raises:
        InvalidSettings: no reward or render mode has that name, the reward needs a cost that the
            evaluator does not measure, or the evaluator is a recorded benchmark of another search
            space.
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
        check_render_mode(render_mode, self.metadata["render_modes"])
        self.search_space = search_space
        self.evaluator = caching_evaluator(evaluator, search_space)
        self.reward = reward_by_name(reward)
        check_costs(self.reward, evaluator)
        self.render_mode = render_mode
        self.observation_space = observation_space_of(search_space)
        self.action_space = spaces.Discrete(search_space.num_actions)
        self._window: Window | None = None
        self.decisions = len(search_space.decisions)
        """T, the number of steps in an episode."""
        self._choices = np.zeros(self.decisions, dtype=np.int64)
        self._observation = np.zeros(self.decisions, dtype=self.observation_space.dtype)
        self._step = 0
        self._started = False
        self._outcomes: dict[bytes, Outcome] = {}  # by sequence of choices
        self._stage = search_space
        self._rules = search_space.rules(self._choices, 0)

    @property
    def budget(self) -> Budget:
        """What has been spent on evaluations since the environment was made."""
        return self.evaluator.budget

    def action_masks(self) -> Mask:
        """Which actions are valid now, (A,) bool, as sb3-contrib's maskable agents ask for it."""
        return self._rules.mask.copy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Starts a new network: nothing is decided."""
        if seed is not None:
            super().reset(seed=seed)
        self._observation.fill(0)
        self._step = 0
        self._started = True
        self._stage = self.search_space.stage(self.evaluator.budget.asked)
        self._rules = self._stage.rules(self._choices, 0)
        if self.render_mode == "human":
            self.render()
        return self._observation.copy(), {"action_mask": self._rules.mask_int8.copy()}

    def step(self, action: int | np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Makes one decision; the last one has the network evaluated."""
        if not self._started:
            raise gym.error.ResetNeeded("call reset() first; it starts a new network")
        step = self._step
        choice, invalid = self._rules.resolve(int(action))
        self._choices[step] = choice
        self._observation[step] = choice + 1
        self._step = step = step + 1
        self._rules = rules = self._stage.rules(self._choices, step)
        info = {"action_mask": rules.mask_int8.copy(), "invalid_action": invalid}
        terminated = step == self.decisions
        reward = self._evaluate(info) if terminated else 0.0
        if self.render_mode == "human":
            self.render()
        return self._observation.copy(), reward, terminated, False, info

    def _evaluate(self, info: dict[str, Any]) -> float:
        """The reward of the finished network; adds its record to ``info``."""
        self._started = False
        sequence = self._choices.tobytes()
        outcome = self._outcomes.get(sequence)
        if outcome is None:
            outcome = self._outcome()
            if len(self._outcomes) == REMEMBERED:
                self._outcomes.clear()
            if self.evaluator.remembers:
                reward, architecture, evaluation = outcome
                again = Outcome(reward, architecture, {**evaluation, "cached": True})
                self._outcomes[sequence] = again
        else:
            self.evaluator.budget.asked += 1
        info["architecture"] = outcome.architecture
        info["evaluation"] = {**outcome.evaluation, "curve": outcome.evaluation["curve"].copy()}
        return outcome.reward

    def _outcome(self) -> Outcome:
        """What the finished network was worth, which counts as one evaluation asked for."""
        evaluation = self.evaluator.evaluate_choices(self._stage, self._choices[np.newaxis])[0]
        architecture = self._stage.decode(self._choices).to_json()
        return Outcome(float(self.reward(evaluation)), architecture, evaluation.to_dict())

    def render(self) -> Any:
        """The network as far as it is decided: a str, an (H, W, 3) uint8 array, or a window."""
        if self.render_mode is None:
            gym.logger.warn("render() was called without a render_mode; give one to gym.make()")
            return None
        prefix = self._choices[: self._step]
        if self.render_mode == "ansi":
            return write(self._stage, prefix)
        picture = np.asarray(draw(self._stage, prefix))
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


class PartialArchitectures(spaces.MultiDiscrete):
    """The partial architectures of a search space, (T,): 0 = not decided yet, c + 1 = choice c.

    A small integer type that holds the sum of the sizes, for Stable-Baselines3 adds them up in
    their own type.

    Args:
        decisions: What is decided, in order; a policy may read it from ``decisions``.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = tuple(decisions)
        sizes = [len(decision.choices) + 1 for decision in decisions]
        super().__init__(sizes, dtype=np.min_scalar_type(-sum(sizes)).name)


def observation_space_of(search_space: SearchSpace) -> PartialArchitectures:
    """The partial architectures of a search space."""
    return PartialArchitectures(search_space.decisions)


def caching_evaluator(evaluator: Evaluator, search_space: SearchSpace) -> CachingEvaluator:
    """``evaluator`` with a memory and a budget, if it has none yet.

    Raises:
        InvalidSettings: it is a recorded benchmark of another search space.
    """
    caching = evaluator if isinstance(evaluator, CachingEvaluator) else CachingEvaluator(evaluator)
    recorded = caching.recorded
    require(
        recorded is None or recorded.search_space.decisions == search_space.decisions,
        f"evaluator: its recorded evaluations are not of {search_space}'s decisions; "
        "hand in the evaluator's own search_space",
    )
    return caching


def check_render_mode(render_mode: str | None, known: list[str]) -> None:
    """Raise `InvalidSettings` unless a render mode is None or one of those known."""
    if render_mode is not None and render_mode not in known:
        hint = choices_hint(render_mode, known)
        raise InvalidSettings(f"render_mode: {render_mode!r} is not known; {hint}")
