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
        self._step, self._compiled, self._calls, self._device = step, compiled, calls, device
        self._choices = self._chosen()

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

    def _chosen(self) -> Iterator[Step]:
        """Yield the step of each call."""
        yield self._step  # which sets up
        started = self._now()
        yield from repeat(self._step, PROBE)
        each = (self._now() - started) / PROBE
        if each * (self._calls - PROBE) < LEAST_SECONDS:
            yield from repeat(self._step)
        yield self._compiled
        started = self._now()
        yield from repeat(self._compiled, PROBE)
        is_faster = (self._now() - started) / PROBE < each
        yield from repeat(self._compiled if is_faster else self._step)

    def _now(self) -> float:
        synchronize(self._device)
        return time.perf_counter()
