"""``nas_gym/Gated-v0``."""

from __future__ import annotations

from nas_gym.envs.recurrent_env import RecurrentEnv
from nas_gym.families.gated.search_space import GatedSearchSpace


class GatedEnv(RecurrentEnv):
    """
    ## Description
    An LSTM or a GRU becomes a language model, which is trained for a few epochs on a text, to
    compare with the cells that a search finds. `nas-gym train LSTM` trains one to the end.

    ## Action Space
    One decision, `cell`: `LSTM` or `GRU`, as PyTorch has them.

    ## Rewards
    As in `nas_gym/NASCell-v0`.

    ## References
    - S. Hochreiter, J. Schmidhuber. Long Short-Term Memory. Neural Computation 9(8), 1997.
    - K. Cho et al. Learning Phrase Representations using RNN Encoder-Decoder for Statistical
      Machine Translation. EMNLP 2014. https://arxiv.org/abs/1406.1078
    """

    search_space_type = GatedSearchSpace
