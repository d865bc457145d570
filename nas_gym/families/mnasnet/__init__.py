"""MnasNet: mobile networks of inverted bottlenecks, and MobileNetV2 (Tan et al. 2019)."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="mnasnet",
        kind="mobile",
        architecture="nas_gym.families.mnasnet.search_space:MnasNetArchitecture",
        search_space="nas_gym.families.mnasnet.search_space:MnasNetSearchSpace",
        network="nas_gym.families.mnasnet.network:MnasNetNetwork",
        drawing="nas_gym.families.mnasnet.drawing",
        environments={"nas_gym/MnasNet-v0": "nas_gym.families.mnasnet.env:MnasNetEnv"},
        published="nas_gym.families.mnasnet.published:PUBLISHED",
    ),
)
