"""``nas_gym/NASCell-v0``."""

from __future__ import annotations

from nas_gym.envs.recurrent_env import RecurrentEnv
from nas_gym.families.nascell.search_space import NASCellSearchSpace


class NASCellEnv(RecurrentEnv):
    """
    ## Description
    An episode designs a recurrent cell, as Neural Architecture Search did for language models (Zoph
    & Le 2017, section 3.4): a tree that combines the input x_t, the output h_{t-1} and the state
    c_{t-1}. The cell becomes a language model, which is trained for a few epochs on a text.

    ## Action Space
    Every node of the tree takes two decisions, leaves first; then the cell state takes four:

    | Decision | Choices |
    |---|---|
    | `node_k/combination` | add, elem_mult; of W x_t and U h_{t-1}, or of two children |
    | `node_k/activation` | identity, tanh, sigmoid, relu |
    | `cell_inject/combination`, `cell_inject/activation` | the same: how c_{t-1} is combined |
    | `cell_index/new` | the node that gives c_t, before its activation |
    | `cell_index/previous` | the node with whose result c_{t-1} is combined |

    With the paper's base number 8 there are 15 nodes, 34 decisions and 8^16 x 15^2 cells. With
    `more_functions=True`, nodes choose from `max` and `sin`, too, as in its control experiment.

    ## Rewards
    Children are measured by perplexity, or by bits per character, and `accuracy` is their score in
    [0, 1]: 1 / perplexity, or 1 / (1 + bits). The paper's reward is
    `reward={"name": "perplexity", "c": 80, "power": 2}`: 80 / perplexity^2. Cells whose nodes have
    their two children in another order are the same network.

    ## Arguments
    The defaults train a child in seconds on a CPU. The text, Python's own documentation, differs
    between versions of Python; `dataset="ptb"` is Penn Treebank.

    ## References
    - B. Zoph, Q. V. Le. Neural Architecture Search with Reinforcement Learning. ICLR 2017.
      https://arxiv.org/abs/1611.01578
    """

    search_space_type = NASCellSearchSpace
