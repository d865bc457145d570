"""Published architectures by name, each with its source.

Hidden states are numbered as in `nas_gym.search_spaces.cells`: 0 is the newer cell input, 1 the
older one. (DARTS's and ENAS's genotypes write them the other way round; ENAS's stand here as
released, and ``from_arc`` renumbers them.)
"""

from __future__ import annotations

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import choices_hint
from nas_gym.search_spaces.cells import ADD, CONCATENATE, Block, Cell, CellArchitecture
from nas_gym.search_spaces.enas import ENASMacroArchitecture, ENASMicroArchitecture
from nas_gym.search_spaces.mnasnet import IDENTITY, NO_SKIP, MobileArchitecture, MobileBlock
from nas_gym.search_spaces.nasbench101 import NASBench101Architecture
from nas_gym.search_spaces.nasbench201 import NASBench201Architecture

_LABELS = {
    "identity": "identity",
    "avg3": "3x3 average pooling",
    "max3": "3x3 max pooling",
    "sep3": "3x3 depthwise-separable conv",
    "sep5": "5x5 depthwise-seperable conv",
    "sep7": "7x7 depthwise-separable conv",
    "1x7-7x1": "1x7 then 7x1 convolution",
    "conv1": "1x1 convolution",
    "conv3": "3x3 convolution",
}


def _blocks(text: str, combine: str = ADD) -> tuple[Block, ...]:
    """Blocks from lines of ``hidden1 op1 + hidden2 op2``."""
    blocks = []
    for line in text.strip().splitlines():
        hidden1, op1, _, hidden2, op2 = line.split()
        blocks.append(Block(int(hidden1), int(hidden2), _LABELS[op1], _LABELS[op2], combine))
    return tuple(blocks)


def _cell(blocks: str, concat: tuple[int, ...]) -> Cell:
    return Cell(_blocks(blocks), concat)


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

AMOEBANET_C = CellArchitecture(
    normal=_cell(
        """
        0 avg3     + 0 sep3
        0 identity + 0 sep3
        2 avg3     + 1 sep3
        0 identity + 1 sep3
        3 avg3     + 0 sep3
        """,
        concat=(1, 2, 4, 5, 6),
    ),
    reduction=_cell(
        """
        0 max3     + 0 max3
        2 sep7     + 0 sep3
        0 sep7     + 1 max3
        4 sep5     + 4 sep5
        1 max3     + 1 sep3
        """,
        concat=(0, 2, 3, 4, 5, 6),
    ),
)
"""AmoebaNet-C (Real et al. 2019), from the same source. Its siblings B and D take operations that
NASNet's thirteen do not have (a 2x2 max pooling, a dilated separable convolution)."""

_PNASNET_5_CELL = _cell(
    """
    1 sep5     + 1 max3
    0 sep7     + 0 max3
    0 sep5     + 0 sep3
    4 sep3     + 0 max3
    1 sep3     + 0 identity
    """,
    concat=(2, 3, 4, 5, 6),
)
PNASNET_5 = CellArchitecture(_PNASNET_5_CELL, _PNASNET_5_CELL)
"""PNASNet-5 (Liu et al. 2018, https://arxiv.org/abs/1712.00559) as released
(https://github.com/tensorflow/models, research/slim/nets/nasnet/pnasnet.py): one cell, which
reduces where its stride is two. Its skeleton: ``separate_reductions=False``,
``skip_reduction_input=True``."""


def _motif(blocks: str, combine: str = ADD) -> CellArchitecture:
    """One hand-made cell, normal and reduction alike."""
    cell = Cell.with_unused_concatenated(_blocks(blocks, combine))
    return CellArchitecture(cell, cell)


RESNET_MOTIF = _motif(
    """
    0 conv3 + 0 identity
    2 conv3 + 2 identity
    """
)
"""Two residual units (He et al. 2016, https://arxiv.org/abs/1512.03385, figure 5): the network's
3x3 convolution is their bottleneck of 1x1, 3x3 and 1x1."""

