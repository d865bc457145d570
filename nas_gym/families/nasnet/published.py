"""Published architectures by name, each with its source.

Hidden states are numbered as in `nas_gym.search_spaces.cells`: 0 is the newer cell input, 1 the
older one. (DARTS's and ENAS's genotypes write them the other way round; ENAS's stand here as
released, and ``from_arc`` renumbers them.)
"""

from __future__ import annotations

from nas_gym.search_spaces.cells import ADD, CONCATENATE, Block, Cell, CellArchitecture

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


def _cells(table: str, *concats: tuple[int, ...], combine: str = ADD) -> CellArchitecture:
    """Return the architecture of a table with columns for the normal and the reduction cell.

    A line has a block of each, ``hidden1 op1 + hidden2 op2``. One column is both cells. ``concats``
    are the concatenated states of each; default: those that no block uses.
    """
    columns = zip(*(line.split("|") for line in table.strip().splitlines()), strict=True)
    cells = []
    for number, column in enumerate(columns):
        blocks = tuple(
            Block(int(hidden1), int(hidden2), _LABELS[op1], _LABELS[op2], combine)
            for hidden1, op1, _, hidden2, op2 in map(str.split, column)
        )
        chosen = concats[number] if concats else Cell.with_unused_concatenated(blocks).concat
        cells.append(Cell(blocks, chosen))
    return CellArchitecture(cells[0], cells[-1])


PUBLISHED = {
    # NASNet-A (Zoph et al. 2018, figure 4). The released code concatenates h_{i-1} in the normal
    # cell and block 2 in the reduction cell although both are used
    # (https://github.com/tensorflow/models, research/slim/nets/nasnet/nasnet_utils.py).
    "NASNet-A": _cells(
        """
        0 sep5     + 1 sep3     | 0 sep5     + 1 sep7
        1 sep5     + 1 sep3     | 0 max3     + 1 sep7
        0 avg3     + 1 identity | 0 avg3     + 1 sep5
        1 avg3     + 1 avg3     | 3 identity + 2 avg3
        0 sep3     + 0 identity | 2 sep3     + 0 max3
        """,
        (1, 2, 3, 4, 5, 6),
        (3, 4, 5, 6),
    ),
    # AmoebaNet-A (Real et al. 2019, https://arxiv.org/abs/1802.01548) as released
    # (https://github.com/tensorflow/tpu, models/official/amoeba_net/model_specs.py).
    "AmoebaNet-A": _cells(
        """
        0 avg3     + 0 max3     | 1 sep3     + 0 avg3
        1 sep3     + 1 identity | 0 max3     + 2 sep7
        0 identity + 1 avg3     | 1 max3     + 0 max3
        0 sep3     + 2 sep5     | 4 sep3     + 0 1x7-7x1
        5 avg3     + 0 sep3     | 1 avg3     + 0 sep7
        """,
        (1, 3, 4, 6),
        (2, 3, 4, 5, 6),
    ),
    # AmoebaNet-C (Real et al. 2019), from the same source. Its siblings B and D take operations
    # that NASNet's thirteen do not have (a 2x2 max pooling, a dilated separable convolution).
    "AmoebaNet-C": _cells(
        """
        0 avg3     + 0 sep3 | 0 max3     + 0 max3
        0 identity + 0 sep3 | 2 sep7     + 0 sep3
        2 avg3     + 1 sep3 | 0 sep7     + 1 max3
        0 identity + 1 sep3 | 4 sep5     + 4 sep5
        3 avg3     + 0 sep3 | 1 max3     + 1 sep3
        """,
        (1, 2, 4, 5, 6),
        (0, 2, 3, 4, 5, 6),
    ),
    # PNASNet-5 (Liu et al. 2018, https://arxiv.org/abs/1712.00559) as released
    # (https://github.com/tensorflow/models, research/slim/nets/nasnet/pnasnet.py): one cell, which
    # reduces where its stride is two. Its skeleton: ``separate_reductions=False``,
    # ``skip_reduction_input=True``.
    "PNASNet-5": _cells(
        """
        1 sep5     + 1 max3
        0 sep7     + 0 max3
        0 sep5     + 0 sep3
        4 sep3     + 0 max3
        1 sep3     + 0 identity
        """,
        (2, 3, 4, 5, 6),
    ),
    # Two residual units (He et al. 2016, https://arxiv.org/abs/1512.03385, figure 5): the network's
    # 3x3 convolution is their bottleneck of 1x1, 3x3 and 1x1.
    "ResNet-cell": _cells(
        """
        0 conv3 + 0 identity
        2 conv3 + 2 identity
        """
    ),
    # Each block hands on what it made beside what it was given, concatenated (Huang et al. 2017,
    # https://arxiv.org/abs/1608.06993, figure 1); the identity of a wider state is its 1x1
    # transition.
    "DenseNet-cell": _cells(
        """
        0 conv3 + 0 identity
        2 conv3 + 2 identity
        3 conv3 + 3 identity
        """,
        combine=CONCATENATE,
    ),
    # Inception's parallel branches, concatenated: 1x1, 3x3, a large factorized convolution, and
    # pooling (Szegedy et al. 2015, https://arxiv.org/abs/1409.4842, figure 2; the factorization is
    # that of https://arxiv.org/abs/1512.00567, figure 6).
    "GoogLeNet-cell": _cells(
        """
        0 conv1   + 0 conv3
        0 1x7-7x1 + 0 max3
        """,
        combine=CONCATENATE,
    ),
}
"""By their names in the papers."""
