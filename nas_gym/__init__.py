"""nas_gym: neural-network architecture design as a Gymnasium environment.

``import nas_gym`` registers the environments; ``gym.make("nas_gym:nas_gym/NASNet-v0")`` does so by
itself.
"""

import gymnasium

from nas_gym import rewards
from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.env import NASEnv
from nas_gym.errors import InvalidSettings, NASGymError
from nas_gym.evaluation.evaluator import Budget, Evaluation, Evaluator
from nas_gym.search_spaces import (
    CustomArchitecture,
    CustomSearchSpace,
    Decision,
    ENASMacroSearchSpace,
    ENASMicroSearchSpace,
    MnasNetSearchSpace,
    NASBench101SearchSpace,
    NASBench201SearchSpace,
    NASNetSearchSpace,
    NASSearchSpace,
    SearchSpace,
    published,
)

__version__ = "0.1.0"

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
    "InvalidArchitecture",
    "InvalidSettings",
    "MnasNetSearchSpace",
    "NASBench101SearchSpace",
    "NASBench201SearchSpace",
    "NASEnv",
    "NASGymError",
    "NASNetSearchSpace",
    "NASSearchSpace",
    "SearchSpace",
    "published",
    "rewards",
]

gymnasium.register(id="nas_gym/ENASMacro-v0", entry_point="nas_gym.envs.enas_macro:ENASMacroEnv")
gymnasium.register(id="nas_gym/ENASMicro-v0", entry_point="nas_gym.envs.enas_micro:ENASMicroEnv")
gymnasium.register(id="nas_gym/NAS-v0", entry_point="nas_gym.envs.nas:NASChainEnv")
gymnasium.register(id="nas_gym/MnasNet-v0", entry_point="nas_gym.envs.mnasnet:MnasNetEnv")
gymnasium.register(
    id="nas_gym/NASBench101-v0", entry_point="nas_gym.envs.nasbench101:NASBench101Env"
)
gymnasium.register(
    id="nas_gym/NASBench201-v0", entry_point="nas_gym.envs.nasbench201:NASBench201Env"
)
gymnasium.register(id="nas_gym/NASNet-v0", entry_point="nas_gym.envs.nasnet:NASNetEnv")
