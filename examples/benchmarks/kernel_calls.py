"""How many kernels does a training step call? Counts the calls of PyTorch's dispatcher on a CPU.

    python examples/benchmarks/kernel_calls.py [--cells 2] [--filters 32] [--batch 32]

A step of NASNet-A as `nasnet-paper` trains its children: forward, loss, backward, optimizer, in
torch's own forms that a GPU computes by. ``plain`` has a `torch.optim.SGD` that updates one
parameter after the other; nas_gym's updates all of them by one call.
"""

from __future__ import annotations

import argparse

import torch
from torch.nn import functional as F

import nas_gym
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ChildNetwork, ImageShape, build_network
from nas_gym.networks.kernel_calls import KernelCalls

CIFAR = ImageShape(3, 32, 32, 10)


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
