"""Which parent a child takes after, and what it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from nas_gym import InvalidSettings
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.networks import ImageShape, build_network
from nas_gym.training.inheritance import WeightFolder, choices_of, inherit
from tests.helpers import random_architecture

SPACE = NASBench201SearchSpace()
SHAPE = ImageShape(1, 4, 4, 10)


def test_choices_know_their_place() -> None:
    first, second = (choices_of(SPACE.decode(c)) for c in ([3, 1, 2, 2, 0, 3], [3, 1, 2, 2, 0, 2]))
    assert len(first & second) == len(first) - 1
    assert len(choices_of(random_architecture(0)) & first) < len(first) - 6


def test_the_nearest_shares_the_most_choices_and_is_another(tmp_path: Path) -> None:
    child, near, far = (
        SPACE.decode(c) for c in ([3, 1, 2, 2, 1, 3], [3, 1, 2, 2, 1, 2], [2, 2, 3, 3, 3, 1])
    )
    folder = WeightFolder(tmp_path / "weights")
    assert folder.nearest(child) is None
    for architecture in (far, child):
        folder.save(architecture, nn.Linear(1, 1))
    assert folder.nearest(child) == far.key
    WeightFolder(tmp_path / "weights").save(near, nn.Linear(2, 2))  # another process
    assert folder.nearest(child) == near.key
    assert folder.weights(near.key)["weight"].shape == (2, 2)


def test_of_equals_the_smallest_key_is_taken(tmp_path: Path) -> None:
    folder = WeightFolder(tmp_path)
    child = SPACE.decode([3, 3, 3, 3, 3, 3])
    others = [SPACE.decode([c, 3, 3, 3, 3, 3]) for c in (1, 2, 4)]
    for other in others:
        folder.save(other, nn.Linear(1, 1))
    shared = {o.key: len(choices_of(o) & choices_of(child)) for o in others}
    assert len(set(shared.values())) == 1
    assert folder.nearest(child) == min(shared)


def test_what_agrees_is_copied_and_the_rest_is_left(tmp_path: Path) -> None:
    torch.manual_seed(0)
    parent, child = (
        build_network(SPACE.decode(c), SHAPE) for c in ([3, 3, 3, 3, 3, 3], [3, 3, 3, 3, 3, 2])
    )
    own = {name: tensor.clone() for name, tensor in child.state_dict().items()}
    folder = WeightFolder(tmp_path)
    folder.save(SPACE.decode([3, 3, 3, 3, 3, 3]), parent)
    weights = folder.weights(SPACE.decode([3, 3, 3, 3, 3, 3]).key)
    copied = inherit(child, weights)
    after = child.state_dict()
    agreeing = {n for n in own if n in weights and weights[n].shape == own[n].shape}
    assert 0 < len(agreeing) < len(own)
    for name, tensor in after.items():
        assert torch.equal(tensor, weights[name] if name in agreeing else own[name])
    assert copied == sum(p.numel() for n, p in child.named_parameters() if n in agreeing)
    assert copied < sum(p.numel() for p in child.parameters())


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSettings, match=r"inherit_weights: .* cannot be used"):
        WeightFolder(tmp_path / "file")
    folder = WeightFolder(tmp_path / "folder")
    (tmp_path / "folder").rmdir()
    with pytest.raises(InvalidSettings, match="cannot be written to"):
        folder.save(SPACE.decode([3, 3, 3, 3, 3, 3]), nn.Linear(1, 1))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "x.json").write_text("{")
    with pytest.raises(InvalidSettings, match="not JSON"):
        WeightFolder(tmp_path / "bad").nearest(SPACE.decode([3, 3, 3, 3, 3, 3]))


@pytest.mark.parametrize("content", [b"", b"garbage", b"PK\x03\x04" + b"\x00" * 100, b"\x80\x02."])
def test_damaged_weights_give_one_line(content: bytes, tmp_path: Path) -> None:
    folder, child = WeightFolder(tmp_path), SPACE.decode([3, 1, 2, 2, 1, 3])
    folder.save(child, nn.Linear(1, 1))
    (tmp_path / f"{child.key}.pt").write_bytes(content)
    with pytest.raises(InvalidSettings, match=r"^inherit_weights: .* is damaged .*; delete it"):
        folder.weights(child.key)


def test_weights_that_are_no_tensors_are_not_inherited() -> None:
    assert inherit(nn.Linear(1, 1), {"weight": "text", "bias": torch.zeros(1)}) == 1


def test_weights_that_are_no_file_or_no_weights_give_one_line(tmp_path: Path) -> None:
    folder = WeightFolder(tmp_path)
    with pytest.raises(InvalidSettings, match="it is missing, or not a regular file"):
        folder.weights("gone")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(InvalidSettings, match="it holds list"):
        folder.weights("list")
