"""The language model of a recurrent cell of ENAS."""

from __future__ import annotations

from functools import partial

from nas_gym.families.enas_recurrent.cell import HighwayCell
from nas_gym.families.enas_recurrent.search_space import ENASRecurrentArchitecture
from nas_gym.networks.base import TokenShape
from nas_gym.networks.language_model import LanguageModel, LanguageModelSettings


class ENASRecurrentNetwork(LanguageModel):
    """Words (T, B) in, logits (T, B, V) out; every layer is the cell."""

    def __init__(
        self,
        architecture: ENASRecurrentArchitecture,
        shape: TokenShape,
        settings: LanguageModelSettings,
    ) -> None:
        super().__init__(partial(HighwayCell, architecture), shape, settings)
