"""``nas_gym/ENASMacro-v0`` and ``nas_gym/ENASMicro-v0``."""

from typing import Any, ClassVar

from nas_gym.envs.family_env import FamilyEnv
from nas_gym.families.enas.macro_network import MacroNetworkSettings
from nas_gym.families.enas.macro_search_space import ENASMacroSearchSpace
from nas_gym.families.enas.micro_network import ENASCellNetworkSettings
from nas_gym.families.enas.micro_search_space import ENASMicroSearchSpace


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
    """  # noqa: E501 (a table's row)

    search_space_type = ENASMacroSearchSpace
    network_settings_type = MacroNetworkSettings
    evaluators = ("trained", "weight-sharing")
    sharing_defaults: ClassVar[dict[str, Any]] = {
        "form": "released_search",
        "epochs": 150,
        "batch_size": 32,
        "learning_rate": 0.05,
        "weight_decay": 2e-4,
    }
    defaults: ClassVar[dict[str, Any]] = {"filters": 8, "epochs": 2, "batch_size": 64}


class ENASMicroEnv(FamilyEnv):
    """
    ## Description
    An episode designs the two cells of ENAS's micro search space (Pham et al. 2018): a normal cell
    and a reduction cell of B nodes each, besides their two inputs. The finished network is trained
    by itself for a few epochs on real images, and its validation accuracy is the reward.

    ## Action Space
    A node takes four decisions, in the controller's order:

    | Decision | Choices |
    |---|---|
    | `index_1` | an earlier node: `h_{i-1}`, `h_i`, or one that the cell computes |
    | `index_2` | a second one, from the same ones; it may be the same |
    | `op_1` | `separable_conv_3x3`, `separable_conv_5x5`, `average_pooling`, `max_pooling`, `identity`, for `index_1` |
    | `op_2` | the same ones, for `index_2` |

    Nodes 0 and 1 are the cell's inputs, the output of the cell before the previous one, `h_{i-1}`,
    and of the previous one, `h_i` (NASNet numbers them the other way round); the cell computes
    nodes 2 to B + 1, and node k chooses among k. The two results are added. The normal cell's 4B
    decisions come first, then the reduction cell's: 40 in all for B = 5. Nodes that no node takes
    are concatenated, the cell's inputs among them.

    There are 2.6e25 sequences of decisions for B = 5 (25,628,906,250,000,000,000,000,000). The
    paper's (5 (B - 2)!)^4 = 1.3e11, where B = 7 counts the inputs, is smaller, since it does not
    count each node's two operations and two indices separately.

    ## Arguments
    The defaults are sized for 8x8 images on a CPU. What a search finds is trained on CIFAR-10 with
    `form="released_final", cells=5, filters=36, batch_size=144, epochs=630, learning_rate=0.05,
    weight_decay=4e-4, dropout=0.2, drop_path_keep=0.6, auxiliary_head=True, cutout=16`; the
    paper's network has `cells=6`. (The released scripts give half of each weight decay, as the
    factor of the squared weights.)

    With `evaluator="weight-sharing"`, the released search on CIFAR-10 has `cells=2, filters=20,
    batch_size=160, dropout=0.1, auxiliary_head=True`, and the defaults for the rest.

    ## References
    - H. Pham, M. Y. Guan, B. Zoph, Q. V. Le, J. Dean. Efficient Neural Architecture Search via
      Parameter Sharing. ICML 2018. https://arxiv.org/abs/1802.03268
    - Released code: https://github.com/melodyguan/enas
    """  # noqa: E501 (a table's row)

    search_space_type = ENASMicroSearchSpace
    network_settings_type = ENASCellNetworkSettings
    evaluators = ("trained", "weight-sharing")
    sharing_defaults = ENASMacroEnv.sharing_defaults
    defaults: ClassVar[dict[str, Any]] = {"cells": 1, "filters": 8, "epochs": 2, "batch_size": 64}
