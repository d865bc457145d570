"""TuNAS: mobile networks whose filters, too, are searched for (Bender et al. 2020)."""

from nas_gym.family import Family

_HERE = "nas_gym.families.tunas"

FAMILIES = (
    Family(
        name="tunas",
        kind="tunas",
        architecture=f"{_HERE}.architecture:TuNASArchitecture",
        search_space=f"{_HERE}.search_space:TuNASSearchSpace",
        network=f"{_HERE}.network:TuNASNetwork",
        drawing=f"{_HERE}.drawing",
        supernet=f"{_HERE}.supernet:tunas_supernet",
        environments={"nas_gym/TuNAS-v0": f"{_HERE}.env:TuNASEnv"},
        published=f"{_HERE}.published:PUBLISHED",
    ),
)
