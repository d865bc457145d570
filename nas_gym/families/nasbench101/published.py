"""A published cell of NAS-Bench-101."""

from nas_gym.families.nasbench101.architecture import NASBench101Architecture

PUBLISHED = {
    "NAS-Bench-101-Inception": NASBench101Architecture(
        adjacency=(
            (0, 1, 1, 1, 0, 1, 0),
            (0, 0, 0, 0, 0, 0, 1),
            (0, 0, 0, 0, 0, 0, 1),
            (0, 0, 0, 0, 1, 0, 0),
            (0, 0, 0, 0, 0, 0, 1),
            (0, 0, 0, 0, 0, 0, 1),
            (0, 0, 0, 0, 0, 0, 0),
        ),
        operations=("input", "conv1x1-bn-relu", *["conv3x3-bn-relu"] * 3, "maxpool3x3", "output"),
    )
}
"""A cell like an Inception module, its 5x5 convolution two of 3x3 (Ying et al. 2019;
https://github.com/google-research/nasbench, README.md)."""
