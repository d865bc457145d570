"""Search spaces: decisions, masks, and the architecture of a sequence of choices. No torch here.

Cells and chains are forms that families share; `CustomSearchSpace` is for spaces of one's own.
"""

from nas_gym.search_spaces.actions import Mask as Mask
from nas_gym.search_spaces.actions import Masks as Masks
from nas_gym.search_spaces.actions import resolve_actions as resolve_actions
from nas_gym.search_spaces.base import Choices as Choices
from nas_gym.search_spaces.base import SearchSpace as SearchSpace
from nas_gym.search_spaces.cells import Block as Block
from nas_gym.search_spaces.cells import Cell as Cell
from nas_gym.search_spaces.cells import CellArchitecture as CellArchitecture
from nas_gym.search_spaces.chains import ChainArchitecture as ChainArchitecture
from nas_gym.search_spaces.chains import Convolution as Convolution
from nas_gym.search_spaces.chains import MaxPooling as MaxPooling
from nas_gym.search_spaces.conditions import Decision as Decision
from nas_gym.search_spaces.custom import CustomArchitecture as CustomArchitecture
from nas_gym.search_spaces.custom import CustomSearchSpace as CustomSearchSpace
