"""The test of a classifier: accuracies, the confusion matrix, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas_gym.data.batches import DeviceDataset
from nas_gym.networks import ChildNetwork
from nas_gym.training.failures import Diverged

MOST_CONFUSED = 1000
"""Most classes with a confusion matrix, whose numbers are the square of theirs."""
BINS = 15
"""Bins of confidence of the expected calibration error, as Guo et al. 2017 take."""


@dataclass(frozen=True)
class Answers:
    """Answers of a classifier to n images."""

    labels: NDArray[np.int64]  # (n,)
    predicted: NDArray[np.int64]  # (n,)
    confidence: NDArray[np.float64]  # (n,) probability of the predicted class
    in_top5: NDArray[np.bool_]  # (n,)

    def metrics(self, classes: Sequence[str]) -> dict[str, Any]:
        """Return the metrics as plain JSON data, under the names of `FinalResult`'s fields."""
        number = len(classes)
        is_right = self.labels == self.predicted
        right, images = (
            np.bincount(labels, minlength=number).tolist()
            for labels in (self.labels[is_right], self.labels)
        )
        confusion = None
        if number <= MOST_CONFUSED:
            places = number * self.labels + self.predicted
            confusion = np.bincount(places, minlength=number**2).reshape(number, number).tolist()
        by_class = zip(classes, right, images, strict=True)
        return {
            "test_accuracy": sum(right) / sum(images),
            "top5_accuracy": float(self.in_top5.mean()) if number > 5 else None,
            "class_accuracies": {name: hits / each for name, hits, each in by_class if each},
            "confusion": confusion,
            "calibration_error": calibration_error(self.confidence, is_right),
        }


def answers_of(network: ChildNetwork, data: DeviceDataset, batches: Sequence[Any]) -> Answers:
    """Return a network's answers to batches of indices, (B,) int64 each, in evaluation mode.

    `Diverged` if its logits are not finite.
    """
    network.eval()
    parts = []
    with torch.inference_mode():
        for chosen in batches:
            images, labels = data.batch(chosen)
            logits, labels = network(images).cpu(), labels.cpu()  # Apple's GPUs have no float64
            if not logits.isfinite().all():
                raise Diverged("the logits are not finite")
            probabilities = logits.double().softmax(dim=1)
            best = probabilities.topk(min(5, logits.shape[1]), dim=1)
            found = (best.indices == labels[:, None]).any(dim=1)
            parts.append((labels, best.indices[:, 0], best.values[:, 0], found))
    columns = [torch.cat(column).numpy() for column in zip(*parts, strict=True)]
    return Answers(*columns)


def calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error, in [0, 1] (Guo et al. 2017, equation 3).

    It is the mean distance between confidence and accuracy over bins of equal width, each with the
    weight of its images: https://arxiv.org/abs/1706.04599.
    """
    place = np.minimum(np.ceil(confidence * BINS).astype(int) - 1, BINS - 1)
    gaps = np.bincount(place, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(confidence))
