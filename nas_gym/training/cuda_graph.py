"""A training step of fixed shape as one CUDA graph.

A tiny child's step is hundreds of kernels that take a few microseconds each, and Python takes
longer to launch them than the device to run them. A graph is one launch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

WARM_UP = 3
"""Steps before the capture: libraries choose their kernels and set up in them."""


class GraphedStep:
    """Forward, backward and the optimizer's step of one batch, captured once and then replayed.

    The warm-up, on a separate stream as the capture demands, is undone: the network, the
    optimizer's momentum and the random numbers are then as they were before. Learning rate and
    progress that ``step`` reads must be tensors on the device: the capture makes constants of
    numbers.

    Args:
        step: Images (B, C, H, W) and labels (B,) in, the loss out, gradients left as ``None``.
        network: The network to train.
        optimizer: SGD; its momentum is zero before its first step.
        images: A batch of the shape of all batches.
        labels: Its labels.
    """

    def __init__(
        self,
        step: Callable[[Tensor, Tensor], Tensor],
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        images: Tensor,
        labels: Tensor,
    ) -> None:
        self._images = images.clone(memory_format=torch.preserve_format)
        self._labels = labels.clone()
        device = images.device
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        random_state = torch.cuda.get_rng_state(device)
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                step(self._images, self._labels)
        torch.cuda.current_stream(device).wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._loss = step(self._images, self._labels)
        with torch.no_grad():
            for name, tensor in network.state_dict().items():
                tensor.copy_(before[name])
            for state in optimizer.state.values():
                if state.get("momentum_buffer") is not None:
                    state["momentum_buffer"].zero_()
        torch.cuda.set_rng_state(random_state, device)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch; return its loss, a tensor that the next step overwrites."""
        self._images.copy_(images)
        self._labels.copy_(labels)
        self.graph.replay()
        return self._loss
