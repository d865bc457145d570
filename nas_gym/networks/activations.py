"""Memory of inference beside the weights, the peak of what is alive at a time, and of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from nas_gym.networks.base import InputShape
from nas_gym.networks.costs import Watcher, evaluating

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
    trace = _Trace(network)
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
    """Bytes that a step keeps for its backward pass, or that an evaluation has alive at a time,
    if these are more."""
    temporary: int
    """Bytes that the largest operation of the backward pass takes in addition."""

    @property
    def total(self) -> int:
        """The sum."""
        return sum(vars(self).values())


def training_memory(
    network: nn.Module,
    inputs: Tensor,
    states: int = 1,
    dtype: torch.dtype | None = None,
    evaluated: float = 0.0,
) -> TrainingMemory:
    """Estimate the memory of a network's training by one forward pass on torch's meta device.

    Args:
        network: The network, on the meta device; it is in training mode afterwards, in ``dtype``.
        inputs: A batch, on the meta device.
        states: Copies of the weights that the optimizer keeps: 1 for momentum, 2 for Adam.
        dtype: The type of autocast, if it is used.
        evaluated: Size of the largest batch that is evaluated at a time, in batches like this.
    """
    parameters = list(network.parameters())
    gradients = sum(each.nbytes for each in parameters)
    weights = gradients + sum(each.nbytes for each in network.buffers())
    network.to(memory_format=torch.channels_last)  # else operations would copy their inputs
    if dtype is not None:
        network.to(dtype)
        inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[_storage(tensor)] = storage  # held, so that no other has its number
        return tensor

    trace = _Trace(network)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), trace:
        made = network.train()(inputs)
    outputs = (made,) if isinstance(made, Tensor) else made
    for tensor in (inputs, *outputs):  # the loss keeps logits, and their softmax
        keep(tensor)
        keep(torch.empty_like(tensor))
    for parameter in parameters:
        kept.pop(_storage(parameter), None)
    sizes = [storage.nbytes() for storage in kept.values()]
    cast = 0 if dtype is None else sum(each.nbytes for each in parameters)
    activations = max(sum(sizes) + cast, int(evaluated * trace.peak()))
    temporary = 2 * max(sizes, default=0)
    return TrainingMemory(weights, gradients, states * gradients, activations, temporary)


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


@dataclass
class _Tensor:
    """A storage that operations read and write."""

    num_bytes: int
    born: int  # the operation that makes it
    kept: Tensor = field(repr=False)  # so that no other storage takes its place


class _Trace(Watcher):
    """Records which operation makes each tensor, and which is the last to read it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.weights = {_storage(each) for each in (*network.parameters(), *network.buffers())}
        self.made: dict[int, _Tensor] = {}
        self.last_use: dict[int, int] = {}
        self.born: list[tuple[str, list[int], list[int]]] = []
        """Name, inputs and new outputs of each operation, in order."""

    def watch(self, operation: Any, args: tuple[Any, ...], kwargs: Any, made: Any) -> None:
        step = len(self.born)
        inputs = self._activations((*args, *kwargs.values()))
        for tensor in inputs:  # the image is there before the first operation
            self.made.setdefault(_storage(tensor), _Tensor(_bytes(tensor), step, tensor))
            self.last_use[_storage(tensor)] = step
        new = [each for each in self._activations((made,)) if _storage(each) not in self.made]
        for tensor in new:
            self.made[_storage(tensor)] = _Tensor(_bytes(tensor), step, tensor)
            self.last_use[_storage(tensor)] = UNREAD
        self.born.append((str(operation), [*map(_storage, inputs)], [*map(_storage, new)]))

    def _activations(self, values: Iterable[Any]) -> list[Tensor]:
        return [each for each in _tensors(values) if _storage(each) not in self.weights]

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


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    """Yield the tensors among an operation's arguments, and in lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _bytes(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes()
