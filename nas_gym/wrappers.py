"""Wrappers of `NASEnv`: other forms of its actions and observations."""

from __future__ import annotations

import reprlib
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from nas_gym.checks import checked_actions
from nas_gym.env import NASEnv
from nas_gym.errors import InvalidSettings, require
from nas_gym.settings import require_known

Info = dict[str, Any]
AnyEnv = gym.Env[Any, Any]


class ContinuousAction(gym.ActionWrapper[Any, NDArray[np.float32], Any], RecordConstructorArgs):
    """Actions are scores; the valid choice with the highest score is taken.

    For algorithms that act in a `Box` alone (SAC, TD3, DDPG, TQC, CrossQ, ARS). The action has A
    scores in [-1, 1], one for each action of the environment; of equal scores, the first wins. On
    top of `WholeArchitecture` it has one for each choice of each decision, in their order.

    Example:
        >>> import gymnasium as gym
        >>> from nas_gym.wrappers import ContinuousAction
        >>> env = ContinuousAction(gym.make("nas_gym/NASBench201-v0"))
        >>> observation, info = env.reset(seed=0)
        >>> env.step([-0.3, 0.1, 0.9, -1.0, 0.2])[0].tolist()
        [3, 0, 0, 0, 0, 0]

    Raises:
        InvalidSettings: the environment's actions are neither `Discrete` nor `MultiDiscrete`, or
            it has no ``action_masks()``.
    """

    def __init__(self, env: AnyEnv) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        has_masks = env.has_wrapper_attr("action_masks")
        require(has_masks, f"ContinuousAction: {env} has no action_masks()")
        self._choices = Scores("ContinuousAction", env.action_space)
        self.action_space = self._choices.action_space

    def action(self, action: NDArray[np.float32]) -> Any:
        """Return the choice, or the choices, that the scores stand for."""
        return self._choices.best(action, self.get_wrapper_attr("action_masks")())


