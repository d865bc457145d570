"""NAS: chains of convolutions with skip connections (Zoph & Le 2017)."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="nas",
        kind="chain",
        architecture="nas_gym.search_spaces.chains:ChainArchitecture",
        search_space="nas_gym.families.nas.search_space:NASSearchSpace",
        network="nas_gym.families.nas.network:ChainNetwork",
        drawing="nas_gym.families.nas.drawing",
        environments={"nas_gym/NAS-v0": "nas_gym.families.nas.env:NASChainEnv"},
    ),
)
