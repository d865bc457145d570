"""``nas_gym/TuNAS-v0``."""

from typing import Any, ClassVar

from nas_gym.envs.family_env import FamilyEnv
from nas_gym.families.tunas.search_space import TuNASSearchSpace
from nas_gym.networks.mobile import MobileNetworkSettings


class TuNASEnv(FamilyEnv):
    """
    ## Description
    An episode designs a network of one of TuNAS's three search spaces (Bender et al. 2020). Each
    layer is an inverted bottleneck with a kernel and an expansion of its own, or left out; in two
    of the spaces, the filters of each stage are chosen, too.

    | `variant` | Decisions | Sequences of choices | Without what a zero layer leaves unused |
    |---|---|---|---|
    | `"proxylessnas"` (default) | 58 | 2.156e21 | 6.645e17 |
    | `"proxylessnas_enlarged"` | 67 | 1.392e28 | 4.289e24 |
    | `"mobilenet_v3_like"` | 86 | 8.481e42 | 2.602e38 |

    ## Action Space
    | Decision | Choices |
    |---|---|
    | `stem/filters`, `stage_s/filters`, `head/filters`, ... | 4 to 7 multiples of 8 |
    | `stem/kernel` | `3`, `5`, with `"mobilenet_v3_like"` |
    | `stem/separable/kernel` | `3`, `5`, `7` |
    | `stage_s/layer_l` | `keep`, `zero`; not in the first layer of a stage |
    | `stage_s/layer_l/kernel` | `3`, `5`, `7` |
    | `stage_s/layer_l/expansion` | `3`, `6`; `1` to `6` with `"mobilenet_v3_like"` |
    | `stage_s/layer_l/squeeze` | `false`, `true`, with `"mobilenet_v3_like"` |

    Decisions of a layer that is zero have one valid choice, the first.

    ## Rewards
    The paper's own is the absolute reward, `reward={"name": "tunas", "target": T}` for a latency of
    T seconds; on phones T was 0.084, and 0.057 with `"mobilenet_v3_like"`.

    ## Arguments
    The defaults are sized for 8x8 images on a CPU. The paper's own for ImageNet: `width=1.0,
    halvings=5`.

    ## References
    - G. Bender, H. Liu, B. Chen, G. Chu, S. Cheng, P.-J. Kindermans, Q. Le. Can Weight Sharing
      Outperform Random Architecture Search? An Investigation With TuNAS. CVPR 2020.
      https://arxiv.org/abs/2008.06120
    """

    search_space_type = TuNASSearchSpace
    network_settings_type = MobileNetworkSettings
    evaluators = ("trained", "weight-sharing")
    sharing_defaults: ClassVar[dict[str, Any]] = {"epochs": 90, "batch_size": 64}
    defaults: ClassVar[dict[str, Any]] = {
        **{"width": 0.25, "divisor": 1, "halvings": 2},
        **{"epochs": 2, "batch_size": 64},
    }
