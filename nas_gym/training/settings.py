"""`TrainingSettings`: how a child is built and trained."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nas_gym.data.batches import Augmentation
from nas_gym.data.dataset import Dataset
from nas_gym.errors import from_fields, require, require_integer, require_number, require_truth
from nas_gym.networks import LatencySettings, NetworkSettings
from nas_gym.training.devices import SMALL_IMAGES_BELOW
from nas_gym.training.early_stopping import EarlyStopping


@dataclass(frozen=True)
class TrainingSettings:
    """How a child is built and trained. Everything here can change what it is worth.

    Cheaper estimates are settings too: fewer ``epochs``, a part of the data (``data_fraction``),
    fewer filters or cells (of ``network``), a child stopped by its curve (``early_stopping``), a
    child that begins where another one ended (``inherit_weights``); smaller images are the data
    set's (``image_size`` of the environments and of `load_dataset`).

    The last two of these settings make an evaluation depend on those before it. They count in an
    evaluator's fingerprint like the others, and an evaluation that a store has is not made again;
    but with several workers, or in another order, the same child can be worth something else.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    network: NetworkSettings | None = None
    """The skeleton that the architecture is put into; default: its family's own."""
    epochs: int = 20
    """NASNet's children are trained for 20 epochs."""
    batch_size: int = 128
    learning_rate: float = 0.1
    """At the start; it falls along a half cosine to 0."""
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    gradient_clip: float = 0.0
    """The largest global norm of the gradient; 0 for no clipping."""
    batch_norm_momentum: float | None = None
    """The weight of a batch in the running statistics; default: as much as leaves under 1% of the
    weight to batches from before the last quarter of the training, at least 0.1."""
    crop_padding: int | None = None
    """Pixels of padding for random crops; default: an eighth of the height, 4 for CIFAR; but 0 for
    children on images below 16 pixels, whose short training a shift would only slow down."""
    flip: bool | None = None
    """Whether images are mirrored at random; default: where the data set's classes allow it."""
    cutout: int = 0
    """Side of a square that is blotted out, in pixels; 0 for none."""
    precision: str = "auto"
    """"float32", "bfloat16" (autocast), or "auto": bfloat16 where it is faster."""
    seed: int = 0
    """The run's seed; a child's own follows from it and the architecture."""
    data_fraction: float = 1.0
    """The part of the training images that children are trained on: the same share of every class,
    and the same images for all. The final training takes all."""
    early_stopping: EarlyStopping | None = None
    """When a child is stopped before its last epoch; default: never. Such a child is "ok" and worth
    the accuracy that it had reached, which is below the best one's; its curve is short. A mapping
    of some of the settings, ``{}`` for instance, is taken as such."""
    inherit_weights: str | None = None
    """A folder of trained children's weights, to which each child adds its own; a child begins with
    those of the one that shares the most choices with it, where names and shapes of tensors agree.
    Those of other images, or of another split of them, lie apart. Default: children begin with
    random weights."""
    cuda_graphs: bool = False
    """Whether a step is captured as a CUDA graph and replayed: faster for tiny children on a CUDA
    device, which otherwise wait for Python. Other devices refuse it."""
    latency: LatencySettings | None = None
    """How a child's latency is measured, before it is trained; default: it is not. A mapping of
    some of the settings, ``{}`` for instance, is taken as such."""

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 2), ("cutout", 0), ("seed", 0)):
            require_integer(name, getattr(self, name), least)
        for name in ("learning_rate", "weight_decay", "gradient_clip"):
            require_number(name, getattr(self, name), 0, math.inf)
        for name in ("momentum", "label_smoothing"):
            require_number(name, getattr(self, name), 0, 1)
        require_truth("nesterov", self.nesterov)
        if self.batch_norm_momentum is not None:
            require_number("batch_norm_momentum", self.batch_norm_momentum, 0, 1)
        if self.crop_padding is not None:
            require_integer("crop_padding", self.crop_padding, least=0)
        if self.flip is not None:
            require_truth("flip", self.flip)
        precisions = ("auto", "float32", "bfloat16")
        require(
            self.precision in precisions,
            f"precision: {self.precision!r} is not one of {', '.join(precisions)}",
        )
        require(
            type(self.data_fraction) in (int, float) and 0 < self.data_fraction <= 1,
            f"data_fraction: expected a number in (0, 1], got {self.data_fraction!r}",
        )
        require(
            self.inherit_weights is None
            or (isinstance(self.inherit_weights, str) and self.inherit_weights != ""),
            f"inherit_weights: expected the name of a folder, got {self.inherit_weights!r}",
        )
        require_truth("cuda_graphs", self.cuda_graphs)
        nested: tuple[tuple[str, type], ...] = (
            ("latency", LatencySettings),
            ("early_stopping", EarlyStopping),
        )
        for name, kind in nested:
            given = getattr(self, name)
            if not (given is None or isinstance(given, kind)):
                object.__setattr__(self, name, from_fields(kind, name, given))

    def augmentation(self, dataset: Dataset, final: bool) -> Augmentation:
        """The augmentation of a data set's training images, for children or for the final one."""
        padding, height = self.crop_padding, dataset.images.shape[1]
        if padding is None:
            padding = height // 8 if final or height >= SMALL_IMAGES_BELOW else 0
        return Augmentation(
            padding=padding,
            flip=dataset.flips if self.flip is None else self.flip,
            cutout=self.cutout,
        )
