"""``nas_gym/NASNet-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.envs.family_env import FamilyEnv
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.families.nasnet.search_space import NASNetSearchSpace


class NASNetEnv(FamilyEnv):
    """
    ## Description
    An episode designs the two cells of a NASNet (Zoph et al. 2018): a normal cell and a reduction
    cell of B blocks each. The finished network is trained for a few epochs on real images, and its
    validation accuracy is the reward.

    ## Action Space
    A block takes five decisions, in the order of the paper's steps:

    | Decision | Choices |
    |---|---|
    | `hidden_1` | a hidden state: `h_i`, `h_{i-1}`, or the output of an earlier block |
    | `hidden_2` | a second one, from the same ones; it may be the same |
    | `op_1` | one of 13 operations for `hidden_1` |
    | `op_2` | one of 13 operations for `hidden_2` |
    | `combine` | element-wise addition, or concatenation along the filters |

    `h_i` is the output of the cell before, `h_{i-1}` of the one before that. Block b has b + 1
    hidden states to choose from. The operations are the identity, convolutions (1x1, 3x3, 1x3 then
    3x1, 1x7 then 7x1, dilated 3x3, depthwise-separable 3x3, 5x5 and 7x7), 3x3 average pooling and
    max pooling (3x3, 5x5, 7x7); their names are the paper's, which spells one of them "seperable".
    The normal cell's 5B decisions come first, then the reduction cell's: 50 in all for B = 5. The
    outputs of blocks that no block uses are concatenated.

    ## Arguments
    The defaults are sized for 8x8 images on a CPU. NASNet's own for CIFAR-10: `cells=2,
    filters=32, epochs=20, batch_size=32, learning_rate=0.025`.

    ## References
    - B. Zoph, V. Vasudevan, J. Shlens, Q. V. Le. Learning Transferable Architectures for Scalable
      Image Recognition. CVPR 2018. https://arxiv.org/abs/1707.07012
    """

    search_space_type = NASNetSearchSpace
    network_settings_type = CellNetworkSettings
    defaults: ClassVar[dict[str, Any]] = {"cells": 1, "filters": 8, "epochs": 2, "batch_size": 64}
