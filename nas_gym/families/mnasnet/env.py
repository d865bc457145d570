"""``nas_gym/MnasNet-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.families.mnasnet.network import MobileNetworkSettings
from nas_gym.families.mnasnet.search_space import MnasNetSearchSpace
from nas_gym.family_env import FamilyEnv


class MnasNetEnv(FamilyEnv):
    """
    ## Description
    An episode designs a MnasNet (Tan et al. 2019): seven blocks of like layers, whose filters and
    layers are chosen relative to MobileNetV2's. The finished network is trained for a few epochs on
    real images; the reward is its validation accuracy, or accuracy and speed together.

    ## Action Space
    `Discrete(4)`: the index of a choice. A block takes six decisions, in the order of the paper's
    list; the blocks come from the image to the classifier, 42 decisions in all.

    | Decision | Choices |
    |---|---|
    | `ConvOp` | `conv`, `dconv`, `MBConv3`, `MBConv6` |
    | `KernelSize` | `3x3`, `5x5` |
    | `SERatio` | `0`, `0.25`: filters between squeeze and excitation, of the layer's input |
    | `SkipOp` | `pooling`, `identity residual`, `no skip` |
    | `F` | `0.75`, `1.0`, `1.25` times the filters of MobileNetV2's block |
    | `N` | `0`, `+1`, `-1` layers more than MobileNetV2's block |

    MobileNetV2's blocks have 16, 24, 32, 64, 96, 160, 320 filters and 1, 2, 3, 4, 3, 3, 1 layers.

    - The paper's list has one inverted bottleneck convolution; its 432 choices a block need two.
      Expansions 3 (`MBConv3`) and 6 (`MBConv6`) are those of MnasNet-A1: inferred, not stated.
    - `dconv` is a depthwise convolution and a 1x1 convolution that sets the filters.
    - An `identity residual` is left out of layers that change the size or the filters.
    - `pooling` adds the 3x3 average-pooled input, with the layer's stride; filters that the layer
      adds get zeros.
    - A block of one layer that gets one layer less is left out.

    Not every action is valid in every decision. `action_masks()` (bool) and `info["action_mask"]`
    (int8) say which are. An invalid action a becomes valid choice number (a modulo how many are
    valid), and `info["invalid_action"]` says so.

    ## Observation Space
    `MultiDiscrete([5, 3, 3, 4, 4, 4] * 7)`, the partial network: 0 is a decision not made yet,
    c + 1 is choice c.

    ## Starting State
    Nothing is decided: all zeros.

    ## Rewards
    0 until the last decision; then a function of the child's evaluation:

    - `reward="accuracy"` (default): validation accuracy after the last epoch.
    - `reward="nas"`: the best validation accuracy of the last five epochs, cubed (Zoph & Le 2017).
    - `reward={"name": "mnasnet", "target": T}`: the paper's own, ACC x (LAT / T)^w for a latency
      of T seconds, with w = -0.07; it needs `latency={}`. With `"cost": "multiply_adds"` or
      `"parameters"`, T is a number of these. See `nas_gym.rewards.MnasNetReward`.

    A child that diverges or runs out of memory is worth 0. A network that was trained before under
    the same settings is answered from memory, with the same reward.

    ## Episode End
    The episode terminates after 42 decisions. It is never truncated.

    ## Information
    | Key | When | Value |
    |---|---|---|
    | `action_mask` | always | `(4,)` int8, 1 where an action is valid |
    | `invalid_action` | after a step | whether the action was invalid |
    | `architecture` | at the end | the architecture as JSON |
    | `evaluation` | at the end | a dict: `accuracy`, `status`, `latency`, `parameters`, ... |

    ## Arguments
    ```python
    gym.make("nas_gym/MnasNet-v0", dataset="digits", epochs=2)
    ```

    | Argument | Default | Meaning |
    |---|---|---|
    | `dataset` | `"digits"` | a name, an `.npz` file, or a folder of images by class |
    | `image_size` | `None` | scale images to this height and width |
    | `reward` | `"accuracy"` | see above |
    | `device` | `"auto"` | `"auto"`, `"cpu"`, `"cuda"`, `"cuda:N"`, `"mps"` |
    | `width` | `0.25` | multiplies all filters but the head's |
    | `divisor` | `1` | filters are multiples of this |
    | `head_filters` | `128` | of the 1x1 convolution after the blocks |
    | `halvings` | `2` | how often the image is halved, at most; `None`: by its size |
    | `latency` | `None` | measure it; `{}`, or fields of `LatencySettings` |
    | `epochs` | `2` | epochs of a child's training |
    | `batch_size` | `64` | images a step |
    | `learning_rate` | `0.1` | at the start; falls along a half cosine |
    | `training_seed` | `0` | the run's seed: a child's own follows from it and the architecture |
    | others | | the fields of `MobileNetworkSettings` and `TrainingSettings` |

    The defaults are sized for 8x8 images on a CPU. The paper's own for ImageNet: `width=1.0,
    head_filters=1280, halvings=5, epochs=5`, and the reward with `"target": 0.075` on one thread of
    a Pixel 1.

    ## References
    - M. Tan, B. Chen, R. Pang, V. Vasudevan, M. Sandler, A. Howard, Q. V. Le. MnasNet:
      Platform-Aware Neural Architecture Search for Mobile. CVPR 2019.
      https://arxiv.org/abs/1807.11626

    ## Version History
    - v0: first version
    """

    search_space_type = MnasNetSearchSpace
    network_settings_type = MobileNetworkSettings
    defaults: ClassVar[dict[str, Any]] = {
        "width": 0.25,
        "divisor": 1,
        "head_filters": 128,
        "halvings": 2,
        "epochs": 2,
        "batch_size": 64,
    }
