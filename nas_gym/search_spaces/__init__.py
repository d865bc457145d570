"""What may be chosen, in which order, and what it means; one file a family."""

from nas_gym.search_spaces.base import (
    Choices,
    Decision,
    Mask,
    Masks,
    SearchSpace,
    resolve_action,
    resolve_actions,
)
from nas_gym.search_spaces.cells import Block, Cell, CellArchitecture
from nas_gym.search_spaces.chains import ChainArchitecture, Convolution, MaxPooling
from nas_gym.search_spaces.custom import CustomArchitecture, CustomSearchSpace
from nas_gym.search_spaces.enas import (
    ENASCell,
    ENASMacroArchitecture,
    ENASMacroSearchSpace,
    ENASMicroArchitecture,
    ENASMicroSearchSpace,
    MacroLayer,
)
from nas_gym.search_spaces.mnasnet import MnasNetSearchSpace, MobileArchitecture, MobileBlock
from nas_gym.search_spaces.nas import NASSearchSpace
from nas_gym.search_spaces.nasbench101 import NASBench101Architecture, NASBench101SearchSpace
from nas_gym.search_spaces.nasbench201 import NASBench201Architecture, NASBench201SearchSpace
from nas_gym.search_spaces.nasnet import NASNetSearchSpace
from nas_gym.search_spaces.published import PUBLISHED, published

__all__ = [
    "PUBLISHED",
    "Block",
    "Cell",
    "CellArchitecture",
    "ChainArchitecture",
    "Choices",
    "Convolution",
    "CustomArchitecture",
    "CustomSearchSpace",
    "Decision",
    "ENASCell",
    "ENASMacroArchitecture",
    "ENASMacroSearchSpace",
    "ENASMicroArchitecture",
    "ENASMicroSearchSpace",
    "MacroLayer",
    "Mask",
    "Masks",
    "MaxPooling",
    "MnasNetSearchSpace",
    "MobileArchitecture",
    "MobileBlock",
    "NASBench101Architecture",
    "NASBench101SearchSpace",
    "NASBench201Architecture",
    "NASBench201SearchSpace",
    "NASNetSearchSpace",
    "NASSearchSpace",
    "SearchSpace",
    "published",
    "resolve_action",
    "resolve_actions",
]
