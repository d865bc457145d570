"""Published recurrent cells of ENAS and of DARTS, as their code was released.

ENAS: https://github.com/google-research/google-research/tree/master/enas_lm, README. DARTS (Liu et
al. 2019, https://arxiv.org/abs/1806.09055): https://github.com/quark0/darts, rnn/genotypes.py.
"""

from nas_gym.families.enas_recurrent.search_space import ENASRecurrentArchitecture

ENAS_RECURRENT = ENASRecurrentArchitecture.from_arc("0 2 1 0 2 1 2 2 4 0 5 0 3 2 6 2")
"""ENAS's cell of eight nodes."""

DARTS_V1 = ENASRecurrentArchitecture(
    (
        (0, "relu"),
        (1, "relu"),
        (2, "tanh"),
        (3, "relu"),
        (4, "relu"),
        (1, "identity"),
        (5, "relu"),
        (1, "relu"),
    )
)
"""DARTS's cell of the first order."""

DARTS_V2 = ENASRecurrentArchitecture.from_arc("0 2 1 1 1 1 1 3 2 0 5 2 3 0 5 1")
"""DARTS's cell of the second order, as the code of ENAS writes it."""

PUBLISHED = {
    "ENAS-Recurrent": ENAS_RECURRENT,
    "DARTS-Recurrent-V1": DARTS_V1,
    "DARTS-Recurrent-V2": DARTS_V2,
}
"""By their names in the papers and in the released code."""
