"""The training steps of one network, and its validation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.data.batches import DeviceDataset
from nas_gym.errors import InvalidSettings
from nas_gym.networks import ChildNetwork
from nas_gym.networks.fused import Fused
from nas_gym.training.failures import Diverged
from nas_gym.training.settings import LearningSettings


def batch_loss(
    network: ChildNetwork,
    images: Tensor,
    labels: Tensor,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute mean cross-entropies of images (B, C, H, W) and labels (B,) int64.

    Labels may also be shares of the classes, (B, classes); ``class_weights`` are (classes,). Of a
    `Fused` network of K members, images are (B, K C, H, W), labels (K, B) and losses (K,).

    Returns:
        The loss with the auxiliary head's weighted one, the loss without it, and logits
        (B, classes), those of K members side by side.
    """
    outputs = network(images)
    logits, *auxiliary = (outputs,) if isinstance(outputs, Tensor) else outputs
    members = len(network) if isinstance(network, Fused) else 1

    def cross_entropy(logits: Tensor) -> Tensor:
        mean = partial(F.cross_entropy, weight=class_weights, label_smoothing=label_smoothing)
        if members == 1:
            return mean(logits, labels)
        return torch.stack([*map(mean, logits.chunk(members, dim=1), labels)])

    main = loss = cross_entropy(logits)
    for each in auxiliary:
        loss = main + network.auxiliary_weight * cross_entropy(each)
    return loss, main, logits


def parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Return an optimizer's groups of parameters, one for each network that is trained."""
    members = network if isinstance(network, Fused) else (network,)
    return [{"params": list(member.parameters())} for member in members]


def sgd(parameters: Any, settings: LearningSettings, rate: Any) -> torch.optim.SGD:
    """Return SGD with the settings' momentum and weight decay; its rate is a number or a tensor."""
    momentum, weight_decay = settings.momentum, settings.weight_decay
    nesterov = settings.nesterov and momentum > 0
    return torch.optim.SGD(parameters, rate, momentum, 0.0, weight_decay, nesterov, fused=True)


def make_optimizer(parameters: Any, settings: LearningSettings, rate: Any) -> torch.optim.Optimizer:
    """Return the settings' optimizer; its rate is a number, or a tensor for SGD.

    Raises:
        InvalidSettings: the package that has it is not installed.
    """
    if settings.optimizer == "sgd":
        return sgd(parameters, settings, rate)
    kind: Any = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.get(settings.optimizer)
    if kind is not None:
        return kind(parameters, rate, weight_decay=settings.weight_decay, fused=True)  # type: ignore[no-any-return]
    try:
        from pytorch_optimizer import Lion  # noqa: PLC0415  # an extra
    except ImportError:
        says = "optimizer: lion needs a package: pip install 'nas-gym[lion]'"
        raise InvalidSettings(says) from None
    return Lion(parameters, rate, weight_decay=settings.weight_decay)


def schedule(progress: float, warmup: float) -> float:
    """Return the share of the learning rate: a linear rise from 0, then a half cosine to 0.

    Args:
        progress: The elapsed share of the training, from 0 to 1.
        warmup: The share of it that the rise takes.
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def descend(
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    gradient_clip: float,
    network: nn.Module | None = None,
) -> None:
    """Take a step down the gradient of a loss, () or one of each member of a fused ``network``.

    Each network's gradient is clipped to a global norm; 0 for no clipping.
    """
    loss.sum().backward()
    if isinstance(network, Fused):
        network.share_gradients()
    if gradient_clip:
        for group in optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], gradient_clip)
    optimizer.step()


class GraphedStep:
    """Forward, backward and the optimizer's step of one batch, captured once and then replayed.

    A tiny child's step is hundreds of kernels of a few microseconds each, which Python takes longer
    to launch than the device to run; a graph is one launch. The warm-up, on a separate stream as
    the capture demands, is undone: the network, the optimizer's momentum and the random numbers are
    then as they were before.

    Args:
        step: Images (B, C, H, W) and labels (B,) in, the loss out, gradients left as ``None``.
            Its learning rate and progress are tensors on the device: the capture makes constants
            of numbers.
        network: The network to train.
        optimizer: SGD.
        images, labels: A batch of the shape of all batches.
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
        momenta = {key: state["momentum_buffer"].clone() for key, state in _momenta(optimizer)}
        random_state = torch.cuda.get_rng_state(device)
        own = {generator: generator.get_state() for generator in _generators(network)}
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(3):  # libraries choose their kernels and set up in the first steps
                step(self._images, self._labels)
        torch.cuda.current_stream(device).wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        for generator in own:
            self.graph.register_generator_state(generator)
        with torch.cuda.device(device), torch.cuda.graph(self.graph):  # the network's, not another
            self._loss = step(self._images, self._labels)
        with torch.no_grad():
            for name, tensor in network.state_dict().items():
                tensor.copy_(before[name])
            for key, state in _momenta(optimizer):
                kept = momenta.get(key)
                state["momentum_buffer"].copy_(0 if kept is None else kept)
        torch.cuda.set_rng_state(random_state, device)
        for generator, numbers in own.items():
            generator.set_state(numbers)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train on a batch; return its loss, a tensor that the next step overwrites."""
        self._images.copy_(images)
        self._labels.copy_(labels)
        self.graph.replay()
        return self._loss


def _generators(network: nn.Module) -> set[torch.Generator]:
    """Return the generators of the random numbers in a network beside torch's global one."""
    held = (getattr(module, "generators", ()) for module in network.modules())
    return {generator for each in held for generator in each if generator is not None}


