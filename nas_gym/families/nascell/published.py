"""The recurrent cell that NAS found (Zoph & Le 2017, figure 8), as TensorFlow released it."""

from nas_gym.families.nascell.search_space import NASCellArchitecture

NASCELL = NASCellArchitecture(
    nodes=(
        ("add", "sigmoid"),
        ("add", "relu"),
        ("add", "sigmoid"),
        ("elem_mult", "relu"),
        ("add", "tanh"),
        ("add", "sigmoid"),
        ("add", "tanh"),
        ("add", "sigmoid"),
        ("elem_mult", "tanh"),
        ("add", "tanh"),
        ("elem_mult", "tanh"),
        ("add", "sigmoid"),
        ("elem_mult", "identity"),
        ("add", "tanh"),
        ("elem_mult", "tanh"),
    ),
    cell_inject=("add", "tanh"),
    cell_indices=(12, 8),
)
"""``tf.contrib.rnn.NASCell``, in the order of its weights."""

PUBLISHED = {"NASCell": NASCELL}
"""By their names in the papers."""
