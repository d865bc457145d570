"""The language model of a recurrent cell of NAS."""

from __future__ import annotations

from functools import partial

from nas_gym.families.nascell.cell import TreeCell
from nas_gym.families.nascell.search_space import NASCellArchitecture
from nas_gym.networks.base import TokenShape
from nas_gym.networks.language_model import LanguageModel, LanguageModelSettings


class NASCellNetwork(LanguageModel):
    """Words (T, B) in, logits (T, B, V) out; every layer is the cell."""

    def __init__(
        self, architecture: NASCellArchitecture, shape: TokenShape, settings: LanguageModelSettings
    ) -> None:
        super().__init__(partial(TreeCell, architecture), shape, settings)
