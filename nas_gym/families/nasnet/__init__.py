"""NASNet: a normal cell and a reduction cell, stacked into a network (Zoph et al. 2018)."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="nasnet",
        kind="cells",
        architecture="nas_gym.search_spaces.cells:CellArchitecture",
        search_space="nas_gym.families.nasnet.search_space:NASNetSearchSpace",
        network="nas_gym.families.nasnet.network:CellNetwork",
        drawing="nas_gym.rendering.cells",
        environments={"nas_gym/NASNet-v0": "nas_gym.families.nasnet.env:NASNetEnv"},
        published="nas_gym.families.nasnet.published:PUBLISHED",
    ),
)
