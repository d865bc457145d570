"""The ways to evaluate the children of a family, each with the arguments that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nas_gym.envs.composition import Composition, composed
from nas_gym.envs.page import OTHER_NAMES
from nas_gym.evaluation import Evaluator
from nas_gym.search_spaces import SearchSpace
from nas_gym.training.settings import LearningSettings
from nas_gym.training.trainer import Trainer
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings

if TYPE_CHECKING:
    from nas_gym.envs.family_env import FamilyEnv

Takers = Mapping[str, Callable[..., Any]]
ByTaker = Mapping[str, dict[str, Any]]


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


def training_settings(env: type[FamilyEnv], given: ByTaker, evaluator: str) -> Any:
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
    training, data = training_settings(env, given, evaluator), env.data_type(**given["data"])
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
