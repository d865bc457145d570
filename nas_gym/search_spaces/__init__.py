"""Search spaces: decisions, masks, and the architecture of a sequence of choices. No torch here.

Cells and chains are forms that families share; `CustomSearchSpace` is for spaces of one's own.
"""

from nas_gym.search_spaces.actions import Mask, Masks, resolve_action, resolve_actions
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.cells import Block, Cell, CellArchitecture
from nas_gym.search_spaces.chains import ChainArchitecture, Convolution, MaxPooling
from nas_gym.search_spaces.conditions import Decision
from nas_gym.search_spaces.custom import CustomArchitecture, CustomSearchSpace

__all__ = [
    "Block",
    "Cell",
    "CellArchitecture",
    "ChainArchitecture",
    "Choices",
    "Convolution",
    "CustomArchitecture",
    "CustomSearchSpace",
    "Decision",
    "Mask",
    "Masks",
    "MaxPooling",
    "SearchSpace",
    "resolve_action",
    "resolve_actions",
]
