"""``nas_gym/NASBench101-v0``."""

from typing import Any, ClassVar

from nas_gym.envs.family_env import FamilyEnv
from nas_gym.families.nasbench101.network import NASBench101Settings
from nas_gym.families.nasbench101.search_space import NASBench101SearchSpace


class NASBench101Env(FamilyEnv):
    """
    ## Description
    An episode designs a cell of NAS-Bench-101 (Ying et al. 2019): a directed acyclic graph of seven
    vertices and at most nine edges. Vertex 0 is the cell's input, vertex 6 its output, and each of
    the five between takes one of three operations. The finished network is trained for a few epochs
    on real images, and its validation accuracy is the reward. `nas_gym/NASBench101-Recorded-v0`
    looks it up in the published benchmark instead.

    An inner vertex adds what its edges bring, the cell's input through a 1x1 projection; the output
    concatenates. Vertices that lie on no path from input to output are left out of the network.

    ## Action Space
    In the first 21 decisions, an edge:

    | Action | Edge |
    |---|---|
    | 0 | is not there |
    | 1 | is there |
    | 2 | (invalid) |

    The edges come row by row: (0,1), (0,2), ..., (0,6), (1,2), ..., (5,6). In the last five, the
    operation of vertices 1 to 5:

    | Action | Operation |
    |---|---|
    | 0 | `conv3x3-bn-relu` |
    | 1 | `conv1x1-bn-relu` |
    | 2 | `maxpool3x3` |

    A tenth edge is invalid, and so is an edge, or the lack of one, after which the output could no
    longer be connected to the input: every episode ends in a cell of the benchmark. Actions
    drawn uniformly under the mask favour early edges; `NASBench101SearchSpace.sample` draws all
    sequences alike.

    ## Information
    The architecture's `module_hash` is its name in the released tables.

    ## Arguments
    The defaults are sized for 8x8 images on a CPU. The benchmark's own for CIFAR-10: `cells=3,
    stacks=3, filters=128, epochs=108, batch_size=256`; it trained with RMSProp.

    ## References
    - C. Ying, A. Klein, E. Real, E. Christiansen, K. Murphy, F. Hutter. NAS-Bench-101: Towards
      Reproducible Neural Architecture Search. ICML 2019. https://arxiv.org/abs/1902.09635
    """

    search_space_type = NASBench101SearchSpace
    network_settings_type = NASBench101Settings
    defaults: ClassVar[dict[str, Any]] = {"cells": 1, "filters": 16, "epochs": 2, "batch_size": 64}
