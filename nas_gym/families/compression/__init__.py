"""Compression: an agent chooses how many channels each layer of a trained network keeps.

Torch-Pruning (the extra ``compression``) finds the layers whose channels depend on each other and
cuts them; the walk over the layers and its budget are those of AMC (He et al. 2018).
"""

import gymnasium

from nas_gym.family import Family

_HERE = "nas_gym.families.compression"

FAMILIES = (
    Family(
        name="compression",
        kind="compressed",
        architecture=f"{_HERE}.architecture:CompressedArchitecture",
        network=f"{_HERE}.network:CompressedNetwork",
    ),
)
gymnasium.register("nas_gym/Compression-v0", f"{_HERE}.env:CompressionEnv")
