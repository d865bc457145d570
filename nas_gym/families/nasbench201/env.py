"""``nas_gym/NASBench201-v0``."""

from typing import Any, ClassVar

from nas_gym.envs.family_env import FamilyEnv
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace


class NASBench201Env(FamilyEnv):
    """
    ## Description
    An episode designs a cell of NAS-Bench-201 (Dong & Yang 2020): a graph of four nodes, each of
    whose six edges takes one of five operations. The finished network is trained for a few epochs
    on real images, and its validation accuracy is the reward. `nas_gym/NASBench201-Recorded-v0`
    looks it up in the published benchmark instead.

    ## Action Space
    | Action | Operation |
    |---|---|
    | 0 | `none`: the edge brings nothing |
    | 1 | `skip_connect`: the identity |
    | 2 | `nor_conv_1x1`: ReLU, 1x1 convolution, batch normalization |
    | 3 | `nor_conv_3x3`: ReLU, 3x3 convolution, batch normalization |
    | 4 | `avg_pool_3x3`: average pooling |

    The edges come in the order 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2; node 0 is the cell's input, node
    3 its output. Every action is always valid.

    ## Arguments
    The defaults are sized for 8x8 images on a CPU. The benchmark's own for CIFAR-10: `cells=5,
    filters=16, epochs=200, batch_size=256`.

    ## References
    - X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
      Search. ICLR 2020. https://arxiv.org/abs/2001.00326
    """

    search_space_type = NASBench201SearchSpace
    network_settings_type = NASBench201Settings
    defaults: ClassVar[dict[str, Any]] = {"cells": 1, "filters": 8, "epochs": 2, "batch_size": 64}
