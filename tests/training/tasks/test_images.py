"""`ImageClassification`: balanced classes, soft labels, and the lines that say what was chosen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from nas_gym import Dataset, InvalidSettings, Trainer, TrainingSettings
from nas_gym.data import batches
from nas_gym.data.batches import DeviceDataset, channel_statistics
from nas_gym.training.tasks.images import ImageClassification
from tests.data.test_batches import make_dataset

CPU = torch.device("cpu")


def imbalanced() -> Dataset:
    """80 training images, of which 60, 15, 0 and 5 are of the classes."""
    dataset, labels = make_dataset(100), np.repeat([0, 1, 3], [60, 15, 5])
    labels = np.concatenate([labels, np.arange(20) % 4]).astype(np.int64)
    return replace(dataset, labels=labels, train=np.arange(80), validation=np.arange(80, 100))


def task(dataset: Dataset, **settings: object) -> ImageClassification:
    return ImageClassification(dataset, TrainingSettings(batch_size=16, **settings), CPU)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("purpose", "final"), [("train", True), ("test", True), ("train", False), ("validate", False)]
)
def test_a_data_set_without_images_for_a_purpose_is_refused(purpose: str, final: bool) -> None:
    parts: dict[str, Any] = {"validation": np.arange(0), "test": np.arange(10)} if final else {}
    dataset = replace(make_dataset(100), **parts)
    ImageClassification(dataset, TrainingSettings(), CPU, final)
    part = {"validate": "validation"}.get(purpose, purpose)
    lacking = replace(dataset, **{part: np.arange(0)})  # type: ignore[arg-type]
    says = f"dataset: .* has no images to {purpose} on; give it some"
    with pytest.raises(InvalidSettings, match=says):
        ImageClassification(lacking, TrainingSettings(), CPU, final)


def test_sampling_draws_classes_alike_and_images_of_a_class_alike() -> None:
    balanced = task(imbalanced(), class_balance="sampling")
    generator = torch.Generator().manual_seed(0)
    orders = torch.cat([balanced._order(generator) for _ in range(50)])
    counts = torch.bincount(balanced.training.labels[orders], minlength=4) / len(orders)
    np.testing.assert_allclose(counts, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.03)
    of_images = torch.bincount(orders, minlength=80)
    assert of_images.min() > 0
    assert of_images[:60].max() < 3 * of_images[:60].float().mean()
    labels = torch.cat([labels for _, labels in balanced.batches(generator)])
    assert len(labels) == 80


def test_weights_count_classes_alike_in_the_loss() -> None:
    dataset = make_dataset(100)
    labels = np.repeat([0, 1, 2, 3], [60, 10, 5, 5])
    labels = np.concatenate([labels, np.arange(20) % 4]).astype(np.int64)
    dataset = replace(dataset, labels=labels, train=np.arange(80), validation=np.arange(80, 100))
    weighted = task(dataset, class_balance="weights")
    assert weighted.class_weights is not None
    shares = np.bincount(labels[:80]) / 80
    np.testing.assert_allclose(weighted.class_weights.numpy() * shares, [0.25] * 4, rtol=1e-6)

    logits = torch.randn(80, 4, generator=torch.Generator().manual_seed(0))
    network = torch.nn.Identity()
    loss = weighted.loss(network, logits, torch.from_numpy(labels[:80]))  # type: ignore[arg-type]
    targets = torch.from_numpy(labels[:80])
    each = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    by_class = [each[targets == label].mean() for label in range(4)]
    torch.testing.assert_close(loss, torch.stack(by_class).mean())
    assert task(dataset).class_weights is None


def test_a_class_without_training_images_has_a_finite_weight() -> None:
    weights = task(imbalanced(), class_balance="weights").class_weights
    assert weights is not None
    assert weights.isfinite().all()


def test_balance_and_augmentation_are_part_of_the_fingerprint() -> None:
    dataset = make_dataset()
    plain = TrainingSettings()
    changed = [
        *({"class_balance": "weights"}, {"class_balance": "sampling"}, {"mixup": 0.2}),
        *({"cutmix": 1.0}, {"resized_crop": 0.5}, {"rand_augment": 1}),
        {"rand_augment": 1, "rand_augment_magnitude": 3},
    ]
    every = [plain, *(replace(plain, **each) for each in changed)]  # type: ignore[arg-type]
    fingerprints = {Trainer(dataset, settings, "cpu").fingerprint for settings in every}
    assert len(fingerprints) == len(every)


def test_notes_say_what_was_chosen() -> None:
    augmentation, classes = task(imbalanced(), crop_padding=2).notes
    assert augmentation == "augmentation: crops after 2 pixels of padding, mirror images"
    assert classes.startswith("classes: the largest has 12 times the images of the smallest; class")
    (augmentation,) = task(make_dataset(), class_balance="weights").notes
    assert augmentation == (
        "augmentation: mirror images; by default, from the images' size and the classes' kind"
    )


def test_changes_fit_the_shorter_side_of_the_images() -> None:
    tall = replace(make_dataset(), images=np.zeros((24, 64, 4, 1), np.uint8))
    assert TrainingSettings().augmentation(tall, final=True).padding == 0
    assert TrainingSettings(cutout=4).augmentation(tall, final=True).cutout == 4
    for name in ("cutout", "crop_padding"):
        settings: Any = TrainingSettings(**{name: 5})  # type: ignore[arg-type]
        with pytest.raises(InvalidSettings, match=f"{name}: expected at most 4 pixels .* 64x4"):
            settings.augmentation(tall, final=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_images_without_room_on_the_device_are_sent_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dataset, device = make_dataset(), torch.device("cuda")
    statistics = channel_statistics(dataset, dataset.train)
    kept = DeviceDataset(dataset, dataset.train, statistics, device, 2)
    monkeypatch.setattr(batches, "DEVICE_SHARE", 0.0)
    sent = DeviceDataset(dataset, dataset.train, statistics, device, 2)
    assert (kept.source.type, sent.source.type) == ("cuda", "cpu")
    chosen = torch.tensor([3, 1, 19], device=device)
    for one, other in zip(kept.batch(chosen), sent.batch(chosen), strict=True):
        assert torch.equal(one, other)
    settings = TrainingSettings(batch_size=8, crop_padding=2)
    sending = ImageClassification(dataset, settings, device)
    with pytest.warns(UserWarning, match="has no room for the images; each batch is sent to it"):
        sending.load()
    monkeypatch.undo()
    keeping = ImageClassification(dataset, settings, device)
    for task_batches in zip(
        *(each.batches(torch.Generator(device).manual_seed(0)) for each in (keeping, sending)),
        strict=True,
    ):
        assert all(torch.equal(*pair) for pair in zip(*task_batches, strict=True))
