"""``nas_gym/ENASMacro-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.families.enas.macro_network import MacroNetworkSettings
from nas_gym.families.enas.macro_search_space import ENASMacroSearchSpace
from nas_gym.families.enas.sharing import SHARING_DEFAULTS
from nas_gym.family_env import FamilyEnv


class ENASMacroEnv(FamilyEnv):
    """
    ## Description
    An episode designs a whole network in ENAS's macro search space (Pham et al. 2018): a chain of
    L layers, each with an operation and with skip connections from earlier outputs. The finished
    network is trained by itself for a few epochs on real images, and its validation accuracy is
    the reward.

    ## Action Space
    `Discrete(6)`: the index of a choice. Layer i takes i decisions, in the controller's order:

    | Decision | Choices |
    |---|---|
    | `layer_i/op` | `conv_3x3`, `separable_conv_3x3`, `conv_5x5`, `separable_conv_5x5`, `average_pooling`, `max_pooling` |
    | `layer_i/skip_j`, j = 1 to i - 1 | `no`, `yes`: whether output j - 1 skips to the layer |

    Output 0 is the stem's, output k that of layer k. A layer always takes the output just before
    it, and skips are about the outputs before that one, as in the released code. L(L + 1)/2
    decisions: 78 for L = 12, which make 6^L 2^(L(L-1)/2) = 1.6e29 networks.

    In skip decisions actions 2 to 5 are not valid. `action_masks()` (bool) and
    `info["action_mask"]` (int8) say which are. An invalid action a becomes valid choice number
    (a modulo how many are valid), and `info["invalid_action"]` says so.

    ## Observation Space
    `MultiDiscrete` of L(L + 1)/2 entries, the partial architecture: 0 is a decision not made yet,
    c + 1 is choice c.

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

    With `evaluator="weight-sharing"`, no child is trained by itself: all of them share the weights
    of a supernet, and the accuracy is that on a minibatch of validation images under these weights
    as they stand. Nothing is answered from memory. `env.unwrapped.memory.evaluator` is the
    `nas_gym.weight_sharing.evaluator.WeightSharing`, whose `train_epoch` trains the weights: a
    controller has to call it, as the agent `enas` does.

    ## Episode End
    The episode terminates with the last decision. It is never truncated.

    ## Information
    | Key | When | Value |
    |---|---|---|
    | `action_mask` | always | `(6,)` int8, 1 where an action is valid |
    | `invalid_action` | after a step | whether the action was invalid |
    | `architecture` | at the end | the architecture as JSON |
    | `evaluation` | at the end | a dict: `accuracy`, `status`, `curve`, `parameters`, ... |

    ## Arguments
    ```python
    gym.make("nas_gym/ENASMacro-v0", dataset="digits", epochs=2)
    ```

    | Argument | Default | Meaning |
    |---|---|---|
    | `layers` | `12` | L |
    | `evaluator` | `"trained"` | `"trained"`, or `"weight-sharing"`; see below |
    | `dataset` | `"digits"` | a name, an `.npz` file, or a folder of images by class |
    | `image_size` | `None` | scale images to this height and width |
    | `reward` | `"accuracy"` | see above |
    | `device` | `"auto"` | `"auto"`, `"cpu"`, `"cuda"`, `"cuda:N"`, `"mps"` |
    | `form` | `"released_final"` | which of `MacroNetworkSettings`' forms the network has |
    | `filters` | `8` | F, filters of the first layers |
    | `epochs` | `2` | epochs of a child's training |
    | `batch_size` | `64` | images a step |
    | `learning_rate` | `0.1` | at the start; falls along a half cosine |
    | `training_seed` | `0` | the run's seed: a child's own follows from it and the architecture |
    | others | | the fields of `MacroNetworkSettings` and `TrainingSettings` |

    The defaults are sized for 8x8 images on a CPU. What a search finds is trained on CIFAR-10 with
    `layers=24, form="released_final", filters=96, batch_size=100, epochs=310, learning_rate=0.05,
    weight_decay=4e-4, dropout=0.5`. (The released scripts give half of each weight decay, as the
    factor of the squared weights.)

    With `evaluator="weight-sharing"`, the last row stands for the fields of
    `nas_gym.weight_sharing.evaluator.WeightSharingSettings`, and the defaults are others:
    `form="released_search", epochs=150, batch_size=32, learning_rate=0.05, weight_decay=2e-4`. The
    released search on CIFAR-10 has `layers=12, filters=36, batch_size=128, epochs=310,
    weight_decay=5e-4, dropout=0.1`.

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