class Scores:
    """Scores in the place of choices, for single and for vector environments.

    Raises:
        InvalidSettings: the actions, ``inner``, are neither `Discrete` nor `MultiDiscrete`.
    """

    def __init__(self, name: str, inner: spaces.Space[Any]) -> None:
        if not isinstance(inner, (spaces.Discrete, spaces.MultiDiscrete)):
            raise InvalidSettings(
                f"{name}: expected Discrete or MultiDiscrete actions, got {inner}"
            )
        self._one = isinstance(inner, spaces.Discrete)
        sizes = np.ravel(inner.n if isinstance(inner, spaces.Discrete) else inner.nvec)
        self._ends = np.cumsum(sizes)[:-1]
        self.action_space = spaces.Box(-1.0, 1.0, (int(sizes.sum()),), np.float32)

    def best(self, scores: NDArray[np.float32], masks: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the valid choices with the highest scores, of equal ones the first.

        Scores and masks, (..., S), have one entry for each choice of each of D decisions; the
        choices are (..., D), or (...) where the actions are `Discrete`.

        Raises:
            InvalidSettings: the scores are no numbers of that shape.
        """
        try:
            numbers = np.asarray(scores, dtype=np.float32).reshape(masks.shape)
            valid = np.where(masks, numbers, -np.inf)
        except (TypeError, ValueError, OverflowError):
            raise InvalidSettings(
                f"action: expected {masks.shape[-1]} scores, got {reprlib.repr(scores)}"
            ) from None
        parts = np.split(valid, self._ends, axis=-1)
        best = np.stack([part.argmax(axis=-1) for part in parts], axis=-1)
        return best[..., 0] if self._one else best


class WholeArchitecture(gym.Wrapper[Any, NDArray[np.int64], Any, np.int64], RecordConstructorArgs):
    """One step designs the whole network: the bandit form, in which NAS-Bench-201's REINFORCE acts.

    The action is `MultiDiscrete`, the choices of all T decisions. Where an earlier choice rules a
    later one out, it is resolved as the environment does, and ``info["invalid_action"]`` says so;
    all actions are allowed, so the masks are all true. `reset` takes no ``options``.

    Example:
        >>> import gymnasium as gym
        >>> from nas_gym.wrappers import WholeArchitecture
        >>> env = WholeArchitecture(gym.make("nas_gym/NASBench201-v0", filters=2, epochs=1))
        >>> observation, info = env.reset(seed=0)
        >>> observation, reward, terminated, truncated, info = env.step([3, 1, 0, 2, 4, 1])
        >>> observation.tolist(), terminated
        ([4, 2, 1, 3, 5, 2], True)

    Raises:
        InvalidSettings: it does not wrap a `NASEnv` whose actions are `Discrete`.
    """

    def __init__(self, env: AnyEnv) -> None:
        RecordConstructorArgs.__init__(self)
        super().__init__(env)
        self._sizes = _innermost(self, env).search_space.num_choices
        require(
            isinstance(env.action_space, spaces.Discrete),
            f"WholeArchitecture: expected Discrete actions, got {env.action_space}; "
            "wrap the environment in it first, and then in the other wrapper",
        )
        self.action_space = spaces.MultiDiscrete(list(self._sizes))

    def action_masks(self) -> NDArray[np.bool_]:
        """Return the mask of all choices, (sum of the decisions' choices,) bool: all are valid."""
        return np.ones(sum(self._sizes), dtype=np.bool_)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Any, Info]:
        """Start a new network.

        Raises:
            InvalidSettings: there are ``options``: an action makes all choices, the first ones too.
        """
        require(not options, f"options: an action makes all choices; got {reprlib.repr(options)}")
        observation, info = self.env.reset(seed=seed, options=options)
        return observation, {**info, "action_mask": self._mask()}

    def step(self, action: NDArray[np.int64]) -> tuple[Any, Any, bool, bool, Info]:
        """Make all T decisions.

        Raises:
            gymnasium.error.InvalidAction: the action is not in the action space.
        """
        invalid = False
        total: Any = 0.0  # a vector with several objectives
        for choice in checked_actions(action, (len(self._sizes),), self._sizes).tolist():
            observation, reward, terminated, truncated, info = self.env.step(choice)
            invalid |= info["invalid_action"]
            total = total + reward
            if truncated:
                break
        info = {**info, "action_mask": self._mask(), "invalid_action": invalid}
        return observation, total, terminated, truncated, info

    def _mask(self) -> tuple[NDArray[np.int8], ...]:
        """Return the mask as `MultiDiscrete.sample` takes it."""
        return tuple(np.ones(size, dtype=np.int8) for size in self._sizes)


class MaskInObservation(gym.ObservationWrapper[Info, Any, Any], RecordConstructorArgs):
    """Observations are a dict of the observation and the mask, as a library looks for them.

    | preset | observation | mask | type of the mask |
    |---|---|---|---|
    | "rllib" | ``observations`` | ``action_mask`` | float32 |
    | "torchrl" | ``observation`` | ``action_mask`` | bool |
    | "tianshou" | ``obs`` | ``mask`` | bool |
    | "pettingzoo" | ``observation`` | ``action_mask`` | int8 |

    The mask is (S,), 1 for each valid action; on top of `WholeArchitecture` and `ContinuousAction`,
    (S,) for the choices of all decisions.

    Example:
        >>> import gymnasium as gym
        >>> from nas_gym.wrappers import MaskInObservation
        >>> env = MaskInObservation(gym.make("nas_gym/TinyBench-v0"), "pettingzoo")
        >>> env.reset(seed=0)[0]["action_mask"].tolist()
        [1, 1, 1, 1, 1]

    Raises:
        InvalidSettings: the preset is not known, or the environment has no ``action_masks()``.
    """

    def __init__(self, env: AnyEnv, preset: str) -> None:
        RecordConstructorArgs.__init__(self, preset=preset)
        super().__init__(env)
        require_known([preset], MASK_PRESETS, "preset: ")
        has_masks = env.has_wrapper_attr("action_masks")
        require(has_masks, f"MaskInObservation: {env} has no action_masks()")
        self._observation_key, self._mask_key, self._dtype = MASK_PRESETS[preset]
        shape = env.get_wrapper_attr("action_masks")().shape
        mask_space = spaces.Box(0, 1, shape, self._dtype)
        self.observation_space = spaces.Dict(
            {self._observation_key: env.observation_space, self._mask_key: mask_space}
        )

    def observation(self, observation: Any) -> Info:
        """Return both as a dict."""
        mask = self.get_wrapper_attr("action_masks")().astype(self._dtype)
        return {self._observation_key: observation, self._mask_key: mask}


MASK_PRESETS: dict[str, tuple[str, str, Any]] = {
    "rllib": ("observations", "action_mask", np.float32),
    "torchrl": ("observation", "action_mask", np.bool_),
    "tianshou": ("obs", "mask", np.bool_),
    "pettingzoo": ("observation", "action_mask", np.int8),
}
"""Keys of the observation and the mask, and the mask's type, by what `MaskInObservation` has."""


def _innermost(wrapper: AnyEnv, env: AnyEnv) -> NASEnv:
    inner = env.unwrapped
    if not isinstance(inner, NASEnv):
        raise InvalidSettings(f"{type(wrapper).__name__}: {inner} is no environment of nas_gym")
    return inner
