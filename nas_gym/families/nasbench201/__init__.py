"""NAS-Bench-201: cells of four nodes, all of them recorded (Dong & Yang 2020); and TinyBench."""

from nas_gym.family import Family

FAMILIES = (
    Family(
        name="nasbench201",
        kind="nasbench201",
        architecture="nas_gym.families.nasbench201.search_space:NASBench201Architecture",
        search_space="nas_gym.families.nasbench201.search_space:NASBench201SearchSpace",
        network="nas_gym.families.nasbench201.network:NASBench201Network",
        drawing="nas_gym.families.nasbench201.drawing",
        environments={
            "nas_gym/NASBench201-v0": "nas_gym.families.nasbench201.env:NASBench201Env",
            "nas_gym/NASBench201-Recorded-v0": (
                "nas_gym.families.nasbench201.recorded:NASBench201RecordedEnv"
            ),
            "nas_gym/TinyBench-v0": "nas_gym.families.nasbench201.tiny_bench:TinyBenchEnv",
        },
        published="nas_gym.families.nasbench201.published:PUBLISHED",
        tables="nas_gym.families.nasbench201.importing",
    ),
)