DENSENET_MOTIF = _motif(
    """
    0 conv3 + 0 identity
    2 conv3 + 2 identity
    3 conv3 + 3 identity
    """,
    CONCATENATE,
)
"""Each block hands on what it made beside what it was given, concatenated (Huang et al. 2017,
https://arxiv.org/abs/1608.06993, figure 1); the identity of a wider state is its 1x1 transition."""

GOOGLENET_MOTIF = _motif(
    """
    0 conv1   + 0 conv3
    0 1x7-7x1 + 0 max3
    """,
    CONCATENATE,
)
"""Inception's parallel branches, concatenated: 1x1, 3x3, a large factorized convolution, and
pooling (Szegedy et al. 2015, https://arxiv.org/abs/1409.4842, figure 2; the factorization is that
of https://arxiv.org/abs/1512.00567, figure 6)."""
NASBENCH101_INCEPTION = NASBench101Architecture(
    adjacency=(
        (0, 1, 1, 1, 0, 1, 0),
        (0, 0, 0, 0, 0, 0, 1),
        (0, 0, 0, 0, 0, 0, 1),
        (0, 0, 0, 0, 1, 0, 0),
        (0, 0, 0, 0, 0, 0, 1),
        (0, 0, 0, 0, 0, 0, 1),
        (0, 0, 0, 0, 0, 0, 0),
    ),
    operations=(
        "input",
        "conv1x1-bn-relu",
        "conv3x3-bn-relu",
        "conv3x3-bn-relu",
        "conv3x3-bn-relu",
        "maxpool3x3",
        "output",
    ),
)
"""A cell like an Inception module, its 5x5 convolution two of 3x3 (Ying et al. 2019;
https://github.com/google-research/nasbench, README.md)."""

ENAS_MICRO = ENASMicroArchitecture.from_arc(
    "0 2 0 0 0 4 0 1 0 4 1 1 1 0 0 1 0 2 1 1  1 0 1 0 0 3 0 2 1 1 3 1 1 0 0 4 0 3 1 1"
)
"""The cells that ENAS found (Pham et al. 2018, https://arxiv.org/abs/1802.03268), as released
(https://github.com/melodyguan/enas, scripts/cifar10_micro_final.sh)."""

ENAS_MACRO = ENASMacroArchitecture.from_arc(
    """
    0
    3 0
    0 1 0
    2 0 0 1
    2 0 0 0 0
    3 1 1 0 1 0
    2 0 0 0 0 0 1
    2 0 1 1 0 1 1 1
    1 0 1 1 1 0 1 0 1
    0 0 0 0 0 0 0 0 0 0
    2 0 0 0 0 0 1 0 0 0 0
    0 1 0 0 1 1 0 0 0 0 1 1
    2 0 1 0 0 0 0 0 1 0 1 1 0
    1 0 0 1 0 0 0 1 1 1 0 1 0 1
    0 1 1 0 1 0 1 0 0 0 0 0 1 0 0
    2 0 0 1 0 0 0 0 0 0 0 1 0 1 0 1
    2 0 1 0 0 0 1 0 0 1 1 1 1 0 0 1 0
    2 0 0 0 0 1 0 1 0 1 0 0 1 0 1 0 0 1
    3 0 1 1 0 1 0 0 0 0 0 1 0 1 0 1 0 0 0
    3 0 1 1 0 0 0 0 0 0 0 0 0 1 1 0 0 0 0 1
    0 1 0 0 1 0 1 1 0 0 0 1 0 0 0 0 0 1 1 0 0
    3 0 1 0 1 1 0 0 1 0 1 1 0 1 1 0 1 0 0 1 0 0
    0 1 0 1 0 1 0 0 0 0 0 0 0 0 1 0 1 0 0 1 0 0 0
    0 1 1 0 0 0 1 1 1 0 1 0 0 0 1 0 1 0 0 1 1 0 0 0
    """
)
"""The network of 24 layers that ENAS found, as released (scripts/cifar10_macro_final.sh)."""

NASBENCH201_BEST = NASBench201Architecture.from_string(
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
)
"""The best cell by CIFAR-10's mean test accuracy, 94.37%, index 6111 (Dong & Yang 2020)."""

NASBENCH201_RESNET = NASBench201Architecture.from_string(
    "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"
)
"""The cell that is a residual block, index 11472 (Dong & Yang 2020)."""

