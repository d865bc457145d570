"""``nas_gym/NASBench101-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.families.nasbench101.network import NASBench101Settings
from nas_gym.families.nasbench101.search_space import NASBench101SearchSpace
from nas_gym.families.nasbench101.table import nasbench101_table
from nas_gym.family_env import FamilyEnv


class NASBench101Env(FamilyEnv):
    """
    ## Description
    An episode designs a cell of NAS-Bench-101 (Ying et al. 2019): a directed acyclic graph of seven
    vertices and at most nine edges. Vertex 0 is the cell's input, vertex 6 its output, and each of
    the five between takes one of three operations. The finished network is trained for a few epochs
    on real images, or looked up in the published benchmark, and its validation accuracy is the
    reward.

    An inner vertex adds what its edges bring, the cell's input through a 1x1 projection; the output
    concatenates. Vertices that lie on no path from input to output are left out of the network.

    ## Action Space
    `Discrete(3)`. In the first 21 decisions, an edge:

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
    longer be connected to the input: every episode ends in a cell of the benchmark. An invalid
    action `a` becomes valid choice number `a` modulo how many are valid. Actions drawn uniformly
    under the mask favour early edges; `NASBench101SearchSpace.sample` draws all sequences alike.

    ## Observation Space
    `MultiDiscrete([3] * 21 + [4] * 5)`, the partial cell: 0 is a decision not made yet, c + 1 is
    choice c.

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

    With `evaluator="recorded"`, the accuracy is the benchmark's own, the mean of the three
    trainings that it recorded of the cell, and `seconds`, in `info` and in the budget, are the mean
    that they took. The file `nasbench101.npz` is looked up in the folder `NAS_GYM_DATA`;
    `nas-gym table import nasbench_full.tfrecord` makes it.

    ## Episode End
    The episode terminates after 26 decisions. It is never truncated.

    ## Information
    | Key | When | Value |
    |---|---|---|
    | `action_mask` | always | `(3,)` int8, 1 where an action is valid |
    | `invalid_action` | after a step | whether the action was invalid |
    | `architecture` | at the end | the architecture as JSON |
    | `evaluation` | at the end | a dict: `accuracy`, `status`, `curve`, `parameters`, ... |

    The architecture's `module_hash` is its name in the released tables.

    ## Arguments
    ```python
    gym.make("nas_gym/NASBench101-v0", dataset="digits", epochs=2)
    ```

    | Argument | Default | Meaning |
    |---|---|---|
    | `evaluator` | `"trained"` | `"trained"`, or `"recorded"`; see below |
    | `dataset` | `"digits"` | a name, an `.npz` file, or a folder of images by class |
    | `image_size` | `None` | scale images to this height and width |
    | `reward` | `"accuracy"` | see above |
    | `device` | `"auto"` | `"auto"`, `"cpu"`, `"cuda"`, `"cuda:N"`, `"mps"` |
    | `cells` | `1` | cells ("modules") a stack |
    | `stacks` | `3` | stacks of cells; each halves the size and doubles the filters |
    | `filters` | `16` | filters of the first stack, at least 5 |
    | `epochs` | `2` | epochs of a child's training |
    | `batch_size` | `64` | images a step |
    | `learning_rate` | `0.1` | at the start; falls along a half cosine |
    | `training_seed` | `0` | the run's seed: a child's own follows from it and the architecture |
    | others | | the fields of `TrainingSettings` |

    The defaults are sized for 8x8 images on a CPU. The benchmark's own for CIFAR-10: `cells=3,
    stacks=3, filters=128, epochs=108, batch_size=256`; it trained with RMSProp.

    With `evaluator="recorded"`, nothing is trained, and there are only these:

    ```python
    gym.make("nas_gym/NASBench101-v0", evaluator="recorded", epochs=36)
    ```

    | Argument | Default | Meaning |
    |---|---|---|
    | `epochs` | `108` | `4`, `12`, `36` or `108`, if the file has them |
    | `path` | `None` | the file, if it is not in `NAS_GYM_DATA` |
    | `reward` | `"accuracy"` | see above |
    | `training_seed` | | has no effect: what is recorded is |

    ## References
    - C. Ying, A. Klein, E. Real, E. Christiansen, K. Murphy, F. Hutter. NAS-Bench-101: Towards
      Reproducible Neural Architecture Search. ICML 2019. https://arxiv.org/abs/1902.09635

    ## Version History
    - v0: first version
    """

    search_space_type = NASBench101SearchSpace
    network_settings_type = NASBench101Settings
    evaluators = ("trained", "recorded")
    defaults: ClassVar[dict[str, Any]] = {
        "cells": 1,
        "filters": 16,
        "epochs": 2,
        "batch_size": 64,
    }
    recorded = staticmethod(nasbench101_table)
