"""The operations of a network's inference, found without computing them, and measured singly."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from nas_gym.networks.base import InputShape
from nas_gym.networks.costs import evaluating
from nas_gym.networks.devices import synchronize

Call: TypeAlias = tuple[Any, Any, Any]
"""An operation, its arguments and its keyword arguments."""
_VIEWS = ("aten::detach", "aten::_unsafe_view")
"""Operations that compute nothing, though they do not say so."""


class _Calls(TorchDispatchMode):
    """Records the operations that compute something: all but views."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.made: list[tuple[str, Call]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if not func.is_view and func._schema.name not in _VIEWS:
            flat = ", ".join(map(_described, tree_flatten((args, kwargs))[0]))
            self.made.append((f"{func._schema.name}({flat})", (func, args, kwargs)))
        return func(*args, **kwargs)


def _described(value: object) -> str:
    if isinstance(value, float):
        return "float"  # which takes the same time whatever it is
    if not isinstance(value, Tensor):
        return repr(value)
    kind = str(value.dtype).removeprefix("torch.")
    return f"{kind}{list(value.shape)}{list(value.stride())}"


def calls_of(
    network: nn.Module, input_shape: InputShape, batch_size: int, device: str
) -> list[tuple[str, Call]]:
    """Return the operations of a network's inference, each with its name in tables.

    The network computes with shapes alone, as it would on the device, which need not be here.
    """
    calls = _Calls()
    on = torch.device(device)
    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        state = {
            name: torch.empty_strided(each.shape, each.stride(), dtype=each.dtype, device=on)
            for name, each in (*network.named_parameters(), *network.named_buffers())
        }
        images = input_shape.batch(batch_size, on)
        with evaluating(network), calls:
            torch.func.functional_call(network, state, images)
    return calls.made


def seconds_of(call: Call, device: torch.device, warmup: int, repeats: int) -> float:
    """Return the median of an operation's seconds, on tensors of the same shapes and strides."""

    def real(value: object) -> object:
        if not isinstance(value, Tensor):
            return device if isinstance(value, torch.device) else value
        made = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device=device)
        return made.fill_(0.5)

    function = call[0]
    args, kwargs = (tree_map(real, each) for each in call[1:])
    return float(np.median(times_of(partial(function, *args, **kwargs), device, warmup, repeats)))


def times_of(
    run: Callable[[], object], device: torch.device, warmup: int, repeats: int
) -> list[float]:
    """Return the seconds of each run after the warm-up; the device is idle before and after it."""
    times = []
    for _ in range(warmup + repeats):
        synchronize(device)
        started = time.perf_counter()
        run()
        synchronize(device)
        times.append(time.perf_counter() - started)
    return times[warmup:]
