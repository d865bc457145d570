"""NAS-Bench-101: cells of up to seven vertices, all of them recorded (Ying et al. 2019)."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="nasbench101",
        kind="nasbench101",
        architecture="nas_gym.families.nasbench101.architecture:NASBench101Architecture",
        search_space="nas_gym.families.nasbench101.search_space:NASBench101SearchSpace",
        network="nas_gym.families.nasbench101.network:NASBench101Network",
        drawing="nas_gym.families.nasbench101.drawing",
        environments={
            "nas_gym/NASBench101-v0": "nas_gym.families.nasbench101.env:NASBench101Env",
            "nas_gym/NASBench101-Recorded-v0": (
                "nas_gym.families.nasbench101.recorded:NASBench101RecordedEnv"
            ),
        },
        published="nas_gym.families.nasbench101.published:PUBLISHED",
        tables="nas_gym.families.nasbench101.importing",
    ),
)
