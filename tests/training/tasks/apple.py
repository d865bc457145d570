"""Tensors as on Apple's GPUs, which are not here."""

from __future__ import annotations

from typing import Any

from torch import Tensor


class OnApple(Tensor):
    """A tensor that cannot be made float64, until it is copied to the CPU."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.double:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        made = super().__torch_function__(func, types, args, kwargs or {})  # type: ignore[no-untyped-call]
        return made.as_subclass(Tensor) if func is Tensor.cpu else made
