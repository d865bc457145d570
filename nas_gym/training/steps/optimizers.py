"""Optimizers, the learning rate, and the step down a gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from nas_gym.errors import InvalidSettings
from nas_gym.networks.fused import Fused
from nas_gym.training.settings import LearningSettings


def parameter_groups(network: nn.Module) -> list[dict[str, Any]]:
    """Return an optimizer's groups, one for each network, with the multiple of its ``rate``."""
    members, rates = [network], [1.0]
    if isinstance(network, Fused):
        members, rates = [*network], [*network.rates]
    groups = zip(members, rates, strict=True)
    return [{"params": list(member.parameters()), "rate": rate} for member, rate in groups]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all groups of `parameter_groups`, in place where it is a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate * group["rate"])
        else:
            group["lr"] = rate * group["rate"]


def group_states(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return the state of each parameter group, as that of an optimizer which has it alone."""
    whole = optimizer.state_dict()
    groups, state = whole["param_groups"], whole["state"]
    return [
        {
            "state": {n: state[at] for n, at in enumerate(group["params"]) if at in state},
            "param_groups": [{**group, "params": [*range(len(group["params"]))]}],
        }
        for group in groups
    ]


def set_group_states(optimizer: torch.optim.Optimizer, states: Sequence[dict[str, Any]]) -> None:
    """Restore the states of `group_states`."""
    whole: dict[str, Any] = {"state": {}, "param_groups": []}
    first = 0
    for state in states:
        [group] = state["param_groups"]
        whole["state"] |= {first + n: each for n, each in state["state"].items()}
        last = first + len(group["params"])
        whole["param_groups"].append({**group, "params": [*range(first, last)]})
        first = last
    optimizer.load_state_dict(whole)


def sgd(parameters: Any, settings: LearningSettings, rate: Any) -> torch.optim.SGD:
    """Return SGD with the settings' momentum and weight decay; its rate is a number or a tensor."""
    momentum, weight_decay = settings.momentum, settings.weight_decay
    nesterov = settings.nesterov and momentum > 0
    made = torch.optim.SGD(parameters, rate, momentum, 0.0, weight_decay, nesterov, fused=True)
    # A first step that is left out, under a scaler, would leave the momenta as they were allocated.
    for group in made.param_groups if momentum else ():
        for weight in group["params"]:
            made.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
    return made


def make_optimizer(parameters: Any, settings: LearningSettings, rate: Any) -> torch.optim.Optimizer:
    """Return the settings' optimizer; its rate is a number, or a tensor for a CUDA graph."""
    if settings.optimizer == "sgd":
        return sgd(parameters, settings, rate)
    kind: Any = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}.get(settings.optimizer)
    if kind is not None:
        decay, graphed = settings.weight_decay, isinstance(rate, Tensor)
        return kind(parameters, rate, weight_decay=decay, fused=True, capturable=graphed)  # type: ignore[no-any-return]
    try:
        from pytorch_optimizer import Lion  # noqa: PLC0415  # an extra
    except ImportError:
        says = "optimizer: lion needs a package: pip install 'nas-gym[lion]'"
        raise InvalidSettings(says) from None
    return Lion(parameters, rate, weight_decay=settings.weight_decay)


def make_scaler(dtype: torch.dtype | None, device: torch.device) -> GradScaler | None:
    """Return what keeps float16's small gradients from vanishing; None where nothing is float16."""
    return GradScaler(device.type) if dtype == torch.float16 else None


def schedule(progress: float, warmup: float) -> float:
    """Return the share of the learning rate: a linear rise from 0, then a half cosine to 0.

    ``progress`` is the elapsed share of the training, ``warmup`` the share that the rise takes.
    """
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def descend(
    loss: Tensor,
    optimizer: torch.optim.Optimizer,
    gradient_clip: float,
    network: nn.Module | None = None,
    scaler: GradScaler | None = None,
) -> None:
    """Take a step down the gradient of a loss, () or one of each member of a fused ``network``.

    Each network's gradient is clipped to a global norm; 0 for no clipping. With a ``scaler``, a
    step whose gradients are not finite is left out.
    """
    backward(loss.sum(), scaler)
    if isinstance(network, Fused):
        network.share_gradients()
    update(optimizer, gradient_clip, scaler)


def backward(loss: Tensor, scaler: GradScaler | None) -> None:
    """Add the gradients of a loss, scaled if there is a scaler."""
    (loss if scaler is None else scaler.scale(loss)).backward()


def update(
    optimizer: torch.optim.Optimizer, gradient_clip: float, scaler: GradScaler | None
) -> None:
    """Take an optimizer's step by the gradients of `backward`; see `descend`."""
    if gradient_clip:
        if scaler is not None:
            scaler.unscale_(optimizer)
        for group in optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], gradient_clip)
    if scaler is None:
        optimizer.step()
    else:
        scaler.step(optimizer)
        scaler.update()


def flattened(network: nn.Module) -> tuple[nn.Parameter, Tensor]:
    """Lay a network's P parameters and their gradients, the result, out in one tensor each, (P,).

    The network's parameters become views of these. A supernet has thousands of small ones, most of
    them off a child's path; an optimizer's step, for all of them, then updates a single tensor. The
    network must not be moved or converted from then on.
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
