"""ENAS: networks (macro) and cells (micro) that share their weights (Pham et al. 2018)."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="enas-macro",
        kind="enas_macro",
        architecture="nas_gym.families.enas.macro_search_space:ENASMacroArchitecture",
        search_space="nas_gym.families.enas.macro_search_space:ENASMacroSearchSpace",
        network="nas_gym.families.enas.macro_network:MacroNetwork",
        drawing="nas_gym.families.enas.macro_drawing",
        supernet="nas_gym.families.enas.macro_supernet:macro_supernet",
        environments={"nas_gym/ENASMacro-v0": "nas_gym.families.enas.env:ENASMacroEnv"},
        published="nas_gym.families.enas.published:PUBLISHED_MACRO",
    ),
    Family(
        name="enas-micro",
        kind="enas_micro",
        architecture="nas_gym.families.enas.micro_search_space:ENASMicroArchitecture",
        search_space="nas_gym.families.enas.micro_search_space:ENASMicroSearchSpace",
        network="nas_gym.families.enas.micro_network:ENASCellNetwork",
        drawing="nas_gym.rendering.cells",
        supernet="nas_gym.families.enas.micro_supernet:micro_supernet",
        environments={"nas_gym/ENASMicro-v0": "nas_gym.families.enas.env:ENASMicroEnv"},
        published="nas_gym.families.enas.published:PUBLISHED_MICRO",
    ),
)
