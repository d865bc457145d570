"""`AutoClassifier`: a scikit-learn estimator of images around `run_auto`."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from nas_agents.auto.running import require_free, run_auto
from nas_agents.runs.callbacks import Callback
from nas_agents.runs.reading import MODEL
from nas_agents.runs.run_folder import default_run_folder
from nas_gym.data.folder import image_files
from nas_gym.errors import InvalidSettings, require
from nas_gym.models import read_images

FILES_AT_ONCE = 256
"""Images that `AutoClassifier.predict_proba` reads before it classifies them."""


class AutoClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifies images by a network that was searched for and trained in a given time.

    Images are arrays (n, height, width) or (n, height, width, channels) of uint8, tensors
    (n, channels, height, width), or paths of image files. `predict` takes a folder of them, too.

    Args:
        minutes: Time of `fit`.
        target_accuracy: Validation accuracy in (0, 1] at which the search stops; default: never.
        device: "auto" takes CUDA, then MPS, then the CPU.
        seed: Seed of the agent and of all trainings.
        run: The run folder; default: a new one in ``runs/``.
        callbacks: Watch the search; see `nas_agents.runs.callbacks`.

    After `fit`, ``model_`` is the `nas_gym.Model`, ``classes_`` (classes,) are the sorted labels,
    ``result_`` is the `nas_agents.auto.AutoResult`, and ``run_`` the run folder.
    """

    def __init__(
        self,
        minutes: float = 30.0,
        target_accuracy: float | None = None,
        device: str = "auto",
        seed: int = 0,
        run: str | Path | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.minutes, self.target_accuracy, self.device = minutes, target_accuracy, device
        self.seed, self.run, self.callbacks = seed, run, callbacks

    def fit(self, X: Any, y: Any = None) -> AutoClassifier:  # noqa: N803  # scikit-learn's name
        """Search and train.

        Args:
            X: A data set's name or path, as `nas_gym.load_dataset` takes it; or images.
            y: Labels of the images, (n,); None where ``X`` is a data set.

        Raises:
            NASGymError: as `nas_agents.auto.run_auto`.
        """
        run = default_run_folder("auto", "search") if self.run is None else Path(self.run)
        named = y is not None or isinstance(X, str | Path)
        require(named, "y: images need labels; without, X is a data set's name or path")
        require_free(run)  # before its images are replaced
        dataset = X if y is None else _written(X, np.asarray(y), run)
        given = (self.minutes, self.target_accuracy, self.device, self.seed, run, self.callbacks)
        self.result_ = run_auto(dataset, *given)
        self.run_, self.model_ = run, self.result_.model
        of_name = {} if y is None else _of_name(np.asarray(y))
        labels = np.array([of_name.get(name, name) for name in self.model_.classes])
        self._order = np.argsort(labels)  # a model's classes may be in another one
        self.classes_ = labels[self._order]
        return self

    def predict_proba(self, X: Any) -> NDArray[np.float32]:  # noqa: N803
        """Return the probability of each class, in the order of ``classes_``: (n, classes)."""
        check_is_fitted(self)
        parts = [self.model_.predict(images).probabilities for images in self._tensors(X)]
        return np.asarray(torch.cat(parts).numpy()[:, self._order], np.float32)

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the label of each image, (n,)."""
        best = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[best])

    def save(self, folder: str | Path) -> None:
        """Copy the model folder, for `nas_gym.load_model` and ``nas-gym predict``."""
        check_is_fitted(self)
        shutil.copytree(self.run_ / MODEL, folder)

    def _tensors(self, given: Any) -> Iterator[Tensor]:
        """Yield images that are given, or those of files, some at a time."""
        if isinstance(given, Tensor):
            yield given
            return
        if isinstance(given, str | Path):
            path = Path(given)
            given = image_files(path) if path.is_dir() else [path]
            require(len(given) > 0, f"images: {path} has no image")
        if not _are_paths(given):
            yield torch.from_numpy(_pixels(given)).permute(0, 3, 1, 2)
            return
        paths = iter(given)
        while part := list(islice(paths, FILES_AT_ONCE)):
            yield read_images(part, self.model_.image_shape)


def _written(images: Any, labels: NDArray[Any], run: Path) -> Path:
    """Write images and their labels beside the run folder; return the data set's path."""
    are_paths = _are_paths(images)
    pixels = None if are_paths else _pixels(images)
    number = len(images)
    require(labels.shape == (number,), f"y: {labels.shape} labels of {number} images")
    names, numbers = list(_of_name(labels)), np.unique(labels, return_inverse=True)[1]
    run.parent.mkdir(parents=True, exist_ok=True)
    path = run.with_name(f"{run.name}-images{'.csv' if are_paths else '.npz'}")
    if pixels is not None:
        np.savez(path, x_train=pixels, y_train=numbers, classes=np.array(names))
        return path
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(("path", "label"))
        named = [names[place] for place in numbers]
        lines.writerows(zip(map(os.path.abspath, images), named, strict=True))
    return path


def _of_name(labels: NDArray[Any]) -> dict[str, Any]:
    """Return the different labels by their names as classes, which are texts without spaces around.

    Raises:
        InvalidSettings: two labels have one name.
    """
    of_name: dict[str, Any] = {}
    for label in np.unique(labels):
        name = (label.decode() if isinstance(label, bytes) else str(label)).strip()
        says = f"y: {label!r} and {of_name.get(name)!r} would be one class; rename one of them"
        require(name not in of_name, says)
        of_name[name] = label
    return of_name


def _are_paths(images: Any) -> bool:
    return len(images) > 0 and all(isinstance(each, str | Path) for each in images)


def _pixels(images: Any) -> NDArray[np.uint8]:
    """Return images as (n, height, width, channels) uint8."""
    expected = "images: expected (n, height, width[, channels]) of uint8"
    try:
        pixels = np.asarray(images)
    except ValueError as error:
        raise InvalidSettings(f"{expected}; they have unlike sizes: name their files") from error
    if isinstance(images, Tensor) and pixels.ndim == 4:
        pixels = np.moveaxis(pixels, 1, -1)
    pixels = pixels[..., None] if pixels.ndim == 3 else pixels
    found = f"{pixels.shape} of {pixels.dtype}"
    require(pixels.ndim == 4 and pixels.dtype == np.uint8, f"{expected}, got {found}")
    return pixels


def auto(dataset: str | Path, minutes: float = 30.0, **settings: Any) -> AutoClassifier:
    """Return an `AutoClassifier` that was fitted to a data set: a folder of images, for instance.

    ``settings`` are the others of `AutoClassifier`.

        >>> import nas_gym
        >>> classifier = nas_gym.auto("photos", minutes=30)  # doctest: +SKIP
        >>> classifier.predict("photos/cat/1.jpg")  # doctest: +SKIP
    """
    return AutoClassifier(minutes, **settings).fit(dataset)
