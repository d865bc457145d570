"""``nas_gym/OFA-v0`` and ``nas_gym/ProxylessNAS-v0``."""

from typing import Any, ClassVar

from nas_gym.envs.evaluators import sharing
from nas_gym.envs.family_env import FamilyEnv
from nas_gym.families.mobile.ofa import OFASearchSpace
from nas_gym.families.mobile.once_for_all import OnceForAll
from nas_gym.families.mobile.proxylessnas import ProxylessNASSearchSpace
from nas_gym.families.mobile.shrinking import ShrinkingSettings
from nas_gym.families.mobile.surrogate import ofa_surrogate
from nas_gym.networks.mobile import MobileNetworkSettings

_SMALL: dict[str, Any] = {
    **{"width": 0.25, "divisor": 1, "halvings": 2},
    **{"epochs": 2, "batch_size": 64},
}

_ELASTIC = """\
With `evaluator="weight-sharing"`, the elastic network is trained once, by progressive shrinking,
and all evaluations are those of sub-networks with its weights: seconds each, and no training.
`weights` names the file that keeps it, so that further searches, for other targets, train nothing.
`env.unwrapped.memory.evaluator` is the `nas_gym.families.mobile.once_for_all.OnceForAll`, whose
`sub_network(architecture)` is a plain network with its weights. The paper's own for ImageNet are
the defaults of `ShrinkingSettings`, with `learning_rate=2.6` for batches of 2,048."""


class OFAEnv(FamilyEnv):
    """
    ## Description
    An episode designs a network of Once-for-All's search space (Cai et al. 2020): MobileNetV3's
    form, five stages of two to four layers, each layer with a kernel and an expansion of its own.

    With `evaluator="surrogate"` nothing is trained, and a search takes seconds: the authors'
    predictor gives the accuracy on ImageNet, and their table the latency on a Samsung Note 10, for
    the width 1.2 and five resolutions.

    ## Action Space
    | Decision | Choices |
    |---|---|
    | `resolution` | with `resolutions`, and with the surrogate: pixels |
    | `stage_s/depth` | `2`, `3`, `4` layers |
    | `stage_s/layer_l/kernel` | `3`, `5`, `7` |
    | `stage_s/layer_l/expansion` | `3`, `4`, `6` |

    The decisions of a layer beyond the depth have one valid choice, the first.

    ## Rewards
    The surrogate's accuracy is on images held out of ImageNet's training set; it is not ImageNet's
    top-1 accuracy. Its evaluations have `latency`, in seconds, `parameters` and
    `multiply_adds`.

    ## Arguments
    `filter_width` multiplies the search space's filters, as in the paper, and rounds them to
    multiples of 8; `width` scales the network that is trained. The defaults are sized for 8x8
    images on a CPU. The paper's own for ImageNet: `width=1.0, halvings=5`.

    ## References
    - H. Cai, C. Gan, T. Wang, Z. Zhang, S. Han. Once-for-All: Train One Network and Specialize it
      for Efficient Deployment. ICLR 2020. https://arxiv.org/abs/1908.09791
    """

    search_space_type = OFASearchSpace
    network_settings_type = MobileNetworkSettings
    evaluators = ("trained", "weight-sharing", "surrogate")
    own_evaluators: ClassVar[dict[str, Any]] = {
        "weight-sharing": sharing(OnceForAll, ShrinkingSettings, _ELASTIC)
    }
    sharing_defaults: ClassVar[dict[str, Any]] = {
        **{"epochs": 10, "phase_epochs": (4, 2, 4, 2, 4)},
        "phase_rates": (0.5, 0.2, 0.3, 0.2, 0.3),
    }
    surrogate = staticmethod(ofa_surrogate)
    defaults: ClassVar[dict[str, Any]] = _SMALL
    surrogate_defaults: ClassVar[dict[str, Any]] = {
        "filter_width": 1.2,
        "resolutions": (160, 176, 192, 208, 224),
    }


class ProxylessNASEnv(FamilyEnv):
    """
    ## Description
    An episode designs a network of ProxylessNAS's search space (Cai et al. 2019): 21 layers, each
    an inverted bottleneck of one of three kernels and two expansions, or left out. The finished
    network is trained for a few epochs on real images; the reward is its validation accuracy, or
    accuracy and speed together.

    ## Action Space
    | Action | Layer |
    |---|---|
    | 0, 1 | `3x3_MBConv3`, `3x3_MBConv6` |
    | 2, 3 | `5x5_MBConv3`, `5x5_MBConv6` |
    | 4, 5 | `7x7_MBConv3`, `7x7_MBConv6` |
    | 6 | `zero`: left out; not in the first layer of a stage |

    The layers come from the image to the classifier. A fixed layer with 16 filters is before them.

    ## Rewards
    The paper's own is `reward={"name": "proxylessnas", "target": T}` for a latency of T seconds; on
    phones T was 0.08.

    ## Arguments
    The defaults are sized for 8x8 images on a CPU. The paper's own for ImageNet: `width=1.0,
    halvings=5`.

    ## References
    - H. Cai, L. Zhu, S. Han. ProxylessNAS: Direct Neural Architecture Search on Target Task and
      Hardware. ICLR 2019. https://arxiv.org/abs/1812.00332
    """

    search_space_type = ProxylessNASSearchSpace
    network_settings_type = MobileNetworkSettings
    evaluators = ("trained", "weight-sharing")
    sharing_defaults: ClassVar[dict[str, Any]] = {"epochs": 160, "batch_size": 64}
    defaults: ClassVar[dict[str, Any]] = _SMALL
