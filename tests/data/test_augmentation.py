"""torchvision's augmentation: what it does to a batch, and that its draws follow from a seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas_gym import InvalidSettings, TrainingSettings
from nas_gym.data.augmentation import Augmentation
from tests.data.test_batches import CPU, make_dataset, on_device

NONE = Augmentation(padding=0, flip=False, cutout=0)
CHANGES: list[dict[str, Any]] = [
    {"resized_crop": 0.2},
    {"rand_augment": 2},
    {"mixup": 0.5},
    {"cutmix": 1.0},
    {"resized_crop": 0.5, "rand_augment": 1, "mixup": 0.5, "cutmix": 1.0},
]


def epoch(seed: int = 0, size: int = 10, **changes: Any) -> list[tuple[Tensor, Tensor]]:
    """Batches of the first 20 images, in order."""
    data, generator = on_device(make_dataset()), torch.Generator().manual_seed(seed)
    batches = data.augmented_batches(torch.arange(20), size, replace(NONE, **changes), generator)
    return list(batches)


@pytest.mark.parametrize("changes", CHANGES)
def test_it_follows_from_the_generator_and_leaves_the_global_one_alone(
    changes: dict[str, Any],
) -> None:
    state = torch.get_rng_state()
    first = epoch(3, **changes)
    torch.rand(7)
    again, other, plain = epoch(3, **changes), epoch(4, **changes), epoch(3)
    torch.set_rng_state(state)
    epoch(3, **changes)
    assert torch.equal(torch.get_rng_state(), state)
    for batch, same in zip(first, again, strict=True):
        assert torch.equal(batch[0], same[0])
        assert torch.equal(batch[1], same[1])
        assert batch[0].shape == (10, 3, 6, 6)
        assert batch[0].isfinite().all()
        assert batch[0].is_contiguous(memory_format=torch.channels_last)
    images, others, plains = (torch.cat([b[0] for b in each]) for each in (first, other, plain))
    assert not torch.equal(images, others)
    assert not torch.equal(images, plains)


@pytest.mark.parametrize("changes", CHANGES[:2])
def test_each_image_has_its_own_draws(changes: dict[str, Any]) -> None:
    data = on_device(make_dataset())
    same = torch.full((30,), 7)
    images, labels = data.augmented_batch(
        same, replace(NONE, **changes), torch.Generator().manual_seed(0), seed=5
    )
    assert len({image.numpy().tobytes() for image in images}) > 15
    assert set(labels.tolist()) == {3}


def test_a_crop_of_everything_is_near_the_image() -> None:
    dataset = make_dataset()
    dataset.images[:] = np.arange(6, dtype=np.uint8)[:, None, None] * 40  # rows of one grey each
    data = on_device(dataset)
    plain, _ = data.batch(torch.arange(20))
    generator = torch.Generator().manual_seed(0)
    images, _ = data.augmented_batch(
        torch.arange(20), replace(NONE, resized_crop=0.3), generator, seed=1
    )
    assert (images.diff(dim=3).abs() < 1e-5).all()  # a row stays a row
    assert (images.diff(dim=2) > -1e-5).all()  # and their order stays
    spans = images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3))
    assert (spans <= (plain.amax() - plain.amin()) + 1e-5).all()
    assert spans.min() < 0.8 * spans.max()


@pytest.mark.parametrize("changes", [{"mixup": 1.0}, {"cutmix": 1.0}])
def test_mixed_labels_are_the_shares_of_mixed_images(changes: dict[str, Any]) -> None:
    dataset = make_dataset()
    dataset.images[:] = (10 * (1 + dataset.labels))[:, None, None, None]
    plain, _ = on_device(dataset).batch(torch.arange(4))
    of_class = plain[:, 0, 0, 0]
    data, chosen = on_device(dataset), torch.arange(20)
    mixed = 0
    for seed in range(20):
        images, labels = data.augmented_batch(
            chosen, replace(NONE, **changes), torch.Generator(), seed
        )
        assert labels.shape == (20, 4)
        torch.testing.assert_close(labels.sum(dim=1), torch.ones(20))
        torch.testing.assert_close(images.mean(dim=(1, 2, 3)), labels @ of_class)
        mixed += int((labels.amax(dim=1) < 0.99).any())
    assert mixed > 10


def test_with_both_each_batch_has_one_of_them() -> None:
    dataset = make_dataset()
    dataset.images[:] = (10 * (1 + dataset.labels))[:, None, None, None]
    data, both = on_device(dataset), replace(NONE, mixup=1.0, cutmix=1.0)
    kinds = set()
    for seed in range(20):
        images, _ = data.augmented_batch(torch.arange(20), both, torch.Generator(), seed)
        kinds.add(bool((images.amax(dim=(1, 2, 3)) - images.amin(dim=(1, 2, 3)) > 1e-5).any()))
    assert kinds == {True, False}


def test_it_is_said_in_words() -> None:
    assert str(NONE) == "none"
    everything = Augmentation(4, True, 8, None, 2, 9, 0.2, 1.0)
    assert str(everything) == (
        "crops after 4 pixels of padding, mirror images, RandAugment(2, 9), cutout of 8 pixels, "
        "mixup(0.2), CutMix(1)"
    )
    assert "RandomResizedCrop of at least 8%" in str(replace(NONE, resized_crop=0.08))


def test_settings_become_an_augmentation() -> None:
    given = {"rand_augment": 2, "rand_augment_magnitude": 5, "mixup": 0.2, "cutmix": 1.0}
    settings = TrainingSettings(resized_crop=0.08, **given)  # type: ignore[arg-type]
    expected = Augmentation(0, True, 0, 0.08, 2, 5, 0.2, 1.0)
    assert settings.augmentation(make_dataset(), final=True) == expected


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="crop_padding: resized_crop takes its place"):
        TrainingSettings(resized_crop=0.5, crop_padding=2).augmentation(make_dataset(), True)
    with pytest.raises(InvalidSettings, match="rand_augment: images have 1 or 3 channels"):
        TrainingSettings(rand_augment=1).augmentation(make_dataset(channels=2), True)
    assert CPU.type == "cpu"
