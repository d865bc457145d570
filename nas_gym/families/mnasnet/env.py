"""``nas_gym/MnasNet-v0``."""

from typing import Any, ClassVar

from nas_gym.envs.family_env import FamilyEnv
from nas_gym.families.mnasnet.network import MnasNetSettings
from nas_gym.families.mnasnet.search_space import MnasNetSearchSpace


class MnasNetEnv(FamilyEnv):
    """
    ## Description
    An episode designs a MnasNet (Tan et al. 2019): seven blocks of like layers, whose filters and
    layers are chosen relative to MobileNetV2's. The finished network is trained for a few epochs on
    real images; the reward is its validation accuracy, or accuracy and speed together.

    ## Action Space
    A block takes six decisions, in the order of the paper's list; the blocks come from the image to
    the classifier, 42 decisions in all.

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

    ## Rewards
    The paper's own is `reward={"name": "mnasnet", "target": T}`: ACC x (LAT / T)^w for a latency of
    T seconds, with w = -0.07. With `"cost": "multiply_adds"` or `"parameters"`, T is a number of
    these.

    ## Arguments
    The defaults are sized for 8x8 images on a CPU. The paper's own for ImageNet: `width=1.0,
    head_filters=1280, halvings=5, epochs=5`, and the reward with `"target": 0.075` on one thread of
    a Pixel 1.

    ## References
    - M. Tan, B. Chen, R. Pang, V. Vasudevan, M. Sandler, A. Howard, Q. V. Le. MnasNet:
      Platform-Aware Neural Architecture Search for Mobile. CVPR 2019.
      https://arxiv.org/abs/1807.11626
    """

    search_space_type = MnasNetSearchSpace
    network_settings_type = MnasNetSettings
    defaults: ClassVar[dict[str, Any]] = {
        "width": 0.25,
        "divisor": 1,
        "head_filters": 128,
        "halvings": 2,
        "epochs": 2,
        "batch_size": 64,
    }
