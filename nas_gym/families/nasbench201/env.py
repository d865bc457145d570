"""``nas_gym/NASBench201-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.family_env import FamilyEnv


class NASBench201Env(FamilyEnv):
    """
    ## Description
    An episode designs a cell of NAS-Bench-201 (Dong & Yang 2020): a graph of four nodes, each of
    whose six edges takes one of five operations. The finished network is trained for a few epochs
    on real images, or looked up in the published benchmark, and its validation accuracy is the
    reward.

    ## Action Space
    `Discrete(5)`: the operation of the next edge.

    | Action | Operation |
    |---|---|
    | 0 | `none`: the edge brings nothing |
    | 1 | `skip_connect`: the identity |
    | 2 | `nor_conv_1x1`: ReLU, 1x1 convolution, batch normalization |
    | 3 | `nor_conv_3x3`: ReLU, 3x3 convolution, batch normalization |
    | 4 | `avg_pool_3x3`: average pooling |

    The edges come in the order 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2; node 0 is the cell's input, node
    3 its output. Every action is always valid.

    ## Observation Space
    `MultiDiscrete([6, 6, 6, 6, 6, 6])`, the partial cell: 0 is an edge not decided yet, c + 1 is
    operation c.

    ## Starting State
    Nothing is decided: all zeros.

    ## Rewards
    0 until the last decision; then a function of the child's evaluation:

    - `reward="accuracy"` (default): validation accuracy after the last epoch.
    - `reward="nas"`: the best validation accuracy of the last five epochs, cubed (Zoph & Le 2017).
    - `reward={"name": "mnasnet", "target": T}`: accuracy and latency together, which `latency={}`
      has measured, or another cost; see `nas_gym.rewards.MnasNetReward`.

    A child that diverges or runs out of memory is worth 0. A cell that was trained before under the
    same settings, or one isomorphic to it, is answered from memory, with the same reward.

    With `evaluator="recorded"`, the accuracy is the benchmark's own: the mean of the two or three
    seeds it recorded of that very cell (isomorphic cells were trained apart), and `seconds`, in
    `info` and in the budget, are those that this training took. The file `nasbench201_cifar10.npz`
    (or `nasbench201.npz`, of all data sets) is looked up in the folder `NAS_GYM_DATA`;
    `nas-gym table import` makes it.

    ## Episode End
    The episode terminates after six decisions. It is never truncated.

    ## Information
    | Key | When | Value |
    |---|---|---|
    | `action_mask` | always | `(5,)` int8, all 1 |
    | `invalid_action` | after a step | whether the action was invalid |
    | `architecture` | at the end | the architecture as JSON |
    | `evaluation` | at the end | a dict: `accuracy`, `status`, `curve`, `parameters`, ... |

    ## Arguments
    ```python
    gym.make("nas_gym/NASBench201-v0", dataset="digits", epochs=2)
    ```

    | Argument | Default | Meaning |
    |---|---|---|
    | `evaluator` | `"trained"` | `"trained"`, or `"recorded"`; see below |
    | `dataset` | `"digits"` | a name, an `.npz` file, or a folder of images by class |
    | `image_size` | `None` | scale images to this height and width |
    | `reward` | `"accuracy"` | see above |
    | `device` | `"auto"` | `"auto"`, `"cpu"`, `"cuda"`, `"cuda:N"`, `"mps"` |
    | `cells` | `1` | N, cells a stack |
    | `filters` | `8` | C, filters of the first stack |
    | `epochs` | `2` | epochs of a child's training |
    | `batch_size` | `64` | images a step |
    | `learning_rate` | `0.1` | at the start; falls along a half cosine |
    | `training_seed` | `0` | the run's seed: a child's own follows from it and the architecture |
    | others | | the fields of `TrainingSettings` |

    The defaults are sized for 8x8 images on a CPU. The benchmark's own for CIFAR-10: `cells=5,
    filters=16, epochs=200, batch_size=256`.

    With `evaluator="recorded"`, nothing is trained, and there are only these:

    ```python
    gym.make("nas_gym/NASBench201-v0", evaluator="recorded", dataset="cifar10", epochs=200)
    ```

    | Argument | Default | Meaning |
    |---|---|---|
    | `dataset` | `"cifar10"` | `"cifar10"`, `"cifar100"` or `"imagenet16"` |
    | `epochs` | `12` | `12`, or `200` |
    | `path` | `None` | the file, if it is not in `NAS_GYM_DATA` |
    | `reward` | `"accuracy"` | see above |
    | `training_seed` | | has no effect: what is recorded is |

    ## References
    - X. Dong, Y. Yang. NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture
      Search. ICLR 2020. https://arxiv.org/abs/2001.00326

    ## Version History
    - v0: first version
    """

    search_space_type = NASBench201SearchSpace
    network_settings_type = NASBench201Settings
    evaluators = ("trained", "recorded")
    defaults: ClassVar[dict[str, Any]] = {
        "cells": 1,
        "filters": 8,
        "epochs": 2,
        "batch_size": 64,
    }
    recorded = staticmethod(nasbench201_table)
