"""The loss of a batch of images, and the steps of a training."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_gym.networks import ChildNetwork
from nas_gym.networks.fused import Fused
from nas_gym.training.steps.compiling import FasterOf
from nas_gym.training.steps.graphs import Graph, generators_of, undone
from nas_gym.training.steps.optimizers import (
    descend,
    make_optimizer,
    make_scaler,
    parameter_groups,
    schedule,
    set_rate,
)

if TYPE_CHECKING:
    from nas_gym.training.tasks.task import Task


def batch_loss(
    network: ChildNetwork,
    images: Tensor,
    labels: Tensor,
    label_smoothing: float = 0.0,
    class_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute mean cross-entropies of images (B, C, H, W) and labels (B,) int64.

    Labels may also be shares of the classes, (B, classes); ``class_weights`` are (classes,). Of a
    `Fused` network of K members, images are (B, K C, H, W), labels (K, B) and losses (K,). Returned
    are the loss with the auxiliary head's weighted one, the loss without it, and logits (B,
    classes), those of K members side by side.
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


class TrainingSteps:
    """Steps of the settings' optimizer, whose learning rate follows `schedule`.

    The network, or K of them as a `Fused` one, is on the device, and in training mode at every
    step. The random numbers of the batches are one generator for each of the K networks. With
    ``graphed``, the step is a CUDA graph, which reads learning rate and progress from tensors; with
    ``calls`` too, the network is compiled if that pays within so many steps.
    """

    def __init__(
        self,
        network: ChildNetwork,
        task: Task,
        generators: Sequence[torch.Generator],
        graphed: bool = False,
        calls: int = 0,
    ) -> None:
        self.network, self.task, self.generators = network, task, tuple(generators)
        settings, device = task.settings, task.device
        self.scaler = make_scaler(task.autocast_dtype, device)
        self._progress = torch.zeros((), device=device)
        groups = parameter_groups(network)
        self._rates = [torch.zeros((), device=device) if graphed else 0.0 for _ in groups]
        self.optimizer = make_optimizer(groups, settings, self._rates[0])
        self.own_rates()
        self._warmup = settings.warmup_epochs / settings.epochs
        self._graph: Callable[..., Tensor] | None = None
        if graphed:
            network.set_progress(self._progress)
            self._graph = self._graph_of(network)
        if graphed and calls:
            compiled = self._graph_of(torch.compile(network))
            self._graph = FasterOf(self._graph_of(network), compiled, calls, device)

    def _graph_of(self, network: Any) -> Graph[Tensor]:
        generators = {*self.generators, *generators_of(self.network)}
        left = partial(undone, self.network, self.optimizer, self.scaler)
        step = partial(TrainingSteps._step, weakref.proxy(self), network)  # no circle: it is ours
        return Graph(step, self.task.device, generators, left)

    def own_rates(self) -> None:
        """Have the optimizer, whose state was restored, take its rates from these steps again."""
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate

    def step(self, drawn: Sequence[Sequence[Tensor]], progress: float) -> Tensor:
        """Train on a batch; return the loss, () or (K,), which the next step may overwrite.

        ``drawn`` is what the batch of each of the K networks is made of (`Task.draws`), tensors of
        the same shapes in every step; ``progress`` is the elapsed share of the training, in [0, 1].
        """
        rate = self.task.settings.learning_rate * schedule(progress, self._warmup)
        set_rate(self.optimizer, rate)
        flat = [tensor for of_member in drawn for tensor in of_member]
        if self._graph is not None:
            self._progress.fill_(progress)
            return self._graph(*flat)
        self.network.set_progress(progress)
        return self._step(self.network, *flat)

    def _step(self, network: ChildNetwork, *drawn: Tensor) -> Tensor:
        """Train on a batch; ``network`` is the network, or a compiled form of it."""
        each = len(drawn) // len(self.generators)
        parts = [drawn[start : start + each] for start in range(0, len(drawn), each)]
        made = map(self.task.batch, parts, self.generators)
        inputs, targets = self.task.side_by_side([*made])
        with self.task.autocast():
            loss = self.task.loss(network, inputs, targets)
        clip = self.task.settings.gradient_clip
        descend(loss, self.optimizer, clip, self.network, self.scaler)
        self.optimizer.zero_grad()
        return loss.detach()
