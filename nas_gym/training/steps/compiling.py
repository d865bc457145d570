"""`FasterOf`: a step, or the same step of a compiled network, by the time that they take."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from itertools import repeat

import torch
from torch import Tensor

from nas_gym.networks.devices import synchronize

Step = Callable[..., Tensor]

PROBE = 50
"""Calls whose time is measured."""
LEAST_SECONDS = 1800.0
"""Rest of a training from which on compiling is tried, which takes minutes itself."""


class NotCompiled(UserWarning):
    """A network cannot be compiled; it is trained as it is."""


class FasterOf:
    """Calls a step, and after some calls the faster one of it and of a compiled one.

    All calls are steps of the training: the two differ in rounding alone. The first call of
    ``compiled`` compiles; ``calls`` are to come.
    """

    def __init__(self, step: Step, compiled: Step, calls: int, device: torch.device) -> None:
        self._step = step
        self._choices = _chosen(step, compiled, calls, device)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Take a step."""
        step = next(self._choices)
        if step is self._step:
            return step(*inputs)
        try:
            return step(*inputs)
        except Exception as error:  # the compiler's are many, and none is the network's fault
            reason = f"{type(error).__name__}: {error}".partition("\n")[0]
            says = f"torch.compile: the network is trained as it is: {reason}"
            warnings.warn(says, NotCompiled, stacklevel=2)
            self._choices = repeat(self._step)
            return self._step(*inputs)


def _chosen(step: Step, compiled: Step, calls: int, device: torch.device) -> Iterator[Step]:
    """Yield the step of each call."""

    def now() -> float:
        synchronize(device)
        return time.perf_counter()

    yield step  # which sets up
    started = now()
    yield from repeat(step, PROBE)
    each = (now() - started) / PROBE
    if each * (calls - PROBE) < LEAST_SECONDS:
        yield from repeat(step)
    yield compiled
    started = now()
    yield from repeat(compiled, PROBE)
    is_faster = (now() - started) / PROBE < each
    yield from repeat(compiled if is_faster else step)
