"""Running statistics that are computed again."""

from __future__ import annotations

import torch
from torch import nn

from nas_gym.networks.operations import DropPath
from nas_gym.training.steps import recalibrate


def test_statistics_are_the_means_of_the_batches_without_dropout_or_dropped_paths() -> None:
    drop_path, norm = DropPath(0.5), nn.BatchNorm2d(3, momentum=0.3)
    drop_path.progress = 1.0  # as at the end of a training
    network = nn.Sequential(nn.Dropout(0.5), drop_path, norm)
    batches = [torch.randn(8, 3, 4, 4, generator=torch.manual_seed(seed)) for seed in (0, 1)]
    network(10 * batches[0])  # statistics of before, which go
    recalibrate(network, batches)
    means, variances = (
        torch.stack([each(batch, dim=(0, 2, 3)) for batch in batches]).mean(0)
        for each in (torch.mean, torch.var)
    )
    assert norm.running_mean is not None
    assert norm.running_var is not None
    torch.testing.assert_close(norm.running_mean, means)
    torch.testing.assert_close(norm.running_var, variances)
    assert norm.momentum == 0.3
    assert not any(module.training for module in network.modules())
