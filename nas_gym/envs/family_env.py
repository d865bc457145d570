"""`FamilyEnv`: the environment of a family whose children are trained, from plain arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

from nas_gym.data import Dataset, load_dataset
from nas_gym.env import NASEnv
from nas_gym.envs.composition import Composition, composed
from nas_gym.envs.page import OTHER_NAMES, Alternative, Argument, arguments_of, id_of, page, unknown
from nas_gym.errors import InvalidSettings, require, unknown_argument
from nas_gym.evaluation import Evaluator
from nas_gym.networks import NetworkSettings
from nas_gym.rewards import AnyReward
from nas_gym.search_spaces import SearchSpace
from nas_gym.settings import Seed, Size, require_known, settings
from nas_gym.training.settings import LearningSettings, TrainingSettings
from nas_gym.training.tasks.task import Data
from nas_gym.training.trainer import Trainer
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings

Takers = Mapping[str, Callable[..., Any]]
ByTaker = Mapping[str, dict[str, Any]]


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


@dataclass(frozen=True)
class EvaluatorKind:
    """One way to evaluate the children of a family."""

    takers: Callable[[type[FamilyEnv]], Takers]
    """Classes and functions that take the environment's arguments, by what messages call them."""
    make: Callable[[type[FamilyEnv], ByTaker, ExitStack], tuple[SearchSpace, Evaluator]]
    """Makes both from each taker's arguments; the stack is closed with the environment."""
    about: str
    """A paragraph on its evaluations, for the pages."""
    settings_type: type[LearningSettings] | None = None
    """Settings of the training; default: the environment's ``training_settings_type``."""


class FamilyEnv(NASEnv):
    """An environment of one family, whose children are trained, or share weights.

    A subclass names its search space, its network's settings, its evaluators and its defaults; its
    docstring has the sections of its page that are its own (see `nas_gym.envs.page`). All
    arguments are plain JSON-able values.

    Args:
        evaluator: One of the class's ``evaluators``; default: the first.
        reward: As in `NASEnv`.
        render_mode: As in `NASEnv`.
        limits: As in `NASEnv`.
        observation: As in `NASEnv`.
        info: As in `NASEnv`.
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
        return by_taker["search space"], _training(cls, by_taker, evaluator)


def _arguments(taker: Callable[..., Any]) -> dict[str, Argument]:
    """Return what a taker takes, under the names of the environment's arguments."""
    taken = arguments_of(taker)
    for given_by_us in ("network", "search_space"):
        taken.pop(given_by_us, None)
    return {OTHER_NAMES.get(name, name): argument for name, argument in taken.items()}


def _training(env: type[FamilyEnv], given: ByTaker, evaluator: str) -> Any:
    """Return the settings of an evaluator's training, with the network's in them."""
    fields_of = {other: name for name, other in OTHER_NAMES.items()}
    training = {fields_of.get(name, name): value for name, value in given["training"].items()}
    network = env.network_settings_type(**given["network"])
    settings_type = env.evaluator_kind(evaluator).settings_type or env.training_settings_type
    return settings_type(network=network, **training)


def _takers(others: Takers, env: type[FamilyEnv]) -> Takers:
    data, network = env.data_type, env.network_settings_type
    takers: Takers = {"search space": env.search_space_type, "data": data, "network": network}
    return {**takers, **others}


def _trained_takers(env: type[FamilyEnv]) -> Takers:
    return _takers({"training": env.training_settings_type, "workers and store": Composition}, env)


def _made(
    env: type[FamilyEnv], given: ByTaker, evaluator: str
) -> tuple[SearchSpace, Any, Any, str]:
    """Return the search space, the data, the settings of the training, and the device."""
    search_space = env.search_space_type(**given["search space"])
    training, data = _training(env, given, evaluator), env.data_type(**given["data"])
    return search_space, data.load(), training, data.device


def _trained(
    env: type[FamilyEnv], given: ByTaker, stack: ExitStack
) -> tuple[SearchSpace, Evaluator]:
    around = Composition(**given["workers and store"])
    search_space, data, training, device = _made(env, given, "trained")
    kind = search_space.architecture_type
    trainer = Trainer(data, training, device, architecture_type=kind)
    return search_space, stack.enter_context(composed(trainer, around))


def sharing(
    evaluator: Callable[..., Evaluator], settings_type: type[LearningSettings], about: str
) -> EvaluatorKind:
    """Return the kind of evaluators of shared weights that are made as `WeightSharing` is."""

    def make(
        env: type[FamilyEnv], given: ByTaker, stack: ExitStack
    ) -> tuple[SearchSpace, Evaluator]:
        search_space, *parts = _made(env, given, "weight-sharing")
        return search_space, evaluator(search_space, *parts)

    return EvaluatorKind(partial(_takers, {"training": settings_type}), make, about, settings_type)


def _surrogate(
    env: type[FamilyEnv], given: ByTaker, stack: ExitStack
) -> tuple[SearchSpace, Evaluator]:
    search_space = env.search_space_type(**given["search space"])
    return search_space, env.surrogate(search_space, **given["surrogate"])


EVALUATORS: dict[str, EvaluatorKind] = {
    "trained": EvaluatorKind(
        _trained_takers,
        _trained,
        "A network that was trained before under the same settings is answered from memory;\n"
        "isomorphic ones are the same network. A child's own seed follows from `training_seed`\n"
        "and the architecture alone.",
    ),
    "weight-sharing": sharing(
        WeightSharing,
        WeightSharingSettings,
        'With `evaluator="weight-sharing"`, all children share the weights of a supernet, and the\n'
        "accuracy is that on a minibatch of validation images under these weights as they stand.\n"
        "Nothing is answered from memory. `env.unwrapped.memory.evaluator` is the\n"
        "`nas_gym.weight_sharing.evaluator.WeightSharing`, whose `train_epoch` trains the weights: "
        "a\ncontroller has to call it, as the agent `enas` does.",
    ),
    "surrogate": EvaluatorKind(
        lambda env: {"search space": env.search_space_type, "surrogate": env.surrogate},
        _surrogate,
        'With `evaluator="surrogate"`, a model that was fitted to trained networks says the\n'
        "accuracy, and nothing is trained.",
    ),
}
"""The evaluators that an environment can have, by name."""
