"""How many kernels does a training step call? Counts the calls of PyTorch's dispatcher on a CPU.

    python examples/benchmarks/kernel_calls.py [--cells 2] [--filters 32] [--batch 32]

A step of NASNet-A as `nasnet-paper` trains its children: forward, loss, backward, optimizer, in
torch's own forms that a GPU computes by. ``plain`` has a `torch.optim.SGD` that updates one
parameter after the other; nas_gym's updates all of them by one call.

Where a network's kernels are short, a GPU waits for their launches, and the number of calls says
more of the time than multiply-adds do. A call launches one kernel or several.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import nas_gym
from nas_gym import Architecture
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ChildNetwork, ImageShape, NetworkSettings, build_network
from nas_gym.networks.costs import weightless_network

CIFAR = ImageShape(3, 32, 32, 10)
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


def step_calls(network: ChildNetwork, optimizer: torch.optim.Optimizer, batch: int) -> KernelCalls:
    """Count the calls of a step after the first one, which sets the optimizer up."""
    images, labels = torch.randn(batch, 3, 32, 32), torch.randint(0, 10, (batch,))
    for _ in range(2):
        optimizer.zero_grad()
        counter = KernelCalls()
        with counter:
            logits = network(images)
            assert isinstance(logits, torch.Tensor)
            F.cross_entropy(logits, labels).backward()
            optimizer.step()
    return counter


def main() -> None:
    """Print the calls of both steps, and their ratio."""
    parser = argparse.ArgumentParser()
    for name, default in (("cells", 2), ("filters", 32), ("batch", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    settings = CellNetworkSettings(cells=given.cells, filters=given.filters)
    counts = {}
    for name, ours in (("plain", False), ("nas_gym", True)):
        network = build_network(nas_gym.published("NASNet-A"), CIFAR, settings)
        how = {"fused": True} if ours else {"foreach": False}
        optimizer = torch.optim.SGD(
            network.parameters(), 0.025, 0.9, weight_decay=5e-4, nesterov=True, **how
        )
        counts[name] = step_calls(network, optimizer, given.batch)
        print(f"{name}: {counts[name].total:,} calls; most: {counts[name].calls.most_common(8)}")
    ratio = counts["nas_gym"].total / counts["plain"].total
    print(f"ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
