"""The training steps of one network: loss, gradients, optimizer, learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.networks import ChildNetwork
from nas_gym.training.cuda_graph import GraphedStep
from nas_gym.training.settings import TrainingSettings


def batch_loss(
    network: ChildNetwork, images: Tensor, labels: Tensor, label_smoothing: float = 0.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the loss of a batch: mean cross-entropies.

    Args:
        network: In training mode.
        images: (B, C, H, W).
        labels: (B,) int64.
        label_smoothing: As in `torch.nn.functional.cross_entropy`.

    Returns:
        The loss with the auxiliary head's weighted one, the loss without it, and logits (B, K).
    """
    outputs = network(images)
    logits, *auxiliary = (outputs,) if isinstance(outputs, Tensor) else outputs
    main = loss = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    for each in auxiliary:
        head_loss = F.cross_entropy(each, labels, label_smoothing=label_smoothing)
        loss = main + network.auxiliary_weight * head_loss
    return loss, main, logits


def sgd(
    parameters: Iterable[nn.Parameter], settings: TrainingSettings, rate: Any
) -> torch.optim.SGD:
    """Return SGD with the settings' momentum and weight decay; its rate is a number or a tensor."""
    momentum, weight_decay = settings.momentum, settings.weight_decay
    nesterov = settings.nesterov and momentum > 0
    given = (rate, momentum, 0.0, weight_decay, nesterov)
    return torch.optim.SGD(parameters, *given, fused=True)


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, gradient_clip: float) -> None:
    """Take a step down the loss's gradient, clipped to a global norm; 0 for no clipping."""
    loss.backward()
    if gradient_clip:
        nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], gradient_clip)
    optimizer.step()


class TrainingSteps:
    """SGD with momentum, its learning rate falling along a half cosine.

    With ``cuda_graphs``, the graph reads learning rate and progress from tensors.

    Args:
        network: On the device, in training mode at every step.
        settings: How it is trained.
        device: Of the network.
        autocast: Returns the context in which the network computes.
    """

    def __init__(
        self,
        network: ChildNetwork,
        settings: TrainingSettings,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self.network, self.settings, self._autocast = network, settings, autocast
        self._graph: GraphedStep | None = None
        self._rate = torch.tensor(settings.learning_rate, device=device)
        self._progress = torch.zeros((), device=device)
        rate = self._rate if settings.cuda_graphs else settings.learning_rate
        self.optimizer = sgd(network.parameters(), settings, rate)

    def step(self, images: Tensor, labels: Tensor, progress: float) -> Tensor:
        """Train on a batch; return the loss, a tensor () that the next step may overwrite.

        Args:
            images: (B, C, H, W), always of the same shape.
            labels: (B,) int64.
            progress: The elapsed share of the training, from 0 to 1.
        """
        rate = 0.5 * self.settings.learning_rate * (1 + math.cos(math.pi * progress))
        if not self.settings.cuda_graphs:
            self.optimizer.param_groups[0]["lr"] = rate
            self.network.set_progress(progress)
            return self._eager(images, labels)
        self._rate.fill_(rate)
        self._progress.fill_(progress)
        if self._graph is None:
            self.network.set_progress(self._progress)
            self._graph = GraphedStep(self._eager, self.network, self.optimizer, images, labels)
        return self._graph(images, labels)

    def _eager(self, images: Tensor, labels: Tensor) -> Tensor:
        with self._autocast():
            loss, _, _ = batch_loss(self.network, images, labels, self.settings.label_smoothing)
        descend(loss, self.optimizer, self.settings.gradient_clip)
        self.optimizer.zero_grad()
        return loss.detach()


def flattened(network: nn.Module) -> tuple[nn.Parameter, Tensor]:
    """Lay a network's P parameters and their gradients out in one tensor each, (P,).

    The network's parameters become views of these. A supernet has thousands of small ones, most of
    them off a child's path; an optimizer's step, with weight decay and momentum for all of them,
    then updates a single tensor. The network must not be moved or converted from then on.

    Returns:
        The weights, and the gradients, which are the weights' ``grad``.
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
