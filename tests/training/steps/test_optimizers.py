"""Steps down a gradient, in float16 too."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nas_gym.training.steps.optimizers import descend, make_scaler, sgd
from tests.training.test_trainer import QUICK

CPU = torch.device("cpu")


@pytest.mark.parametrize("clip", [0.0, 1e-9])
def test_small_gradients_of_float16_are_scaled(clip: float) -> None:
    """A gradient of 1e-9 is 0 in float16, and is not once its loss is multiplied."""
    moved = []
    for scaler in (make_scaler(torch.float16, CPU), None):
        weight = nn.Parameter(torch.zeros(4, 4))
        optimizer = sgd([weight], QUICK, 1e6)
        with torch.autocast("cpu", torch.float16):
            loss = 1e-9 * (torch.ones(4, 4) @ weight).float().sum()
        descend(loss, optimizer, clip, scaler=scaler)
        moved.append(weight.detach().abs().max().item() > 0)
    assert moved == [True, False]


def test_a_step_that_is_not_finite_is_left_out() -> None:
    """The next one then is the first, whose momentum is the gradient."""
    scaler = make_scaler(torch.float16, CPU)
    assert scaler is not None
    weight = nn.Parameter(torch.ones(2))
    optimizer = sgd([weight], QUICK, 0.1)
    for factor in (float("inf"), 1.0):
        descend((factor * weight).sum(), optimizer, 1.0, scaler=scaler)
        optimizer.zero_grad()
        if factor != 1:
            assert weight.tolist() == [1, 1]
    expected = nn.Parameter(torch.ones(2))
    optimizer = sgd([expected], QUICK, 0.1)
    descend(expected.sum(), optimizer, 1.0)
    torch.testing.assert_close(weight, expected)
    assert scaler.get_scale() == 32768


def test_only_float16_is_scaled() -> None:
    assert make_scaler(torch.bfloat16, CPU) is make_scaler(None, CPU) is None
