"""`FamilyEnv`: the environment of a family whose children are trained, from plain arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, ClassVar, Protocol

from nas_gym.data import Dataset, load_dataset
from nas_gym.env import NASEnv
from nas_gym.envs.evaluators import EVALUATORS, EvaluatorKind, training_settings
from nas_gym.envs.page import OTHER_NAMES, Alternative, Argument, arguments_of, id_of, page, unknown
from nas_gym.errors import InvalidSettings, require, unknown_argument
from nas_gym.evaluation import Evaluator
from nas_gym.networks import NetworkSettings
from nas_gym.rewards import AnyReward
from nas_gym.search_spaces import SearchSpace
from nas_gym.settings import Seed, Size, require_known, settings
from nas_gym.training.settings import LearningSettings, TrainingSettings
from nas_gym.training.tasks.task import Data


@settings
class Images:
    """Images that children are trained on, and where."""

    dataset: str = "digits"
    """A name, an `.npz` file, a folder of images by class, or a `.csv` of paths and labels."""
    image_size: Size | None = None
    """Height and width that images are scaled to; default: as they are."""
    split_seed: Seed = 0
    """Draws the validation and the test split, where the data set has none of its own."""
    device: str = "auto"
    """`"auto"`, `"cpu"`, `"cuda"`, `"cuda:N"` or `"mps"`."""

    def load(self) -> Dataset:
        """Return the data set; `InvalidDataset` if it cannot be had."""
        return load_dataset(self.dataset, self.image_size, self.split_seed)


class DataArguments(Protocol):
    """Arguments that name the data that children are trained on; another task has its own."""

    @property
    def device(self) -> str:
        """Device on which children are trained."""

    def load(self) -> Data:
        """Return the data set."""


class FamilyEnv(NASEnv):
    """An environment of one family, whose children are trained, or share weights.

    A subclass names its search space, its network's settings, its evaluators and its defaults; its
    docstring has the sections of its page that are its own (see `nas_gym.envs.page`). All
    arguments are plain JSON-able values.

    Args:
        evaluator: One of the class's ``evaluators``; default: the first.
        reward, render_mode, limits, observation, info: As in `NASEnv`.
        **arguments: Of the search space, and of the evaluator. Where children are trained: fields
            of ``data_type``, the network's settings, the training's and `Composition`; where they
            share weights, of `WeightSharingSettings` instead of the last two.

    Raises:
        UnknownArgument: an argument is not known.
        InvalidSettings, InvalidDataset: an argument is not valid, or the data set or the device
            cannot be had.
        StoreError: the store cannot be opened.
    """

    search_space_type: ClassVar[type[SearchSpace]]
    network_settings_type: ClassVar[type[NetworkSettings]]
    training_settings_type: ClassVar[type[LearningSettings]] = TrainingSettings
    data_type: ClassVar[Callable[..., DataArguments]] = Images
    """The arguments that name the data."""
    evaluators: ClassVar[tuple[str, ...]] = ("trained",)
    """Names in `EVALUATORS`, the default first."""
    own_evaluators: ClassVar[Mapping[str, EvaluatorKind]] = {}
    """Kinds of evaluators in the place of those in `EVALUATORS`."""
    defaults: ClassVar[dict[str, Any]] = {}
    """Arguments where these differ from the search space's own and from the settings' own."""
    sharing_defaults: ClassVar[dict[str, Any]] = {}
    """Arguments, with shared weights, where these differ from ``defaults``."""
    surrogate: ClassVar[Callable[..., Evaluator]]
    """Makes the evaluator "surrogate" of a search space; a static method."""
    surrogate_defaults: ClassVar[dict[str, Any]] = {}
    """Arguments with a surrogate, in the place of ``defaults``."""

    def __init__(
        self,
        evaluator: str | None = None,
        reward: str | Mapping[str, Any] | AnyReward = "accuracy",
        render_mode: str | None = None,
        limits: Mapping[str, Any] | None = None,
        observation: str = "choices",
        info: str = "records",
        **arguments: Any,
    ) -> None:
        name = self.evaluators[0] if evaluator is None else evaluator
        require_known([name], self.evaluators, "evaluator: ")
        given = self.arguments_by_taker(arguments, name)
        with ExitStack() as stack:
            search_space, made = self.evaluator_kind(name).make(type(self), given, stack)
            super().__init__(search_space, made, reward, render_mode, limits, observation, info)
            self._close_evaluator = stack.pop_all().close

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__doc__ or ""
        if "## Description" in own:
            names = cls.evaluators
            kinds = [Alternative(n, cls.evaluator_kind(n).about, cls.arguments(n)) for n in names]
            cls.__doc__ = page(own, id_of(cls), cls.default_search_space(), kinds)

    @classmethod
    def evaluator_kind(cls, name: str) -> EvaluatorKind:
        """Return one of the class's kinds of evaluators."""
        return cls.own_evaluators.get(name) or EVALUATORS[name]

    @classmethod
    def default_search_space(cls) -> SearchSpace:
        """Return the search space of an environment that is made without arguments."""
        taken = arguments_of(cls.search_space_type)
        return cls.search_space_type(**{n: v for n, v in cls.defaults.items() if n in taken})

    @classmethod
    def arguments(cls, evaluator: str) -> dict[str, Argument]:
        """Return the arguments of the search space and of an evaluator, with their defaults."""
        defaults = cls._defaults(evaluator)
        return {
            name: argument._replace(default=defaults.get(name, argument.default))
            for taker in cls.evaluator_kind(evaluator).takers(cls).values()
            for name, argument in _arguments(taker).items()
        }

    @classmethod
    def _defaults(cls, evaluator: str) -> dict[str, Any]:
        """Return the class's own defaults with an evaluator."""
        others = {
            "weight-sharing": {**cls.defaults, **cls.sharing_defaults},
            "surrogate": cls.surrogate_defaults,
        }
        return others.get(evaluator, cls.defaults)

    @classmethod
    def arguments_by_taker(
        cls, given: Mapping[str, Any], evaluator: str
    ) -> dict[str, dict[str, Any]]:
        """Return the arguments of the search space, the network, ..., with the class's defaults.

        Raises:
            InvalidSettings: a name is not known, or both the search space and another take it.
        """
        takers = cls.evaluator_kind(evaluator).takers(cls)
        taken = {taker: tuple(_arguments(takes)) for taker, takes in takers.items()}
        known = [name for names in taken.values() for name in names]
        values = {**cls._defaults(evaluator), **given}
        for name in values:
            if name not in known:
                says = unknown(name, ["evaluator", *known], f"with evaluator={evaluator!r}")
                raise unknown_argument(given, says)
            both = [taker for taker, names in taken.items() if name in names]
            require(
                len(both) == 1,
                f"{name}: {' and '.join(both)} of {cls.__name__} have an argument of this "
                "name, and one value cannot serve both; rename that of the search space",
            )
        return {t: {n: values[n] for n in names if n in values} for t, names in taken.items()}

    @classmethod
    def split_arguments(
        cls, given: Mapping[str, Any], evaluator: str = "trained"
    ) -> tuple[dict[str, Any], Any]:
        """Return the search space's arguments, and the settings of network and training.

        Raises:
            InvalidSettings: a name or a value is not valid.
        """
        by_taker = cls.arguments_by_taker(given, evaluator)
        for taker in ("data", "workers and store"):
            for name in by_taker.get(taker, {}).keys() & given.keys():
                raise InvalidSettings(f"{name}: it belongs to {taker}; leave it out here")
        return by_taker["search space"], training_settings(cls, by_taker, evaluator)


def _arguments(taker: Callable[..., Any]) -> dict[str, Argument]:
    """Return what a taker takes, under the names of the environment's arguments."""
    taken = arguments_of(taker)
    for given_by_us in ("network", "search_space"):
        taken.pop(given_by_us, None)
    return {OTHER_NAMES.get(name, name): argument for name, argument in taken.items()}
