"""``nas_gym/NASNet-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.families.nasnet.search_space import NASNetSearchSpace
from nas_gym.family_env import FamilyEnv


class NASNetEnv(FamilyEnv):
    """
    ## Description
    An episode designs the two cells of a NASNet (Zoph et al. 2018): a normal cell and a reduction
    cell of B blocks each. The finished network is trained for a few epochs on real images, and its
    validation accuracy is the reward.

    ## Action Space
    `Discrete(13)`: the index of a choice. A block takes five decisions, in the order of the
    paper's steps:

    | Decision | Choices |
    |---|---|
    | `hidden_1` | a hidden state: `h_i`, `h_{i-1}`, or the output of an earlier block |
    | `hidden_2` | another, from the same ones |
    | `op_1` | one of 13 operations for `hidden_1` |
    | `op_2` | one of 13 operations for `hidden_2` |
    | `combine` | element-wise addition, or concatenation along the filters |

    `h_i` is the output of the cell before, `h_{i-1}` of the one before that. Block b has b + 1
    hidden states to choose from. The normal cell's 5B decisions come first, then the reduction
    cell's: 50 in all for B = 5. The outputs of blocks that no block uses are concatenated.

    Not every action is valid in every decision. `action_masks()` (bool) and `info["action_mask"]`
    (int8) say which are. An invalid action a becomes valid choice number (a modulo how many are
    valid), and `info["invalid_action"]` says so.

    ## Observation Space
    `MultiDiscrete` of 10B entries, the partial architecture: 0 is a decision not made yet, c + 1
    is choice c.

    ## Starting State
    Nothing is decided: all zeros.

    ## Rewards
    0 until the last decision; then a function of the child's evaluation:

    - `reward="accuracy"` (default): validation accuracy after the last epoch.
    - `reward="nas"`: the best validation accuracy of the last five epochs, cubed (Zoph & Le 2017).
    - `reward={"name": "mnasnet", "target": T}`: accuracy and latency together, which `latency={}`
      has measured, or another cost; see `nas_gym.rewards.MnasNetReward`.

    A child that cannot be built, diverges or runs out of memory is worth 0. A network that was
    trained before under the same settings is answered from memory, with the same reward.

    ## Episode End
    The episode terminates with the last decision. It is never truncated.

    ## Information
    | Key | When | Value |
    |---|---|---|
    | `action_mask` | always | `(13,)` int8, 1 where an action is valid |
    | `invalid_action` | after a step | whether the action was invalid |
    | `architecture` | at the end | the architecture as JSON |
    | `evaluation` | at the end | a dict: `accuracy`, `status`, `curve`, `parameters`, ... |

    ## Arguments
    ```python
    gym.make("nas_gym/NASNet-v0", dataset="digits", epochs=2)
    ```

    | Argument | Default | Meaning |
    |---|---|---|
    | `blocks` | `5` | B |
    | `operations` | the paper's 13 | labels to choose from |
    | `combines` | the paper's two | labels to choose from |
    | `dataset` | `"digits"` | a name, an `.npz` file, or a folder of images by class |
    | `image_size` | `None` | scale images to this height and width |
    | `reward` | `"accuracy"` | see above |
    | `device` | `"auto"` | `"auto"`, `"cpu"`, `"cuda"`, `"cuda:N"`, `"mps"` |
    | `cells` | `1` | N, normal cells a stack |
    | `filters` | `8` | F, filters of the first stack |
    | `epochs` | `2` | epochs of a child's training |
    | `batch_size` | `64` | images a step |
    | `learning_rate` | `0.1` | at the start; falls along a half cosine |
    | `training_seed` | `0` | the run's seed: a child's own follows from it and the architecture |
    | others | | the fields of `CellNetworkSettings` and `TrainingSettings` |

    The defaults are sized for 8x8 images on a CPU. NASNet's own for CIFAR-10: `cells=2,
    filters=32, epochs=20, batch_size=32, learning_rate=0.025`.

    ## References
    - B. Zoph, V. Vasudevan, J. Shlens, Q. V. Le. Learning Transferable Architectures for Scalable
      Image Recognition. CVPR 2018. https://arxiv.org/abs/1707.07012

    ## Version History
    - v0: first version
    """

    search_space_type = NASNetSearchSpace
    network_settings_type = CellNetworkSettings
    defaults: ClassVar[dict[str, Any]] = {
        "cells": 1,
        "filters": 8,
        "epochs": 2,
        "batch_size": 64,
    }
