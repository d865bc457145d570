"""A stand-in for what sets how a GPU computes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from nas_gym.training import network_trainer


def watched_tf32(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Return the settings of TF32 that trainings are within, at any moment."""
    within: list[bool] = []

    @contextmanager
    def numerics(device: torch.device, tf32: bool, *_: bool, **__: bool) -> Iterator[None]:
        within.append(tf32)
        yield
        within.pop()

    monkeypatch.setattr(network_trainer, "numerics", numerics)
    return within
