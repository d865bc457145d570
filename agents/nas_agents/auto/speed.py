"""How fast this machine is: for an epoch of a network's training, and beside others' work."""

from __future__ import annotations

import time
from itertools import islice

from nas_gym import Architecture
from nas_gym.networks.devices import synchronize
from nas_gym.training.loop import BatchLoop
from nas_gym.training.network_trainer import NetworkTrainer

PROBE_STEPS, PROBE_SECONDS = 6, 3.0


class Pace:
    """How busy others keep the processor, from the moment on when this is made.

    It is that of this thread, which must not wait for others.
    """

    def __init__(self) -> None:
        self.wall, self.processor = time.monotonic(), time.thread_time()

    @property
    def busy(self) -> float:
        """How many times slower work on one core is for others' work, at least 1."""
        used = time.thread_time() - self.processor
        return max(1.0, (time.monotonic() - self.wall) / max(1e-3, used))


def epoch_seconds(trainer: NetworkTrainer, architecture: Architecture) -> float:
    """Estimate the seconds of an epoch of a network's training by a few steps."""
    task = trainer.task
    with trainer.isolated(0):
        loop = task.loop(trainer.build(architecture))
        assert isinstance(loop, BatchLoop)
        loop.network.train()
        started, taken = 0.0, 0
        for drawn in islice(task.draws(loop.generators[0]), PROBE_STEPS + 1):
            loop.steps.step([drawn], 0.0)
            synchronize(trainer.device)
            if not started:
                started = time.perf_counter()  # the first step also warms up
                continue
            taken += 1
            if time.perf_counter() - started > PROBE_SECONDS:
                break
        if not taken:  # one batch is all there is
            started = time.perf_counter()
            loop.train_epoch().item()
            return time.perf_counter() - started
    return (time.perf_counter() - started) / taken * task.steps_per_epoch
