"""nas_gym: neural-network architecture design as a Gymnasium environment.

``import nas_gym`` registers the environments; ``gym.make("nas_gym:nas_gym/NASNet-v0")`` does so by
itself.
"""

import gymnasium

from nas_gym import rewards
from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.env import NASEnv
from nas_gym.errors import InvalidSettings, NASGymError
from nas_gym.evaluation.evaluator import Budget, Evaluation, Evaluator, RecordedEvaluator
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
from nas_gym.vector_env import NASVectorEnv

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
    "NASVectorEnv",
    "RecordedEvaluator",
    "SearchSpace",
    "published",
    "rewards",
]

for _name, _entry_point in {
    "DigitsBench-v0": "nas_gym.envs.digits_bench:DigitsBenchEnv",
    "ENASMacro-v0": "nas_gym.envs.enas_macro:ENASMacroEnv",
    "ENASMicro-v0": "nas_gym.envs.enas_micro:ENASMicroEnv",
    "MnasNet-v0": "nas_gym.envs.mnasnet:MnasNetEnv",
    "NAS-v0": "nas_gym.envs.nas:NASChainEnv",
    "NASBench101-v0": "nas_gym.envs.nasbench101:NASBench101Env",
    "NASBench201-v0": "nas_gym.envs.nasbench201:NASBench201Env",
    "NASNet-v0": "nas_gym.envs.nasnet:NASNetEnv",
}.items():
    gymnasium.register(
        id=f"nas_gym/{_name}",
        entry_point=_entry_point,
        vector_entry_point=f"nas_gym.vector_env:{_name}",
        order_enforce=False,  # NASEnv does so itself
        disable_env_checker=True,  # the tests check every environment; each step would pay for it
    )
