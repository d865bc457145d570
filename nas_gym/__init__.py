"""nas_gym: neural-network architecture design as a Gymnasium environment.

``import nas_gym`` registers the environments; ``gym.make("nas_gym:nas_gym/NASNet-v0")`` does so by
itself. Every public name is imported when it is asked for, so that none waits for torch in vain.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import gymnasium

from nas_gym.families import register_built_in
from nas_gym.family import Family, register_family, registered_families

if TYPE_CHECKING:
    from nas_gym import envs, rewards, sb3, wrappers
    from nas_gym.architecture import Architecture, InvalidArchitecture, published
    from nas_gym.data.datasets import load_dataset
    from nas_gym.env import NASEnv
    from nas_gym.errors import InvalidSettings, NASGymError
    from nas_gym.evaluation.budget import Budget
    from nas_gym.evaluation.evaluation import Evaluation
    from nas_gym.evaluation.evaluator import Evaluator, RecordedEvaluator
    from nas_gym.families.enas.macro_search_space import ENASMacroSearchSpace
    from nas_gym.families.enas.micro_search_space import ENASMicroSearchSpace
    from nas_gym.families.mnasnet.search_space import MnasNetSearchSpace
    from nas_gym.families.nas.search_space import NASSearchSpace
    from nas_gym.families.nasbench101.search_space import NASBench101SearchSpace
    from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
    from nas_gym.families.nasnet.search_space import NASNetSearchSpace
    from nas_gym.search_spaces.base import SearchSpace
    from nas_gym.search_spaces.conditions import Decision
    from nas_gym.search_spaces.custom import CustomArchitecture, CustomSearchSpace
    from nas_gym.training.settings import TrainingSettings
    from nas_gym.training.trainer import Trainer
    from nas_gym.vector_env import NASVectorEnv

__version__ = "0.1.0"

_LAZY = {
    "Architecture": "architecture",
    "Budget": "evaluation.budget",
    "CustomArchitecture": "search_spaces.custom",
    "CustomSearchSpace": "search_spaces.custom",
    "Decision": "search_spaces.conditions",
    "ENASMacroSearchSpace": "families.enas.macro_search_space",
    "ENASMicroSearchSpace": "families.enas.micro_search_space",
    "Evaluation": "evaluation.evaluation",
    "Evaluator": "evaluation.evaluator",
    "InvalidArchitecture": "architecture",
    "InvalidSettings": "errors",
    "MnasNetSearchSpace": "families.mnasnet.search_space",
    "NASBench101SearchSpace": "families.nasbench101.search_space",
    "NASBench201SearchSpace": "families.nasbench201.search_space",
    "NASEnv": "env",
    "NASGymError": "errors",
    "NASNetSearchSpace": "families.nasnet.search_space",
    "NASSearchSpace": "families.nas.search_space",
    "NASVectorEnv": "vector_env",
    "RecordedEvaluator": "evaluation.evaluator",
    "SearchSpace": "search_spaces.base",
    "Trainer": "training.trainer",
    "TrainingSettings": "training.settings",
    "envs": "",
    "published": "architecture",
    "load_dataset": "data.datasets",
    "rewards": "",
    "sb3": "",
    "wrappers": "",
}
"""Where each lazy public name is: in which module of the package; "" for a module itself."""

__all__ = [
    "Architecture",
    "Budget",
    "CustomArchitecture",
    "CustomSearchSpace",
    "Decision",
    "ENASMacroSearchSpace",
    "ENASMicroSearchSpace",
    "Evaluation",
    "Evaluator",
    "Family",
    "InvalidArchitecture",
    "InvalidSettings",
    "MnasNetSearchSpace",
    "NASBench101SearchSpace",
    "NASBench201SearchSpace",
    "NASEnv",
    "NASGymError",
    "NASNetSearchSpace",
    "NASSearchSpace",
    "NASVectorEnv",
    "RecordedEvaluator",
    "SearchSpace",
    "Trainer",
    "TrainingSettings",
    "envs",
    "load_dataset",
    "published",
    "register_family",
    "rewards",
    "sb3",
    "wrappers",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if not _LAZY[name]:
        return importlib.import_module(f"{__name__}.{name}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_built_in()
for _family in registered_families():
    for _env_id, _entry_point in _family.environments.items():
        gymnasium.register(
            id=_env_id,
            entry_point=_entry_point,
            vector_entry_point=f"nas_gym.vector_env:{_env_id.removeprefix('nas_gym/')}",
            order_enforce=False,  # NASEnv does so itself
            disable_env_checker=True,  # the tests check every environment
        )
