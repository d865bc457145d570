"""The LSTM and the GRU, the recurrent cells that others are compared with."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="gated",
        kind="gated",
        architecture="nas_gym.families.gated.search_space:GatedArchitecture",
        search_space="nas_gym.families.gated.search_space:GatedSearchSpace",
        network="nas_gym.families.gated.network:GatedNetwork",
        environments={"nas_gym/Gated-v0": "nas_gym.families.gated.env:GatedEnv"},
        published="nas_gym.families.gated.search_space:PUBLISHED",
    ),
)
