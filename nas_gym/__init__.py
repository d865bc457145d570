"""nas_gym: neural-network architecture design as a Gymnasium environment.

``import nas_gym`` registers the environments; ``gym.make("nas_gym:nas_gym/NASNet-v0")`` does so by
itself. Every public name is imported when it is first used, so that none waits for torch in vain.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nas_gym.families import register_built_in
from nas_gym.family import Family as Family
from nas_gym.family import register_family as register_family
from nas_gym.family import registered_families as registered_families
from nas_gym.registration import register as register

if TYPE_CHECKING:  # each name again, as type checkers see it
    from nas_gym import envs as envs
    from nas_gym import pareto as pareto
    from nas_gym import rewards as rewards
    from nas_gym import sb3 as sb3
    from nas_gym import wrappers as wrappers
    from nas_gym.architecture import Architecture as Architecture
    from nas_gym.architecture import InvalidArchitecture as InvalidArchitecture
    from nas_gym.architecture import published as published
    from nas_gym.data import Dataset as Dataset
    from nas_gym.data import InvalidDataset as InvalidDataset
    from nas_gym.data import load_dataset as load_dataset
    from nas_gym.env import NASEnv as NASEnv
    from nas_gym.errors import InvalidSettings as InvalidSettings
    from nas_gym.errors import NASGymError as NASGymError
    from nas_gym.evaluation import Budget as Budget
    from nas_gym.evaluation import Evaluation as Evaluation
    from nas_gym.evaluation import Evaluator as Evaluator
    from nas_gym.evaluation import Memory as Memory
    from nas_gym.evaluation import RecordedEvaluator as RecordedEvaluator
    from nas_gym.families.enas.macro_search_space import (
        ENASMacroSearchSpace as ENASMacroSearchSpace,
    )
    from nas_gym.families.enas.micro_search_space import (
        ENASMicroSearchSpace as ENASMicroSearchSpace,
    )
    from nas_gym.families.enas_recurrent.search_space import (
        ENASRecurrentSearchSpace as ENASRecurrentSearchSpace,
    )
    from nas_gym.families.gated.search_space import GatedSearchSpace as GatedSearchSpace
    from nas_gym.families.mnasnet.search_space import MnasNetSearchSpace as MnasNetSearchSpace
    from nas_gym.families.mobile.architecture import MobileArchitecture as MobileArchitecture
    from nas_gym.families.mobile.ofa import OFASearchSpace as OFASearchSpace
    from nas_gym.families.mobile.proxylessnas import (
        ProxylessNASSearchSpace as ProxylessNASSearchSpace,
    )
    from nas_gym.families.nas.search_space import NASSearchSpace as NASSearchSpace
    from nas_gym.families.nasbench101.search_space import (
        NASBench101SearchSpace as NASBench101SearchSpace,
    )
    from nas_gym.families.nasbench201.search_space import (
        NASBench201SearchSpace as NASBench201SearchSpace,
    )
    from nas_gym.families.nascell.search_space import NASCellSearchSpace as NASCellSearchSpace
    from nas_gym.families.nasnet.search_space import NASNetSearchSpace as NASNetSearchSpace
    from nas_gym.families.tunas.search_space import TuNASSearchSpace as TuNASSearchSpace
    from nas_gym.models import InvalidModel as InvalidModel
    from nas_gym.models import Model as Model
    from nas_gym.models import load_model as load_model
    from nas_gym.models import train_model as train_model
    from nas_gym.objectives import Objectives as Objectives
    from nas_gym.search_spaces import CustomArchitecture as CustomArchitecture
    from nas_gym.search_spaces import CustomSearchSpace as CustomSearchSpace
    from nas_gym.search_spaces import Decision as Decision
    from nas_gym.search_spaces import SearchSpace as SearchSpace
    from nas_gym.store import Store as Store
    from nas_gym.tables import Table as Table
    from nas_gym.training.settings import TrainingSettings as TrainingSettings
    from nas_gym.training.trainer import Trainer as Trainer
    from nas_gym.vector_env import NASVectorEnv as NASVectorEnv
    from nas_gym.workers import LocalWorkers as LocalWorkers
    from nas_gym.workers import RayWorkers as RayWorkers

__version__ = "0.2.0"

_MODULES = ("envs", "pareto", "rewards", "sb3", "wrappers")
"""The modules that are public by themselves."""
_LAZY = {
    "architecture": ("Architecture", "InvalidArchitecture", "published"),
    "data": ("Dataset", "InvalidDataset", "load_dataset"),
    "env": ("NASEnv",),
    "errors": ("InvalidSettings", "NASGymError"),
    "families.mobile.architecture": ("MobileArchitecture",),
    "evaluation": ("Budget", "Evaluation", "Evaluator", "Memory", "RecordedEvaluator"),
    "models": ("InvalidModel", "Model", "load_model", "train_model"),
    "objectives": ("Objectives",),
    "search_spaces": ("CustomArchitecture", "CustomSearchSpace", "Decision", "SearchSpace"),
    "store": ("Store",),
    "tables": ("Table",),
    "training.settings": ("TrainingSettings",),
    "training.trainer": ("Trainer",),
    "vector_env": ("NASVectorEnv",),
    "workers": ("LocalWorkers", "RayWorkers"),
}
"""Public names, imported when they are first used; the families' search spaces are added below."""

_OF_AGENTS = ("AutoClassifier", "auto")
"""Names of nas_agents, of the same distribution, under which its users look for them. Nothing of
this package depends on them, so that they are not in ``__all__``."""

register_built_in()
_MODULE_OF = {name: f"{__name__}.{module}" for module, names in _LAZY.items() for name in names}
for _family in registered_families():
    if _family.search_space is not None:
        _module, _, _name = _family.search_space.partition(":")
        _MODULE_OF[_name] = _module
__all__ = ["Family", "register", "register_family", "registered_families", *_MODULES, *_MODULE_OF]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _OF_AGENTS:
        return getattr(importlib.import_module("nas_agents.auto"), name)
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_OF_AGENTS})
