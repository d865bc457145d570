"""ENAS's recurrent cells: nodes with highway connections (Pham et al. 2018)."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="enas_recurrent",
        kind="enas-recurrent",
        architecture="nas_gym.families.enas_recurrent.search_space:ENASRecurrentArchitecture",
        search_space="nas_gym.families.enas_recurrent.search_space:ENASRecurrentSearchSpace",
        network="nas_gym.families.enas_recurrent.network:ENASRecurrentNetwork",
        supernet="nas_gym.families.enas_recurrent.supernet:recurrent_supernet",
        drawing="nas_gym.families.enas_recurrent.drawing",
        environments={
            "nas_gym/ENASRecurrent-v0": "nas_gym.families.enas_recurrent.env:ENASRecurrentEnv"
        },
        published="nas_gym.families.enas_recurrent.published:PUBLISHED",
    ),
)
