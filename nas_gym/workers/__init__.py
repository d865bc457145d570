"""Many children at once: `LocalWorkers` on this machine, `RayWorkers` on a cluster.

Both are a ``pool``: a ``dispatcher`` gives waiting children to workers that speak a ``protocol``,
``verdicts`` decide about children of lost workers, and ``inside`` is what runs in a worker.
``sharing`` keeps the evaluator in memory once; ``durations`` learns how long children take.
"""

from nas_gym.workers.local import LocalWorkers
from nas_gym.workers.on_ray import RayWorkers
from nas_gym.workers.protocol import WorkersFailed

__all__ = ["LocalWorkers", "RayWorkers", "WorkersFailed"]
