"""Published architectures by name, each with its source.

Hidden states are numbered as in `nas_gym.search_spaces.cells`: 0 is the newer cell input, 1 the
older one. (DARTS's and ENAS's genotypes write them the other way round.)
"""

from __future__ import annotations

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import choices_hint
from nas_gym.search_spaces.cells import ADD, Block, Cell, CellArchitecture
from nas_gym.search_spaces.nasbench201 import NASBench201Architecture

_LABELS = {
    "identity": "identity",
    "avg3": "3x3 average pooling",
    "max3": "3x3 max pooling",
    "sep3": "3x3 depthwise-separable conv",
    "sep5": "5x5 depthwise-seperable conv",
    "sep7": "7x7 depthwise-separable conv",
    "1x7-7x1": "1x7 then 7x1 convolution",
}


def _cell(blocks: str, concat: tuple[int, ...]) -> Cell:
    """A cell from lines of ``hidden1 op1 + hidden2 op2``."""
    parsed = []
    for line in blocks.strip().splitlines():
        hidden1, op1, _, hidden2, op2 = line.split()
        parsed.append(Block(int(hidden1), int(hidden2), _LABELS[op1], _LABELS[op2], ADD))
    return Cell(tuple(parsed), concat)


NASNET_A = CellArchitecture(
    normal=_cell(
        """
        0 sep5     + 1 sep3
        1 sep5     + 1 sep3
        0 avg3     + 1 identity
        1 avg3     + 1 avg3
        0 sep3     + 0 identity
        """,
        concat=(1, 2, 3, 4, 5, 6),
    ),
    reduction=_cell(
        """
        0 sep5     + 1 sep7
        0 max3     + 1 sep7
        0 avg3     + 1 sep5
        3 identity + 2 avg3
        2 sep3     + 0 max3
        """,
        concat=(3, 4, 5, 6),
    ),
)
"""NASNet-A (Zoph et al. 2018, figure 4). The released code concatenates h_{i-1} in the normal cell
and block 2 in the reduction cell although both are used
(https://github.com/tensorflow/models, research/slim/nets/nasnet/nasnet_utils.py)."""

AMOEBANET_A = CellArchitecture(
    normal=_cell(
        """
        0 avg3     + 0 max3
        1 sep3     + 1 identity
        0 identity + 1 avg3
        0 sep3     + 2 sep5
        5 avg3     + 0 sep3
        """,
        concat=(1, 3, 4, 6),
    ),
    reduction=_cell(
        """
        1 sep3     + 0 avg3
        0 max3     + 2 sep7
        1 max3     + 0 max3
        4 sep3     + 0 1x7-7x1
        1 avg3     + 0 sep7
        """,
        concat=(2, 3, 4, 5, 6),
    ),
)
"""AmoebaNet-A (Real et al. 2019, https://arxiv.org/abs/1802.01548) as released
(https://github.com/tensorflow/tpu, models/official/amoeba_net/model_specs.py)."""

NASBENCH201_BEST = NASBench201Architecture.from_string(
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
)
"""The best cell by CIFAR-10's mean test accuracy, 94.37%, index 6111 (Dong & Yang 2020)."""

NASBENCH201_RESNET = NASBench201Architecture.from_string(
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
)
"""The cell that is a residual block, index 11472 (Dong & Yang 2020)."""

PUBLISHED: dict[str, Architecture] = {
    "NASNet-A": NASNET_A,
    "AmoebaNet-A": AMOEBANET_A,
    "NAS-Bench-201-best": NASBENCH201_BEST,
    "NAS-Bench-201-ResNet": NASBENCH201_RESNET,
}
"""Every published architecture that nas_gym knows, by its name in the paper."""


def published(name: str) -> Architecture:
    """A published architecture by its name in the paper, ``"NASNet-A"`` for instance.

    Raises:
        InvalidArchitecture: no architecture of that name is known.
    """
    if name not in PUBLISHED:
        raise InvalidArchitecture(
            f"{name!r} is no published architecture known here; {choices_hint(name, PUBLISHED)}"
        )
    return PUBLISHED[name]
