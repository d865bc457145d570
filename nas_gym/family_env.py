"""`FamilyEnv`: the environment of a family, with any of its evaluators, from plain arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from nas_gym.composition import Composition, composed
from nas_gym.data.dataset import Dataset
from nas_gym.data.datasets import load_dataset
from nas_gym.env import NASEnv
from nas_gym.errors import InvalidSettings, choices_hint
from nas_gym.evaluation.evaluator import Evaluator
from nas_gym.networks import NetworkSettings
from nas_gym.rewards import Reward
from nas_gym.search_spaces import SearchSpace
from nas_gym.settings import Size, settings
from nas_gym.tables.table import Table
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings

Arguments = Mapping[str, Any]
OTHER_NAMES = {"seed": "training_seed"}
"""Fields of the training's settings that are arguments of another name: the environment's
``reset(seed=)`` is another seed."""


@settings
class Images:
    """Images that children are trained on, and where.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    dataset: str = "digits"
    """A name, an `.npz` file, or a folder of images by class."""
    image_size: Size | None = None
    """Height and width that images are scaled to; default: as they are."""
    device: str = "auto"
    """`"auto"`, `"cpu"`, `"cuda"`, `"cuda:N"` or `"mps"`."""

    def load(self) -> Dataset:
        """Return the data set."""
        return load_dataset(self.dataset, self.image_size)


@dataclass(frozen=True)
class EvaluatorKind:
    """One way to evaluate the children of a family.

    Args:
        owners: Names of its arguments, by what takes them: the search space, the network, ...
        make: Makes the search space and the evaluator from each owner's arguments; what the stack
            is given is closed with the environment.
    """

    owners: Callable[[type[FamilyEnv]], Mapping[str, Iterable[str]]]
    make: Callable[
        [type[FamilyEnv], Mapping[str, dict[str, Any]], ExitStack], tuple[SearchSpace, Evaluator]
    ]
    settings_type: type[TrainingSettings] | None = None
    """Settings of the training, if anything is trained."""


