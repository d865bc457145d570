"""``nas_gym/ENASRecurrent-v0``."""

from __future__ import annotations

from typing import Any, ClassVar

from nas_gym.envs.evaluators import sharing
from nas_gym.envs.recurrent_env import RecurrentEnv
from nas_gym.families.enas_recurrent.search_space import ENASRecurrentSearchSpace
from nas_gym.families.enas_recurrent.sharing import RecurrentSharing, RecurrentSharingSettings

_SHARED = """\
With `evaluator="weight-sharing"`, all children share the weights of a supernet: one matrix for each
node, activation and predecessor. Perplexity is measured on a window of the validation text under
the current weights. `env.unwrapped.memory.evaluator` is the
`nas_gym.families.enas_recurrent.sharing.RecurrentSharing`, whose `train_epoch` trains them; the
agent `enas` does so."""


class ENASRecurrentEnv(RecurrentEnv):
    """
    ## Description
    An episode designs a recurrent cell of L nodes, as Efficient Neural Architecture Search does
    (Pham et al. 2018), in the form of the code released with its corrected results. The cell
    becomes a language model, which is trained for a few epochs on a text.

    ## Action Space
    Node l takes two decisions, for l from 1 to L:

    | Decision | Choices |
    |---|---|
    | `node_l/predecessor` | nodes 0 to l - 1; node 0 is computed from x_t and h_{t-1} |
    | `node_l/activation` | tanh, relu, sigmoid, identity |

    A highway connection carries the predecessor over; h_t is the mean of nodes 1 to L. There are 2L
    decisions and 4^L x L! cells; the released cells have L = 8, the released search L = 9.

    ## Rewards
    Children are measured by perplexity, or by bits per character, and `accuracy` is their score in
    [0, 1]: 1 / perplexity, or 1 / (1 + bits). The released reward is
    `reward={"name": "perplexity", "c": 80}`: 80 / perplexity. Cells whose nodes are only numbered
    in another order are the same network.

    ## Arguments
    The defaults train a child in seconds on a CPU. The text, Python's own documentation, differs
    between versions of Python; `dataset="ptb"` is Penn Treebank. The released final training has
    `units=800, batch_size=64, bptt=35, optimizer="sgd", learning_rate=20, schedule="constant",
    gradient_clip=0.25, dropout_embedding=0.125, dropout_output=0.75, init_range=0.05,
    activation_regularization=0.7`.

    ## References
    - H. Pham, M. Y. Guan, B. Zoph, Q. V. Le, J. Dean. Efficient Neural Architecture Search via
      Parameter Sharing. ICML 2018. https://arxiv.org/abs/1802.03268
    """

    search_space_type = ENASRecurrentSearchSpace
    evaluators = ("trained", "weight-sharing")
    own_evaluators: ClassVar[dict[str, Any]] = {
        "weight-sharing": sharing(RecurrentSharing, RecurrentSharingSettings, _SHARED)
    }
    sharing_defaults: ClassVar[dict[str, Any]] = {
        "epochs": 20,
        "optimizer": "sgd",
        "learning_rate": 20.0,
        "schedule": "constant",
        "data_fraction": 1.0,
    }
