"""``nas_gym/NAS-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.families.nas.network import ChainNetworkSettings
from nas_gym.families.nas.search_space import NASSearchSpace
from nas_gym.family_env import FamilyEnv


class NASChainEnv(FamilyEnv):
    """
    ## Description
    An episode designs a convolutional network layer by layer, as Neural Architecture Search did
    first (Zoph & Le 2017): a chain of L convolutions with skip connections. The finished network is
    trained for a few epochs on real images, and its validation accuracy is the reward.

    ## Action Space
    `Discrete(4)`: the index of a choice. Layer n takes its decisions in this order:

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

    Not every action is valid in every decision. `action_masks()` (bool) and `info["action_mask"]`
    (int8) say which are. An invalid action a becomes valid choice number (a modulo how many are
    valid), and `info["invalid_action"]` says so.

    ## Observation Space
    `MultiDiscrete` with an entry for each decision, the partial architecture: 0 is a decision not
    made yet, c + 1 is choice c.

    ## Starting State
    Nothing is decided: all zeros.

    ## Rewards
    0 until the last decision; then a function of the child's evaluation:

    - `reward="accuracy"` (default): validation accuracy after the last epoch.
    - `reward="nas"`: the best validation accuracy of the last five epochs, cubed (the paper's).
    - `reward={"name": "mnasnet", "target": T}`: accuracy and latency together, which `latency={}`
      has measured, or another cost; see `nas_gym.rewards.MnasNetReward`.

    A child that cannot be built, diverges or runs out of memory is worth 0. A network that was
    trained before under the same settings is answered from memory, with the same reward; one whose
    layers are only numbered in another order counts as the same.

    ## Episode End
    The episode terminates with the last decision. It is never truncated.

    ## Information
    | Key | When | Value |
    |---|---|---|
    | `action_mask` | always | `(4,)` int8, 1 where an action is valid |
    | `invalid_action` | after a step | whether the action was invalid |
    | `architecture` | at the end | the architecture as JSON |
    | `evaluation` | at the end | a dict: `accuracy`, `status`, `curve`, `parameters`, ... |

    ## Arguments
    ```python
    gym.make("nas_gym/NAS-v0", dataset="digits", epochs=2)
    ```

    | Argument | Default | Meaning |
    |---|---|---|
    | `layers` | `6` | L |
    | `strides` | `False` | whether strides are predicted |
    | `filters` | `[24, 36, 48, 64]` | numbers of filters to choose from |
    | `pooling_layers` | `[]` | layers, from 1 on, that are 2x2 max pooling: skip decisions only |
    | `depth_schedule` | `None` | `[start, step, samples]`, see below |
    | `filter_scale` | `0.5` | what every number of filters is multiplied by |
    | `dataset` | `"digits"` | a name, an `.npz` file, or a folder of images by class |
    | `image_size` | `None` | scale images to this height and width |
    | `reward` | `"accuracy"` | see above |
    | `device` | `"auto"` | `"auto"`, `"cpu"`, `"cuda"`, `"cuda:N"`, `"mps"` |
    | `epochs` | `2` | epochs of a child's training |
    | `batch_size` | `64` | images a step |
    | `learning_rate` | `0.1` | at the start; falls along a half cosine |
    | `training_seed` | `0` | the run's seed: a child's own follows from it and the architecture |
    | others | | the fields of `TrainingSettings` |

    With `depth_schedule=[6, 2, 1600]` networks have 6 layers at first, and two more after every
    1,600 samples, until they have `layers`. The number of decisions is always that of the largest
    depth; those of a layer that does not exist yet have one valid choice, action 0.

    The defaults are sized for 8x8 images on a CPU. The paper's own for CIFAR-10: `filter_scale=1,
    epochs=50, learning_rate=0.1, reward="nas", depth_schedule=[6, 2, 1600]`. Its best networks have
    15 layers; 20 with `strides=True`; and 39 with `pooling_layers=[13, 24]`.

    ## References
    - B. Zoph, Q. V. Le. Neural Architecture Search with Reinforcement Learning. ICLR 2017.
      https://arxiv.org/abs/1611.01578

    ## Version History
    - v0: first version
    """

    search_space_type = NASSearchSpace
    network_settings_type = ChainNetworkSettings
    defaults: ClassVar[dict[str, Any]] = {
        "filter_scale": 0.5,
        "epochs": 2,
        "batch_size": 64,
    }
