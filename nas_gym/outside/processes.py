"""The CPUs of this machine, and the processes that train children on them.

These are started from one that has imported torch. Nothing here imports torch, so that a command
can start that process before it does so itself.
"""

from __future__ import annotations

import multiprocessing
import os
from functools import cache
from multiprocessing.context import BaseContext

SLOW_IMPORT = "torch._dynamo"
"""An optimizer imports it in its first step, and takes as long over it as over torch itself: that
is no part of the first child's time."""
ASKS_THE_DRIVER = "PYTORCH_NVML_BASED_CUDA_CHECK"
"""Where this is 1, `torch.cuda.is_available` asks the driver's library, and does not start CUDA."""


def available_cpus() -> int:
    """Return the number of CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def worker_context() -> BaseContext:
    """Return the way to start processes: where possible, from one that has imported torch.

    Such a process is ready in a tenth of a second instead of three, and shares torch's memory.
    Nothing of this process, its threads or its CUDA is forked.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "nas_gym.workers.local", SLOW_IMPORT])
    return context


def prepare_workers() -> None:
    """Start the process that workers are started from, which imports while this one does.

    It runs the main script's own lines, too, and one of these often asks torch whether there is a
    GPU. Torch would start CUDA to answer, which no worker could then use, nor choose its GPU.
    """
    if worker_context().get_start_method() != "forkserver":
        return
    from multiprocessing import forkserver  # noqa: PLC0415  # not on Windows

    before = os.environ.get(ASKS_THE_DRIVER)
    os.environ[ASKS_THE_DRIVER] = "1"
    try:
        forkserver.ensure_running()
    finally:
        del os.environ[ASKS_THE_DRIVER]
        if before is not None:
            os.environ[ASKS_THE_DRIVER] = before
