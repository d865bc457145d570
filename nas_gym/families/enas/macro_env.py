"""``nas_gym/ENASMacro-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.envs.family_env import FamilyEnv
from nas_gym.families.enas.macro_network import MacroNetworkSettings
from nas_gym.families.enas.macro_search_space import ENASMacroSearchSpace
from nas_gym.families.enas.sharing import SHARING_DEFAULTS


class ENASMacroEnv(FamilyEnv):
    """
    ## Description
    An episode designs a whole network in ENAS's macro search space (Pham et al. 2018): a chain of
    L layers, each with an operation and with skip connections from earlier outputs. The finished
    network is trained by itself for a few epochs on real images, and its validation accuracy is
    the reward.

    ## Action Space
    Layer i takes i decisions, in the controller's order:

    | Decision | Choices |
    |---|---|
    | `layer_i/op` | `conv_3x3`, `separable_conv_3x3`, `conv_5x5`, `separable_conv_5x5`, `average_pooling`, `max_pooling` |
    | `layer_i/skip_j`, j = 1 to i - 1 | `no`, `yes`: whether output j - 1 skips to the layer |

    Output 0 is the stem's, output k that of layer k. A layer always takes the output just before
    it, and skips are about the outputs before that one, as in the released code. L(L + 1)/2
    decisions: 78 for L = 12, which make 6^L 2^(L(L-1)/2) = 1.6e29 networks.

    ## Arguments
    The defaults are sized for 8x8 images on a CPU. What a search finds is trained on CIFAR-10 with
    `layers=24, form="released_final", filters=96, batch_size=100, epochs=310, learning_rate=0.05,
    weight_decay=4e-4, dropout=0.5`. (The released scripts give half of each weight decay, as the
    factor of the squared weights.)

    With `evaluator="weight-sharing"`, the released search on CIFAR-10 has `layers=12, filters=36,
    batch_size=128, epochs=310, weight_decay=5e-4, dropout=0.1`.

    ## References
    - H. Pham, M. Y. Guan, B. Zoph, Q. V. Le, J. Dean. Efficient Neural Architecture Search via
      Parameter Sharing. ICML 2018. https://arxiv.org/abs/1802.03268
    - Released code: https://github.com/melodyguan/enas

    ## Version History
    - v0: first version
    """  # noqa: E501 (a table's row)

    search_space_type = ENASMacroSearchSpace
    network_settings_type = MacroNetworkSettings
    evaluators = ("trained", "weight-sharing")
    sharing_defaults = SHARING_DEFAULTS
    defaults: ClassVar[dict[str, Any]] = {
        "filters": 8,
        "epochs": 2,
        "batch_size": 64,
    }