def _momenta(optimizer: torch.optim.Optimizer) -> list[tuple[Any, dict[str, Any]]]:
    """Return the parameters that have a momentum, with their states."""
    states = optimizer.state.items()
    return [each for each in states if each[1].get("momentum_buffer") is not None]


class TrainingSteps:
    """Steps of the settings' optimizer, whose learning rate follows `schedule`.

    The network is on the device, and in training mode at every step. With ``cuda_graphs``, the
    graph reads learning rate and progress from tensors. ``loss`` is a `Task`'s; ``autocast``
    returns the context in which the network computes.
    """

    def __init__(
        self,
        network: ChildNetwork,
        loss: Callable[[ChildNetwork, Tensor, Tensor], Tensor],
        settings: LearningSettings,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.network, self.settings, self._loss, self._autocast = network, settings, loss, autocast
        self._graph: GraphedStep | None = None
        self._rate = torch.tensor(settings.learning_rate, device=device)
        self._progress = torch.zeros((), device=device)
        rate = self._rate if settings.cuda_graphs else settings.learning_rate
        self.optimizer = make_optimizer(parameter_groups(network), settings, rate)
        self._warmup = settings.warmup_epochs / settings.epochs

    def set_rate(self) -> None:
        """Have the optimizer, whose state was restored, take its rate from these steps again."""
        for group in self.optimizer.param_groups if self.settings.cuda_graphs else ():
            group["lr"] = self._rate

    def step(self, inputs: Tensor, targets: Tensor, progress: float) -> Tensor:
        """Train on a batch; return the loss, () or (K,), which the next step may overwrite.

        Inputs, images (B, C, H, W) for instance, always have the same shape, and so do their
        targets. ``progress`` is the elapsed share of the training, from 0 to 1.
        """
        rate = self.settings.learning_rate * schedule(progress, self._warmup)
        if not self.settings.cuda_graphs:
            for group in self.optimizer.param_groups:
                group["lr"] = rate
            self.network.set_progress(progress)
            return self._eager(inputs, targets)
        self._rate.fill_(rate)
        self._progress.fill_(progress)
        if self._graph is None:
            self.network.set_progress(self._progress)
            self._graph = GraphedStep(self._eager, self.network, self.optimizer, inputs, targets)
        return self._graph(inputs, targets)

    def _eager(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with self._autocast():
            loss = self._loss(self.network, inputs, targets)
        descend(loss, self.optimizer, self.settings.gradient_clip, self.network)
        self.optimizer.zero_grad()
        return loss.detach()


def flattened(network: nn.Module) -> tuple[nn.Parameter, Tensor]:
    """Lay a network's P parameters and their gradients, the result, out in one tensor each, (P,).

    The network's parameters become views of these. A supernet has thousands of small ones, most of
    them off a child's path; an optimizer's step, with weight decay and momentum for all of them,
    then updates a single tensor. The network must not be moved or converted from then on.
    """
    parameters = list(network.parameters())
    sizes = [each.numel() for each in parameters]
    weights = nn.Parameter(parameters[0].new_empty(sum(sizes)))
    gradients = weights.grad = torch.zeros_like(weights)
    parts = zip(weights.detach().split(sizes), gradients.split(sizes), strict=True)
    for parameter, both in zip(parameters, parts, strict=True):
        shape, strides = parameter.shape, parameter.stride()  # of channels_last, for instance
        weight, gradient = (each.as_strided(shape, strides, each.storage_offset()) for each in both)
        weight.copy_(parameter.detach())
        parameter.data, parameter.grad = weight, gradient
    return weights, gradients


def accuracy_on(
    network: nn.Module,
    data: DeviceDataset,
    batches: Sequence[Tensor],
    autocast: AbstractContextManager[object],
) -> float:
    """Return the share of images that a network classifies correctly, in [0, 1].

    The network is put in evaluation mode, and computes in the context ``autocast``; ``batches`` are
    indices of images, (B,) int64 each.

    Raises:
        Diverged: its logits are not finite.
    """
    network.eval()
    right = torch.zeros((), dtype=torch.int64, device=data.device)
    finite = torch.ones((), dtype=torch.bool, device=data.device)
    with torch.inference_mode(), autocast:
        for chosen in batches:
            images, labels = data.batch(chosen)
            logits = network(images)
            finite &= logits.isfinite().all()
            right += (logits.argmax(dim=1) == labels).sum()
    if not finite:
        raise Diverged("the logits are not finite")
    return right.item() / sum(map(len, batches))
