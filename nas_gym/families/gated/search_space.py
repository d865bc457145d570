"""The two cells as architectures: no search, but trained and compared as found cells are."""

from nas_gym.search_spaces.conditions import Decision
from nas_gym.search_spaces.custom import CustomArchitecture, CustomSearchSpace


class GatedArchitecture(CustomArchitecture, kind="gated"):
    """An LSTM (Hochreiter & Schmidhuber 1997) or a GRU (Cho et al. 2014), as PyTorch has them."""

    decisions = (Decision("cell", ("LSTM", "GRU")),)


class GatedSearchSpace(CustomSearchSpace):
    """One decision: which of the two."""

    def __init__(self) -> None:
        super().__init__(GatedArchitecture, "Gated")


PUBLISHED = {name: GatedArchitecture({"cell": name}) for name in ("LSTM", "GRU")}
"""By their usual names."""
