"""Mobile networks of inverted bottlenecks, one decision a layer: Once-for-All and ProxylessNAS."""

from nas_gym.family import Family

_HERE = "nas_gym.families.mobile"

FAMILIES = (
    Family(
        name="once-for-all",
        kind="ofa",
        architecture=f"{_HERE}.architecture:OFAArchitecture",
        search_space=f"{_HERE}.ofa:OFASearchSpace",
        network=f"{_HERE}.network:OFANetwork",
        drawing=f"{_HERE}.drawing",
        environments={"nas_gym/OFA-v0": f"{_HERE}.env:OFAEnv"},
        published=f"{_HERE}.published:OFA",
    ),
    Family(
        name="proxylessnas",
        kind="proxylessnas",
        architecture=f"{_HERE}.architecture:ProxylessNASArchitecture",
        search_space=f"{_HERE}.proxylessnas:ProxylessNASSearchSpace",
        network=f"{_HERE}.network:ProxylessNASNetwork",
        drawing=f"{_HERE}.drawing",
        supernet=f"{_HERE}.supernet:proxylessnas_supernet",
        environments={"nas_gym/ProxylessNAS-v0": f"{_HERE}.env:ProxylessNASEnv"},
        published=f"{_HERE}.published:PROXYLESSNAS",
    ),
)
