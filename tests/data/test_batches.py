"""`DeviceDataset`: what batches are, and how augmented ones differ."""

import os
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas_gym.data.augmentation import Augmentation
from nas_gym.data.batches import DeviceDataset, channel_statistics
from nas_gym.data.dataset import Dataset
from nas_gym.workers.sharing import Share

SIZE = 6
CPU = torch.device("cpu")
PLAIN = Augmentation(padding=0, flip=False, cutout=0)


def make_dataset(number: int = 40, channels: int = 3) -> Dataset:
    """Images of noise, whose pixels are all unlike."""
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(number, SIZE, SIZE, channels), dtype=np.uint8)
    labels = np.arange(number, dtype=np.int64) % 4
    everything = np.arange(number, dtype=np.int64)
    return Dataset(
        name="noise",
        images=images,
        labels=labels,
        classes=("a", "b", "c", "d"),
        flips=True,
        train=everything[: number // 2],
        validation=everything[number // 2 :],
        test=everything[:0],
    )


def on_device(dataset: Dataset, padding: int = 0) -> DeviceDataset:
    statistics = channel_statistics(dataset, dataset.train)
    return DeviceDataset(dataset, dataset.train, statistics, CPU, padding)


def pixels(dataset: Dataset, images: Tensor) -> np.ndarray:
    """Normalized images (B, C, H, W) as the 0 to 255 that they were: (B, H, W, C)."""
    known = dataset.images[dataset.train].reshape(-1, dataset.images.shape[-1])
    mean, deviation = known.mean(axis=0), known.std(axis=0)
    restored: np.ndarray = images.permute(0, 2, 3, 1).numpy() * deviation + mean
    whole: np.ndarray = np.rint(restored).astype(int)
    np.testing.assert_allclose(restored, whole, atol=1e-3)
    return whole


def augmented(
    data: DeviceDataset, chosen: Tensor, seed: int = 0, **settings: Any
) -> tuple[Tensor, Tensor]:
    augmentation = Augmentation(**{"padding": data.padding, "flip": False, "cutout": 0, **settings})
    return data.augmented_batch(chosen, augmentation, torch.Generator().manual_seed(seed))


def windows(image: np.ndarray, padding: int) -> list[np.ndarray]:
    """Every window of an image's size in it and its black border, row by row."""
    padded = np.pad(image.astype(int), ((padding, padding), (padding, padding), (0, 0)))
    offsets = range(2 * padding + 1)
    return [padded[i : i + SIZE, j : j + SIZE] for i in offsets for j in offsets]


@pytest.mark.parametrize("padding", [0, 3])
def test_batches_are_the_images_themselves(padding: int) -> None:
    dataset = make_dataset()
    chosen = torch.tensor([3, 0, 19, 3])
    images, labels = on_device(dataset, padding).batch(chosen)
    assert images.shape == (4, 3, SIZE, SIZE)
    assert images.dtype == torch.float32
    assert labels.tolist() == [3, 0, 3, 3]
    np.testing.assert_array_equal(pixels(dataset, images), dataset.images[chosen.numpy()])


def test_indices_choose_and_renumber() -> None:
    dataset = make_dataset()
    statistics = channel_statistics(dataset, dataset.train)
    data = DeviceDataset(dataset, dataset.validation, statistics, CPU, padding=2)
    assert len(data) == 20
    images, labels = data.batch(torch.tensor([1]))
    np.testing.assert_array_equal(pixels(dataset, images)[0], dataset.images[21])
    assert labels.tolist() == [dataset.labels[21]]


def test_statistics_take_little_memory() -> None:
    """NumPy counts in 8 bytes a pixel, so of few images at a time."""
    images = np.zeros((2_000, 32, 32, 3), np.uint8)
    dataset = replace(make_dataset(2_000), images=images)
    tracemalloc.start()
    channel_statistics(dataset, np.arange(len(images)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * images.nbytes


@pytest.mark.parametrize("channels", [1, 3])
def test_normalization_gives_mean_0_and_deviation_1(channels: int) -> None:
    data = on_device(make_dataset(channels=channels), padding=2)
    images, _ = data.batch(torch.arange(len(data)))
    for channel in images.unbind(1):
        assert channel.mean().item() == pytest.approx(0, abs=1e-5)
        assert channel.std(correction=0).item() == pytest.approx(1, abs=1e-5)


def test_a_constant_channel_stays_finite() -> None:
    dataset = make_dataset()
    dataset.images[..., 1] = 77
    images, _ = on_device(dataset).batch(torch.arange(5))
    assert images.isfinite().all()
    assert images[:, 1].abs().max().item() == pytest.approx(0, abs=1e-5)


def test_no_augmentation_is_the_batch() -> None:
    data = on_device(make_dataset())
    chosen = torch.tensor([5, 2, 11])
    images, labels = data.augmented_batch(chosen, PLAIN, torch.Generator().manual_seed(0))
    plain_images, plain_labels = data.batch(chosen)
    assert torch.equal(images, plain_images)
    assert torch.equal(labels, plain_labels)


def test_crops_are_windows_of_the_padded_image_and_every_window_occurs() -> None:
    dataset, padding = make_dataset(), 2
    images, labels = augmented(on_device(dataset, padding), torch.full((600,), 7))
    assert set(labels.tolist()) == {dataset.labels[7]}
    possible = [window.tobytes() for window in windows(dataset.images[7], padding)]
    found = [possible.index(image.tobytes()) for image in pixels(dataset, images)]
    counts = np.bincount(found, minlength=25)
    assert counts.min() >= 8  # 24 on average
    assert counts.max() <= 48


def test_flips_are_mirror_images_of_half_of_the_images() -> None:
    dataset = make_dataset()
    images, _ = augmented(on_device(dataset), torch.full((600,), 4), flip=True)
    image = dataset.images[4].astype(int)
    possible = [image.tobytes(), image[:, ::-1].tobytes()]
    mirrored = [possible.index(one.tobytes()) for one in pixels(dataset, images)]
    assert 250 < sum(mirrored) < 350


def test_crops_and_flips_together_are_mirrored_windows() -> None:
    dataset, padding = make_dataset(), 1
    chosen = torch.arange(20)
    images, _ = augmented(on_device(dataset, padding), chosen, flip=True)
    for image, original in zip(pixels(dataset, images), dataset.images[:20], strict=True):
        possible = windows(original, padding)
        assert any((image == w).all() or (image == w[:, ::-1]).all() for w in possible)


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout_sets_one_square_of_that_size_to_the_mean(side: int) -> None:
    dataset = make_dataset()
    dataset.images[:] = np.where(dataset.images < 128, 0, 255)  # no pixel is the mean itself
    data = on_device(dataset)
    chosen = torch.arange(20).repeat(30)
    images, _ = augmented(data, chosen, cutout=side)
    plain, _ = data.batch(chosen)
    holes = (images == 0).all(dim=1)
    torch.testing.assert_close(images, plain * ~holes[:, None])
    full = 0
    for hole in holes.numpy():
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole.sum() == len(rows) * len(columns)
        assert (np.diff(rows) == 1).all()
        assert (np.diff(columns) == 1).all()
        for found in (rows, columns):
            at_the_border = len(found) == 0 or found[0] == 0 or found[-1] == SIZE - 1
            assert len(found) == side or (len(found) < side and at_the_border)
        full += len(rows) == len(columns) == side
    assert full >= 0.25 * len(holes)
    assert holes.any(dim=0).all()


def test_augmentation_is_deterministic_under_a_generator() -> None:
    data = on_device(make_dataset(), padding=2)
    chosen = torch.arange(20)
    first, again, other = (
        augmented(data, chosen, seed, flip=True, cutout=2)[0] for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_augmentation_neither_uses_nor_moves_the_global_generator() -> None:
    data = on_device(make_dataset(), padding=2)
    state = torch.get_rng_state()
    augmented(data, torch.arange(20), flip=True, cutout=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_augmentation_leaves_the_stored_images_alone() -> None:
    data = on_device(make_dataset(), padding=2)
    before, _ = data.batch(torch.arange(20))
    augmented(data, torch.arange(20), flip=True, cutout=4)
    after, _ = data.batch(torch.arange(20))
    assert torch.equal(before, after)


def test_mapped_images_are_copied_neither_here_nor_for_other_processes(tmp_path: Path) -> None:
    made = make_dataset(4000)
    np.save(tmp_path / "images.npy", made.images)
    dataset = replace(made, images=np.load(tmp_path / "images.npy", mmap_mode="r"))
    parts = [on_device(dataset, padding=2), on_device(replace(dataset, train=made.validation))]
    assert all(np.shares_memory(part._images, dataset.images) for part in parts)
    share = Share([dataset, *parts])
    assert os.stat(share.path).st_size < made.images.nbytes
    _, *loaded = share.load()
    share.close()
    for part, again in zip(parts, loaded, strict=True):
        assert torch.equal(part.batch(torch.tensor([5]))[0], again.batch(torch.tensor([5]))[0])


def test_images_are_channels_last_in_memory() -> None:
    data = on_device(make_dataset(), padding=2)
    for images, _ in (data.batch(torch.arange(4)), augmented(data, torch.arange(4), cutout=2)):
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert not images.is_contiguous()