_CONV_OPS = {"e1": "dconv", "e3": "MBConv3", "e6": "MBConv6"}


def _mobile(stem_filters: int, *blocks: str) -> MobileArchitecture:
    """A mobile network from ``r2 k3 s2 e6 o24 se0.25 noskip``, as the released code writes it.

    That is: layers (repeats), kernel size, stride, expansion, filters (output), squeeze-excitation.
    """
    parsed = []
    for text in blocks:
        layers, kernel, stride, expansion, filters, *rest = text.split()
        ratios = [float(word[2:]) for word in rest if word.startswith("se")]
        parsed.append(
            MobileBlock(
                conv_op=_CONV_OPS[expansion],
                kernel_size=int(kernel[1:]),
                se_ratio=sum(ratios),
                skip_op=NO_SKIP if "noskip" in rest else IDENTITY,
                filters=int(filters[1:]),
                layers=int(layers[1:]),
                stride=int(stride[1:]),
            )
        )
    return MobileArchitecture(tuple(parsed), stem_filters)


MNASNET_A1 = _mobile(
    32,
    "r1 k3 s1 e1 o16 noskip",
    "r2 k3 s2 e6 o24",
    "r3 k5 s2 e3 o40 se0.25",
    "r4 k3 s2 e6 o80",
    "r2 k3 s1 e6 o112 se0.25",
    "r3 k5 s2 e6 o160 se0.25",
    "r1 k3 s1 e6 o320",
)
"""MnasNet-A1 (Tan et al. 2019, figure 7) as released
(https://github.com/tensorflow/tpu, models/official/mnasnet/mnasnet_models.py)."""

MNASNET_B1 = _mobile(
    32,
    "r1 k3 s1 e1 o16 noskip",
    "r3 k3 s2 e3 o24",
    "r3 k5 s2 e3 o40",
    "r3 k5 s2 e6 o80",
    "r2 k3 s1 e6 o96",
    "r4 k5 s2 e6 o192",
    "r1 k3 s1 e6 o320 noskip",
)
"""MnasNet-B1, without squeeze-excitation; from the same file."""

MNASNET_SMALL = _mobile(
    8,
    "r1 k3 s1 e1 o8",
    "r1 k3 s2 e3 o16",
    "r2 k3 s2 e6 o16",
    "r4 k5 s2 e6 o32 se0.25",
    "r3 k3 s1 e6 o32 se0.25",
    "r3 k5 s2 e6 o88 se0.25",
    "r1 k3 s1 e6 o144",
)
"""MnasNet-small; from the same file."""

MOBILENET_V2 = _mobile(
    32,
    "r1 k3 s1 e1 o16",
    "r2 k3 s2 e6 o24",
    "r3 k3 s2 e6 o32",
    "r4 k3 s2 e6 o64",
    "r3 k3 s1 e6 o96",
    "r3 k3 s2 e6 o160",
    "r1 k3 s1 e6 o320",
)
"""MobileNetV2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381, table 2), whose filters and
layers MnasNet's choices are relative to; with ReLU where it has ReLU6."""

PUBLISHED: dict[str, Architecture] = {
    "NASNet-A": NASNET_A,
    "AmoebaNet-A": AMOEBANET_A,
    "AmoebaNet-C": AMOEBANET_C,
    "PNASNet-5": PNASNET_5,
    "ResNet-cell": RESNET_MOTIF,
    "DenseNet-cell": DENSENET_MOTIF,
    "GoogLeNet-cell": GOOGLENET_MOTIF,
    "ENAS-micro": ENAS_MICRO,
    "ENAS-macro": ENAS_MACRO,
    "NAS-Bench-101-Inception": NASBENCH101_INCEPTION,
    "NAS-Bench-201-best": NASBENCH201_BEST,
    "NAS-Bench-201-ResNet": NASBENCH201_RESNET,
    "MnasNet-A1": MNASNET_A1,
    "MnasNet-B1": MNASNET_B1,
    "MnasNet-small": MNASNET_SMALL,
    "MobileNetV2": MOBILENET_V2,
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
