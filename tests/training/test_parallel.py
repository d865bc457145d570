"""Several processes train one network as one process does, and go on as it does."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_gym import InvalidSettings, load_dataset, published
from nas_gym.data.dataset import Dataset, resplit
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks.devices import cpu_threads
from nas_gym.training import parallel
from nas_gym.training.final import train_final
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.parallel import Member, devices_of, shared_epochs, team
from nas_gym.training.settings import LearningSettings, TrainingSettings

PLAIN = TrainingSettings(epochs=2, batch_size=16, crop_padding=0, flip=False, precision="float32")
SEED = 3


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return resplit(load_dataset("digits"), 60, 8, 20)


def trained(
    member: Member, device: str, dataset: Dataset, settings: LearningSettings
) -> tuple[list[float], dict[str, Tensor]]:
    """Train a linear network, in which no image depends on the others of its batch."""
    trainer = NetworkTrainer(dataset, settings, device, final=True)
    with trainer.isolated(SEED):
        network: Any = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        network.set_progress = lambda progress: None
        member.take_share(trainer)
        loop = member.loop(trainer, network)
        losses: list[float] = []
        train_epoch = loop.train_epoch

        def watched() -> Tensor:
            losses.append(float(loss := train_epoch()))
            return loss

        loop.train_epoch = watched  # type: ignore[method-assign]
        if member.number == 1:  # with the order that several processes share
            member = Member(0, 2)
        for _ in shared_epochs(trainer, loop, member, SEED):
            pass
    return losses, network.state_dict()


def test_processes_share_the_cores_of_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "multiprocessing", MagicMock())
    monkeypatch.setattr(parallel, "_group", lambda *_: nullcontext())
    with cpu_threads(4):
        with team(["cpu", "cpu"], trained):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 4


@pytest.mark.cluster
def test_two_processes_train_as_one_with_twice_the_batch(digits: Dataset) -> None:
    """The mean loss of the first process is of half the images; the weights are the same."""
    with team(["cpu", "cpu"], trained, digits, PLAIN) as member:
        losses, weights = trained(member, "cpu", digits, PLAIN)
    alone, expected = trained(Member(0, 1), "cpu", digits, replace(PLAIN, batch_size=32))
    assert len(losses) == len(alone) == 2
    for name, tensor in weights.items():
        torch.testing.assert_close(tensor, expected[name])
    assert not torch.equal(expected["1.weight"], nn.Linear(64, 10).weight)


@pytest.mark.cluster
def test_two_processes_go_on_to_the_bit(digits: Dataset, tmp_path: Path) -> None:
    network = CellNetworkSettings(cells=1, filters=2, drop_path_keep=0.7)
    settings = replace(PLAIN, network=network, flip=True)
    given = (published("NASNet-A"), digits, settings, "cpu,cpu")

    def stop(epoch: int) -> None:
        raise RuntimeError("killed")

    whole = train_final(*given).network.state_dict()
    with pytest.raises(RuntimeError, match="killed"):
        train_final(*given, on_epoch=stop, checkpoint=tmp_path / "part.pt")
    resumed = train_final(*given, checkpoint=tmp_path / "part.pt").network.state_dict()
    for name, tensor in whole.items():
        assert torch.equal(tensor, resumed[name]), name


def test_processes_have_different_images_of_one_order(digits: Dataset) -> None:
    """Together they have each image once, in the order that a single process has."""
    orders = []
    for rank in range(3):
        task: Any = NetworkTrainer(digits, PLAIN, "cpu", final=True).task
        whole = task._order(torch.Generator().manual_seed(5))[: 4 * 16]
        task.take_share(rank, 3)
        generator = torch.Generator().manual_seed(5)
        orders.append(task._order(generator).view(-1, task.batch_size))
        assert task.steps_per_epoch == len(orders[-1]) == 1
        assert generator.initial_seed() == 5 + 1 + rank  # augmentation is each process's own
    np.testing.assert_array_equal(torch.cat(orders).flatten(), whole[: 3 * 16])


@pytest.mark.parametrize(
    ("device", "number", "found"),
    [("cpu", 1, ["cpu"]), ("cpu", 2, ["cpu", "cpu"]), ("cpu, cpu", 1, ["cpu", "cpu"])],
)
def test_devices(device: str, number: int, found: list[str]) -> None:
    assert devices_of(device, number) == found


@pytest.mark.parametrize(
    ("device", "number", "message"),
    [
        ("cpu,cpu", 3, "devices: 'cpu,cpu' names 2 already"),
        ("cpu", 0, "devices: expected at least 1, got 0"),
        ("cpu,meta", 1, "'meta' cannot be used here"),
        ("cuda", 99, "'cuda"),
    ],
)
def test_devices_that_are_not_there(device: str, number: int, message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        devices_of(device, number)
