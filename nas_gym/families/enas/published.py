"""ENAS's published architectures."""

from nas_gym.families.enas.macro_search_space import ENASMacroArchitecture
from nas_gym.families.enas.micro_search_space import ENASMicroArchitecture

PUBLISHED_MICRO = {
    "ENAS-micro": ENASMicroArchitecture.from_arc(
        "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1  1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"
    )
}
"""The cells that ENAS found (Pham et al. 2018, https://arxiv.org/abs/1802.03268), as released
(https://github.com/melodyguan/enas, scripts/cifar10_micro_final.sh)."""


PUBLISHED_MACRO = {
    "ENAS-macro": ENASMacroArchitecture.from_arc(
        """
    0   3 0   0 1 0   2 0 0 1   2 0 0 0 0   3 1 1 0 1 0   2 0 0 0 0 0 1   2 0 1 1 0 1 1 1
    1 0 1 1 1 0 1 0 1   0 0 0 0 0 0 0 0 0 0   2 0 0 0 0 0 1 0 0 0 0   0 1 0 0 1 1 0 0 0 0 1 1
    2 0 1 0 0 0 0 0 1 0 1 1 0   1 0 0 1 0 0 0 1 1 1 0 1 0 1   0 1 1 0 1 0 1 0 0 0 0 0 1 0 0
    2 0 0 1 0 0 0 0 0 0 0 1 0 1 0 1   2 0 1 0 0 0 1 0 0 1 1 1 1 0 0 1 0
    2 0 0 0 0 1 0 1 0 1 0 0 1 0 1 0 0 1   3 0 1 1 0 1 0 0 0 0 0 1 0 1 0 1 0 0 0
    3 0 1 1 0 0 0 0 0 0 0 0 0 1 1 0 0 0 0 1   0 1 0 0 1 0 1 1 0 0 0 1 0 0 0 0 0 1 1 0 0
    3 0 1 0 1 1 0 0 1 0 1 1 0 1 1 0 1 0 0 1 0 0   0 1 0 1 0 1 0 0 0 0 0 0 0 0 1 0 1 0 0 1 0 0 0
    0 1 1 0 0 0 1 1 1 0 1 0 0 0 1 0 1 0 0 1 1 0 0 0
    """
    )
}
"""The network of 24 layers that ENAS found, as released (scripts/cifar10_macro_final.sh)."""
