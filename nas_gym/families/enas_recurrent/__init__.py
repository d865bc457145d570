"""ENAS's recurrent cells: nodes with highway connections (Pham et al. 2018)."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="enas_recurrent",
        kind="enas-recurrent",
        architecture="nas_gym.families.enas_recurrent.search_space:ENASRecurrentArchitecture",
        search_space="nas_gym.families.enas_recurrent.search_space:ENASRecurrentSearchSpace",
        drawing="nas_gym.families.enas_recurrent.drawing",
        published="nas_gym.families.enas_recurrent.published:PUBLISHED",
    ),
)
