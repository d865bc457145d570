"""NAS's recurrent cells: trees that combine an input and two states (Zoph & Le 2017)."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="nascell",
        kind="nascell",
        architecture="nas_gym.families.nascell.search_space:NASCellArchitecture",
        search_space="nas_gym.families.nascell.search_space:NASCellSearchSpace",
        network="nas_gym.families.nascell.network:NASCellNetwork",
        drawing="nas_gym.families.nascell.drawing",
        environments={"nas_gym/NASCell-v0": "nas_gym.families.nascell.env:NASCellEnv"},
        published="nas_gym.families.nascell.published:PUBLISHED",
    ),
)
