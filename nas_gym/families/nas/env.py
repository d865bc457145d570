"""``nas_gym/NAS-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.envs.family_env import FamilyEnv
from nas_gym.families.nas.network import ChainNetworkSettings
from nas_gym.families.nas.search_space import NASSearchSpace


class NASChainEnv(FamilyEnv):
    """
    ## Description
    An episode designs a convolutional network layer by layer, as Neural Architecture Search did
    first (Zoph & Le 2017): a chain of L convolutions with skip connections. The finished network is
    trained for a few epochs on real images, and its validation accuracy is the reward.

    ## Action Space
    Layer n takes its decisions in this order:

    | Decision | Choices |
    |---|---|
    | `filter_height` | 1, 3, 5, 7 |
    | `filter_width` | 1, 3, 5, 7 |
    | `stride_height`, `stride_width` | 1, 2, 3; only with `strides=True`, otherwise all are 1 |
    | `number_of_filters` | 24, 36, 48, 64 |
    | `anchor_point/layer_1` to `layer_{n-1}` | 0: not an input of layer n; 1: an input |

    The anchor point's decisions are one for each earlier layer, the one directly before included:
    no connection is forced. There are 3L + L(L-1)/2 decisions, 33 for the default L = 6; with
    strides 5L + L(L-1)/2.

    What is chosen is always made to fit, by the paper's rules:

    - A layer without an input takes the image.
    - A layer with several inputs concatenates them in the depth dimension; smaller ones are padded
      with zeros to the size of the largest.
    - Outputs that no layer takes are concatenated before the classifier.

    ## Rewards
    `reward="nas"` is the paper's. Networks whose layers are only numbered in another order are the
    same network.

    ## Arguments
    With `depth_schedule=[6, 2, 1600]` networks have 6 layers at first, and two more after every
    1,600 samples, until they have `layers`. The number of decisions is always that of the largest
    depth; those of a layer that does not exist yet have one valid choice, action 0.

    The defaults are sized for 8x8 images on a CPU. The paper's own for CIFAR-10: `filter_scale=1,
    epochs=50, learning_rate=0.1, reward="nas", depth_schedule=[6, 2, 1600]`. Its best networks have
    15 layers; 20 with `strides=True`; and 39 with `pooling_layers=[13, 24]`.

    ## References
    - B. Zoph, Q. V. Le. Neural Architecture Search with Reinforcement Learning. ICLR 2017.
      https://arxiv.org/abs/1611.01578
    """

    search_space_type = NASSearchSpace
    network_settings_type = ChainNetworkSettings
    defaults: ClassVar[dict[str, Any]] = {"filter_scale": 0.5, "epochs": 2, "batch_size": 64}
