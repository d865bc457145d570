"""The test of a classifier."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nas_gym.networks import ChildNetwork
from nas_gym.training.tasks.testing import answers_of
from tests.training.tasks.apple import OnApple
from tests.training.tasks.test_images import imbalanced, task


class Fixed(ChildNetwork):
    """Gives the same logits for all images."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tensor([[0.0, 3.0, 1.0, 2.0]]).expand(len(x), -1)


class FixedOnApple(Fixed):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).as_subclass(OnApple)


def test_a_gpu_without_float64_gives_the_same_answers() -> None:
    data, chosen = task(imbalanced()).validation, [torch.arange(3), torch.arange(3, 5)]
    expected, answers = (answers_of(each, data, chosen) for each in (Fixed(), FixedOnApple()))
    assert answers.predicted.tolist() == [1] * 5
    for name, value in vars(expected).items():
        np.testing.assert_array_equal(getattr(answers, name), value)
