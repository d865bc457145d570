"""`Model`: a trained network with the classes and the normalization that it was trained with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
from annotated_types import Ge, Le, Len
from pydantic import BeforeValidator, Field
from torch import Tensor, nn

from nas_gym.architecture import Architecture
from nas_gym.data.decoding import BrokenImage, tried_images
from nas_gym.errors import NASGymError, require
from nas_gym.networks import ChildNetwork, ImageShape
from nas_gym.networks.costs import evaluating
from nas_gym.settings import Above0, nested, settings

PIXELS_AT_ONCE = 2**22
"""Pixels of all images that `Model.predict` hands to the network at a time."""
_as_tuple = BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given)
Names = Annotated[tuple[str, ...], _as_tuple, Len(1, 2**20)]
Means = Annotated[tuple[Annotated[float, Ge(0), Le(1)], ...], _as_tuple]
Deviations = Annotated[tuple[Above0, ...], _as_tuple]


class InvalidModel(NASGymError):
    """A model folder is missing, damaged or another one's; the message names file and remedy."""


@settings
class Normalization:
    """Mean and standard deviation of each channel, of pixels in [0, 1], as torchvision's."""

    mean: Means
    std: Deviations

    def __post_init__(self) -> None:
        require(len(self.mean) == len(self.std), "mean and std: expected one of each a channel")


@settings
class ModelFacts:
    """The content of ``model.json``: everything but the weights and the architecture."""

    classes: Names
    """Names of the classes, in the order of the logits."""
    image: Annotated[ImageShape, nested(ImageShape)]
    """Channels, height and width of the images, and the number of classes."""
    normalization: Annotated[Normalization, nested(Normalization)]
    network: dict[str, Any] = Field(default_factory=dict)
    """Settings of the network, the skeleton around the architecture."""
    data: dict[str, Any] = Field(default_factory=dict)
    """Name, digest, sizes and ``split_seed`` of the data set."""
    training: dict[str, Any] = Field(default_factory=dict)
    """Settings of the training; they build nothing."""
    metrics: dict[str, Any] = Field(default_factory=dict)
    """Test accuracy, in all and of each class, and other results of the training."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of the packages that trained the model."""
    version: Annotated[int, Ge(1), Le(1)] = 1
    """Version of this form."""

    def __post_init__(self) -> None:
        channels = len(self.normalization.mean)
        require(len(self.classes) == self.image.classes, "classes: one name each is expected")
        require(channels == self.image.channels, "normalization: one number a channel is expected")


class Trained(NamedTuple):
    """A trained network of another task than images, and the facts about it."""

    network: ChildNetwork
    architecture: Architecture
    facts: dict[str, Any]


class Prediction(NamedTuple):
    """Classes of B images, and how probable they are."""

    classes: list[str]
    """The most probable class of each image, (B,)."""
    probabilities: Tensor
    """Of every class, in the order of `Model.classes`: (B, classes) float32, rows sum to 1."""


def read_images(paths: Sequence[str | Path], shape: ImageShape) -> Tensor:
    """Read image files as folders of images are read for training: (B, C, H, W) uint8.

    Raises:
        InvalidDataset: an image cannot be read.
        InvalidSettings: as in `try_images`.
    """
    images: list[Tensor] = []
    for each in try_images(paths, shape):
        if isinstance(each, BrokenImage):
            raise each
        images.append(each)
    return torch.stack(images)


def try_images(paths: Sequence[str | Path], shape: ImageShape) -> list[Tensor | BrokenImage]:
    """Read image files as `read_images` does: (C, H, W) of each, or why it cannot be read.

    Raises:
        InvalidSettings: the shape has neither 1 channel nor 3.
    """
    expected = f"channels: image files are read as grey or RGB, the model takes {shape.channels}"
    require(shape.channels in (1, 3), f"{expected}; hand it tensors instead")
    tried = tried_images(list(map(Path, paths)), (shape.height, shape.width), shape.channels)
    return [
        each if isinstance(each, BrokenImage) else torch.tensor(each).permute(2, 0, 1)
        for each in tried
    ]


class Model(nn.Module):
    """A trained network that takes images as torchvision gives them.

    Images are (B, C, H, W): float in [0, 1], as ``torchvision.transforms.ToTensor`` gives them, or
    uint8, as ``torchvision.io.decode_image`` does. They have the size that `image_shape` says; the
    normalization is part of the model. Logits (B, classes) come out. It is a module like any
    other: ``model.to("cuda")`` moves it, ``model.network`` can be trained further.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: ChildNetwork, architecture: Architecture, facts: ModelFacts
    ) -> None:
        super().__init__()
        self.network, self.architecture, self.facts = network, architecture, facts
        device = next(network.parameters()).device
        for name in ("mean", "std"):
            values = torch.tensor(getattr(facts.normalization, name), device=device).view(-1, 1, 1)
            self.register_buffer(name, values, persistent=False)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.facts.classes

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of an image, and the number of classes."""
        return self.facts.image

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, classes), of images (B, C, H, W)."""
        if images.dtype == torch.uint8:
            images = images / 255
        logits: Tensor = self.network((images - self.mean) / self.std)
        return logits

    def predict(self, images: Tensor) -> Prediction:
        """Classify images (B, C, H, W), or one (C, H, W); see the class for their form.

        Raises:
            InvalidSettings: the images have another shape or type than the model takes.
        """
        images = images[None] if images.ndim == 3 else images
        self._check(images)
        probabilities = torch.cat([logits.softmax(dim=1) for logits in self._logits(images)])
        classes = [self.classes[each] for each in probabilities.argmax(dim=1).tolist()]
        return Prediction(classes, probabilities)

    def _check(self, images: Tensor) -> None:
        shape = self.image_shape
        sides = (shape.channels, shape.height, shape.width)
        fits = images.ndim == 4 and images.shape[1:] == sides and len(images) > 0
        fits &= images.dtype == torch.uint8 or images.is_floating_point()
        expected = f"(B, {', '.join(map(str, sides))}), uint8 or float in [0, 1]"
        found = f"{tuple(images.shape)}, {images.dtype}"
        require(fits, f"images: expected {expected}, got {found}; resize and convert them first")

    @torch.inference_mode()
    def _logits(self, images: Tensor) -> Iterator[Tensor]:
        """Yield the logits of some images at a time, (b, classes) on the CPU."""
        height, width = images.shape[2:]
        with evaluating(self):
            for part in images.split(max(1, PIXELS_AT_ONCE // (height * width))):
                pixels = part if part.dtype == torch.uint8 else part.float()
                pixels = pixels.to(self.mean.device)
                yield self(pixels.contiguous(memory_format=torch.channels_last)).cpu()
