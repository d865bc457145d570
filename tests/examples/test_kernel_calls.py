"""Kernel calls of a training step."""

from __future__ import annotations

import numpy as np
import torch

from examples.benchmarks.kernel_calls import KernelCalls, training_calls
from nas_gym import NASNetSearchSpace
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ImageShape

SHAPE = ImageShape(1, 8, 8, 10)
SPACE = NASNetSearchSpace(2)
CHILD = SPACE.decode(SPACE.sample(np.random.default_rng(0)))


def test_views_and_allocations_are_no_kernels() -> None:
    x = torch.ones(2, 3)
    with KernelCalls() as counter:
        (x.T.reshape(3, 2)[0].detach() + torch.empty(2)).sum()
    assert counter.calls == {"add": 1, "sum": 1}


def test_a_step_has_as_many_calls_as_its_layers_have() -> None:
    one, two = (
        training_calls(CHILD, SHAPE, CellNetworkSettings(cells=cells, filters=4))
        for cells in (1, 2)
    )
    assert 100 < one < two < 2 * one