class FamilyEnv(NASEnv):
    """An environment of one family, whose children are trained, looked up, or share weights.

    A subclass names its search space, its network's settings, its evaluators and its defaults; its
    docstring has the sections of its page that are its own (see `nas_gym.page`). All arguments are
    plain JSON-able values.

    Args:
        evaluator: One of the class's ``evaluators``; default: the first.
        reward: A function of the `Evaluation`, or the name of one in `nas_gym.rewards`, or a
            mapping of the ``name`` and of parameters.
        render_mode: As in `NASEnv`.
        **arguments: Of the search space, and of the evaluator. Where children are trained: fields
            of `Images`, the network's settings, `TrainingSettings` and `Composition`; where they
            share weights, of `WeightSharingSettings` instead of the last two; where they are looked
            up, the arguments of ``recorded``.

    Raises:
        InvalidSettings, InvalidDataset: an argument is not known or not valid, or the data set or
            the device cannot be had.
        InvalidTable: the benchmark cannot be had, or has not recorded this.
        StoreError: the store cannot be opened.
    """

    search_space_type: ClassVar[type[SearchSpace]]
    network_settings_type: ClassVar[type[NetworkSettings]]
    evaluators: ClassVar[tuple[str, ...]] = ("trained",)
    """Names in `EVALUATORS`, the default first."""
    defaults: ClassVar[dict[str, Any]] = {}
    """Arguments where these differ from the search space's own and from the settings' own."""
    sharing_defaults: ClassVar[dict[str, Any]] = {}
    """Arguments, with shared weights, where these differ from ``defaults``."""
    recorded: ClassVar[Callable[..., Table]]
    """Loads the benchmark; a static method."""

    def __init__(
        self,
        evaluator: str | None = None,
        reward: str | Mapping[str, Any] | Reward = "accuracy",
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        name = self.evaluators[0] if evaluator is None else evaluator
        if name not in self.evaluators:
            hint = choices_hint(name, self.evaluators)
            raise InvalidSettings(f"evaluator: {name!r} is not known; {hint}")
        kind = EVALUATORS[name]
        with ExitStack() as stack:
            given = self.arguments_by_owner(arguments, name)
            search_space, made = kind.make(type(self), given, stack)
            super().__init__(search_space, made, reward, render_mode)
            self._close_evaluator = stack.pop_all().close

    @classmethod
    def default_search_space(cls) -> SearchSpace:
        """Return the search space of an environment that is made without arguments."""
        owners = EVALUATORS[cls.evaluators[0]].owners(cls)
        names = set(owners.get("search space", ()))
        return cls.search_space_type(**{n: v for n, v in cls.defaults.items() if n in names})

    @classmethod
    def arguments_by_owner(cls, given: Arguments, evaluator: str) -> dict[str, dict[str, Any]]:
        """Return the arguments of the search space, the network, ..., with the class's defaults.

        Args:
            given: Arguments of the environment.
            evaluator: Name of the evaluator.

        Raises:
            InvalidSettings: a name is not known, or both the search space and another take it.
        """
        owners = {owner: tuple(names) for owner, names in EVALUATORS[evaluator].owners(cls).items()}
        known = [name for names in owners.values() for name in names]
        for name in given:
            if name not in known:
                raise InvalidSettings(_unknown(name, evaluator, known))
        defaults: dict[str, Any] = {} if evaluator == "recorded" else dict(cls.defaults)
        if evaluator == "weight-sharing":
            defaults |= cls.sharing_defaults
        values = {**defaults, **given}
        for name in values:
            takers = [owner for owner, names in owners.items() if name in names]
            if len(takers) > 1:
                raise InvalidSettings(
                    f"{name}: {' and '.join(takers)} of {cls.__name__} have an argument of this "
                    "name, and one value cannot serve both; rename that of the search space"
                )
        return {
            owner: {name: values[name] for name in names if name in values}
            for owner, names in owners.items()
        }

    @classmethod
    def split_arguments(
        cls, given: Arguments, evaluator: str = "trained"
    ) -> tuple[dict[str, Any], TrainingSettings]:
        """Return the search space's arguments, and the settings that the others make.

        Args:
            given: Arguments of the search space, the network and the training.
            evaluator: "trained" or "weight-sharing".

        Raises:
            InvalidSettings: a name or a value is not valid.
        """
        by_owner = cls.arguments_by_owner(given, evaluator)
        for owner in ("images", "workers and store"):
            for name in by_owner.get(owner, ()):
                raise InvalidSettings(f"{name}: it belongs to {owner}; leave it out here")
        settings_type = EVALUATORS[evaluator].settings_type
        assert settings_type is not None
        return by_owner["search space"], _training(cls, by_owner, settings_type)


def _unknown(name: str, evaluator: str, known: list[str]) -> str:
    other = OTHER_NAMES.get(name)
    if other in known:
        return (
            f"{name}: the seed of children's training is {other!r} (reset(seed=) seeds the "
            "environment's own generator)"
        )
    return (
        f"{name!r} is not an argument of this environment with evaluator={evaluator!r}; "
        f"{choices_hint(name, known)}"
    )


def _names(settings_type: type[Any]) -> tuple[str, ...]:
    """Return the names under which the fields of settings are arguments."""
    names = [each.name for each in fields(settings_type) if each.name != "network"]
    return tuple(OTHER_NAMES.get(name, name) for name in names)


def _training(
    env: type[FamilyEnv],
    given: Mapping[str, dict[str, Any]],
    settings_type: type[TrainingSettings],
) -> TrainingSettings:
    fields_of = {other: name for name, other in OTHER_NAMES.items()}
    training = {fields_of.get(name, name): value for name, value in given["training"].items()}
    network = env.network_settings_type(**given["network"])
    return settings_type(network=network, **training)


def _trained_owners(env: type[FamilyEnv]) -> dict[str, Iterable[str]]:
    return {
        "search space": inspect.signature(env.search_space_type).parameters,
        "images": _names(Images),
        "network": _names(env.network_settings_type),
        "training": _names(TrainingSettings),
        "workers and store": _names(Composition),
    }


def _trained(
    env: type[FamilyEnv], given: Mapping[str, dict[str, Any]], stack: ExitStack
) -> tuple[SearchSpace, Evaluator]:
    search_space = env.search_space_type(**given["search space"])
    training = _training(env, given, TrainingSettings)
    images, around = Images(**given["images"]), Composition(**given["workers and store"])
    trainer = Trainer(images.load(), training, images.device)
    return search_space, stack.enter_context(composed(trainer, around))


def _sharing_owners(env: type[FamilyEnv]) -> dict[str, Iterable[str]]:
    return {
        "search space": inspect.signature(env.search_space_type).parameters,
        "images": _names(Images),
        "network": _names(env.network_settings_type),
        "training": _names(WeightSharingSettings),
    }


def _sharing(
    env: type[FamilyEnv], given: Mapping[str, dict[str, Any]], stack: ExitStack
) -> tuple[SearchSpace, Evaluator]:
    search_space = env.search_space_type(**given["search space"])
    sharing = _training(env, given, WeightSharingSettings)
    assert isinstance(sharing, WeightSharingSettings)
    images = Images(**given["images"])
    return search_space, WeightSharing(search_space, images.load(), sharing, images.device)


def _recorded_owners(env: type[FamilyEnv]) -> dict[str, Iterable[str]]:
    taken = inspect.signature(env.recorded).parameters
    return {"benchmark": taken, "nothing": {"training_seed"} - set(taken)}


def _recorded(
    env: type[FamilyEnv], given: Mapping[str, dict[str, Any]], stack: ExitStack
) -> tuple[SearchSpace, Evaluator]:
    return env.default_search_space(), env.recorded(**given["benchmark"])


EVALUATORS: dict[str, EvaluatorKind] = {
    "trained": EvaluatorKind(_trained_owners, _trained, TrainingSettings),
    "recorded": EvaluatorKind(_recorded_owners, _recorded),
    "weight-sharing": EvaluatorKind(_sharing_owners, _sharing, WeightSharingSettings),
}
"""What makes the evaluators that an environment can have, by name."""
