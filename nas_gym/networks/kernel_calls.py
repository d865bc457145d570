"""Kernel calls of a training step, as PyTorch's dispatcher sees them.

Where a network's kernels are short, a GPU waits for their launches, and the number of calls says
more of the time than multiply-adds do. A call launches one kernel or several.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from nas_gym.architecture import Architecture
from nas_gym.networks.base import ImageShape, NetworkSettings
from nas_gym.networks.costs import weightless_network

NO_KERNELS = ("empty", "new_empty", "_unsafe_view", "detach", "_record_function", "_reshape_alias")
"""Beginnings of the names of operations that only allocate, or look at memory in another way."""
OPTIMIZER_CALLS = 1
"""Of a fused optimizer, for all parameters together."""


class KernelCalls(TorchDispatchMode):
    """Counts the calls within it that compute something; views and allocations do not."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.split("::")[1]
        if not (func.is_view or name.startswith(NO_KERNELS)):
            self.calls[name] += 1
        return func(*args, **(kwargs or {}))

    @property
    def total(self) -> int:
        """Number of all calls."""
        return self.calls.total()


def training_calls(
    architecture: Architecture, shape: ImageShape, settings: NetworkSettings | None = None
) -> int:
    """Return the kernel calls of a training step on a GPU, without its batch's augmentation.

    The step runs on torch's meta device: nothing is computed. Arguments and errors are those of
    `nas_gym.networks.build_network`.
    """
    network = weightless_network(architecture, shape, settings).train()
    device = torch.device("meta")
    labels = torch.zeros(2, dtype=torch.int64, device=device)
    counter = KernelCalls()
    with counter:
        outputs = network(shape.batch(2, device))
        logits, *auxiliary = (outputs,) if isinstance(outputs, torch.Tensor) else outputs
        loss = F.cross_entropy(logits, labels)
        for each in auxiliary:
            loss = loss + network.auxiliary_weight * F.cross_entropy(each, labels)
        loss.backward()
    return counter.total + OPTIMIZER_CALLS
