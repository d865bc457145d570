"""Memory of inference beside the weights, the peak of what is alive at a time, and of training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nas_gym.networks.base import InputShape
from nas_gym.networks.costs import evaluating

IN_PLACE = (
    "batch_norm",
    "relu",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "silu",
    "swish",
    "sigmoid",
)
"""Parts of the names of operations that runtimes do within their input, where nothing else reads
it: normalization (which is fused into the convolution before it) and activation functions."""

UNREAD = -1
"""Last use of what nothing reads, such as max pooling's indices: inference does not make it."""


def peak_activation_bytes(network: nn.Module, input_shape: InputShape) -> int:
    """Return the most bytes of activations alive at a time, in inference on one image.

    An operation needs its inputs and its output at the same time, and a tensor lives until its last
    use, as in the memory plans of runtimes for microcontrollers (TensorFlow Lite for
    Microcontrollers, David et al. 2021, https://arxiv.org/abs/2010.08678; SRAM in MCUNet, Lin et
    al. 2020, https://arxiv.org/abs/2007.10319). The image counts, weights do not. The network runs
    once, on its device, and keeps its mode; bytes are those of its dtype.
    """
    image = input_shape.batch(1, next(network.parameters()).device)
    trace = _Trace()
    for weights in (*network.parameters(), *network.buffers()):
        trace.weights.add(_storage(weights))
    with torch.no_grad(), evaluating(network), trace:
        output = network(image)
    trace.last_use[_storage(output)] = len(trace.born)
    return trace.peak()


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes that a training takes on its device."""

    weights: int
    """Parameters and buffers."""
    gradients: int
    optimizer: int
    """States of the optimizer, and the average of weights."""
    activations: int
    """Bytes that a step keeps for its backward pass."""
    temporary: int
    """Bytes that the largest operation of the backward pass takes in addition."""

    @property
    def total(self) -> int:
        """The sum."""
        return sum(vars(self).values())


def training_memory(
    network: nn.Module, inputs: Tensor, states: int = 1, dtype: torch.dtype | None = None
) -> TrainingMemory:
    """Estimate the memory of a network's training by one forward pass on torch's meta device.

    Network and inputs, a batch, are on that device; the network is in training mode afterwards, in
    ``dtype``, the type of autocast, if it is used. ``states`` are the copies of the weights that
    the optimizer keeps: 1 for momentum, 2 for Adam.
    """
    weights = sum(each.nbytes for each in (*network.parameters(), *network.buffers()))
    gradients = sum(each.nbytes for each in network.parameters())
    network.to(memory_format=torch.channels_last)  # else operations would copy their inputs
    if dtype is not None:
        network.to(dtype)
        inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[_storage(tensor)] = storage  # held, so that no other has its number
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        made = network.train()(inputs)
    outputs = (made,) if isinstance(made, Tensor) else made
    for tensor in (inputs, *outputs):  # the loss keeps logits, and their softmax
        keep(tensor)
        keep(torch.empty_like(tensor))
    for parameter in network.parameters():
        kept.pop(_storage(parameter), None)
    sizes = [storage.nbytes() for storage in kept.values()]
    cast = 0 if dtype is None else sum(each.nbytes for each in network.parameters())
    return TrainingMemory(
        weights, gradients, states * gradients, sum(sizes) + cast, 2 * max(sizes, default=0)
    )


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


@dataclass
class _Tensor:
    """A storage that operations read and write."""

    num_bytes: int
    born: int  # the operation that makes it
    kept: Tensor = field(repr=False)  # so that no other storage takes its place


class _Trace(TorchDispatchMode):
    """Records which operation makes each tensor, and which is the last to read it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights: set[int] = set()
        self.made: dict[int, _Tensor] = {}
        self.last_use: dict[int, int] = {}
        self.born: list[tuple[str, list[int], list[int]]] = []
        """Name, inputs and new outputs of each operation, in order."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        step, name = len(self.born), str(func)
        inputs = self._activations((args, kwargs or {}))
        for tensor in inputs:  # the image is there before the first operation
            self.made.setdefault(_storage(tensor), _Tensor(_bytes(tensor), step, tensor))
            self.last_use[_storage(tensor)] = step
        new = [each for each in self._activations(output) if _storage(each) not in self.made]
        for tensor in new:
            self.made[_storage(tensor)] = _Tensor(_bytes(tensor), step, tensor)
            self.last_use[_storage(tensor)] = UNREAD
        self.born.append((name, [*map(_storage, inputs)], [*map(_storage, new)]))
        return output

    def _activations(self, tree: Any) -> list[Tensor]:
        tensors = [each for each in tree_leaves(tree) if isinstance(each, Tensor)]
        return [each for each in tensors if _storage(each) not in self.weights]

    def peak(self) -> int:
        """Return the most bytes alive in any operation."""
        alive = [0] * (len(self.born) + 1)
        for storage, tensor in self.made.items():
            for step in range(tensor.born, self.last_use[storage] + 1):
                alive[step] += tensor.num_bytes
        for step, (name, inputs, outputs) in enumerate(self.born):
            dying = [i for i in dict.fromkeys(inputs) if self.last_use[i] == step]
            if any(part in name for part in IN_PLACE) and dying and outputs:
                alive[step] -= min(self.made[dying[0]].num_bytes, self.made[outputs[0]].num_bytes)
        return max(alive)


def _bytes(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
