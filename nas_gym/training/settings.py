"""`TrainingSettings`: how a child is built and trained."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Interval, Le, MinLen

from nas_gym.data.augmentation import Augmentation
from nas_gym.data.dataset import Dataset
from nas_gym.errors import counted, require
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.networks import LatencySettings, NetworkSettings
from nas_gym.networks.devices import SMALL_IMAGES_BELOW
from nas_gym.settings import Count, Keep, NonNegative, Positive, Seed, Share, nested, settings
from nas_gym.training.early_stopping import EarlyStopping

Epochs = Annotated[int, Ge(1), Le(1_000_000)]
BatchSize = Annotated[int, Ge(2), Le(2**20)]
"""A number of images from 2 on: batch normalization needs the variance of a batch."""


@settings
class LearningSettings:
    """How a child is built and trained, on any task. Everything here can change its evaluation.

    Cheaper estimates are settings too: fewer ``epochs``, a part of the data (``data_fraction``),
    fewer filters or cells (of ``network``), a child stopped by its curve (``early_stopping``), a
    child that starts from another one's weights (``inherit_weights``); smaller images are a
    property of the data set (``image_size`` of the environments and of `load_dataset`).

    With ``early_stopping`` or ``inherit_weights``, an evaluation depends on those before it: with
    several workers, or in another order, the same child can get another result. Both count in an
    evaluator's fingerprint, and an evaluation in a store is not repeated.
    """

    network: NetworkSettings | None = None
    """The skeleton around the architecture; default: that of its family."""
    epochs: Epochs = 20
    """Number of epochs of a child's training; NASNet's are trained for 20."""
    batch_size: BatchSize = 128
    """Images per step; at most all training images."""
    optimizer: Literal["sgd", "adam", "adamw", "lion"] = "sgd"
    """"sgd", "adam", "adamw", which decays weights apart from the gradient, or "lion", which needs
    ``nas-gym[lion]``. The default ``learning_rate`` is SGD's: 0.001 suits "adam" and "adamw",
    0.0001 "lion"."""
    learning_rate: NonNegative = 0.1
    """The learning rate at its highest; it falls along a half cosine to 0."""
    warmup_epochs: Count = 0
    """Epochs, fewer than all, in which the learning rate rises from 0 first."""
    ema_decay: Share = 0.0
    """With 0.9999 for instance, weights and batch normalization's statistics are averaged over the
    steps, their average keeping this share at each, and the average is what is evaluated."""
    momentum: Share = 0.9
    """Momentum of SGD; other optimizers ignore it."""
    nesterov: bool = True
    """Use Nesterov's momentum, not the plain one, in SGD."""
    weight_decay: NonNegative = 5e-4
    """Weight decay of the optimizer: L2 regularization in "sgd" and "adam"."""
    gradient_clip: NonNegative = 0.0
    """The largest global norm of the gradient; 0 for no clipping."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """"float32", "bfloat16" and "float16" (autocast, the latter with loss scaling), or "auto",
    which takes bfloat16 where it is faster, and float16 on a GPU that has no bfloat16. On a GPU,
    what stays float32 is computed in TF32, but not with "float32"."""
    seed: Seed = 0
    """The run's seed; a child's own follows from it and the architecture."""
    data_fraction: Keep = 1.0
    """The share of the training images that children are trained on: equal in every class, and the
    same images for all children. The final training uses all images."""
    early_stopping: Annotated[EarlyStopping | None, nested(EarlyStopping)] = None
    """When a child is stopped before its last epoch, ``{"delta": 0.1}`` for instance; default:
    never. A stopped child is "ok", its accuracy is the last one before the stop, which is below the
    best child's, and its curve is short. A mapping of some of the settings is accepted."""
    inherit_weights: Annotated[str, MinLen(1)] | None = None
    """A folder of trained children's weights, to which each child adds its own; a child starts from
    the weights of the child that shares the most choices with it, where names and shapes of tensors
    agree. Each data set and each split has its own subfolder. Default: children start from random
    weights."""
    cuda_graphs: Literal["auto"] | bool = "auto"
    """Capture a step, from the augmentation to the optimizer, and a batch of validation as CUDA
    graphs and replay them, which spares thousands of launches. "auto" does so on a CUDA device
    where the training is long enough, and networks and task are nas_gym's own. What cannot be
    captured is trained without, with a warning. Other devices refuse True."""
    deterministic: bool = False
    """Compute on a GPU by deterministic operations alone, more slowly, so that a training repeats
    and resumes to the bit; a child with an operation that has no such form crashes. On one machine,
    a CPU does so anyway, with the same number of threads."""
    fused: Positive = 1
    """Number of trainings of one child, each with its own seed, that are computed as one network:
    of ``repeats`` (trained in parts, too), finalists and recorded benchmarks. Faster where a
    network's kernels are short; a result is that of a separate training up to rounding. 1 for
    none."""
    latency: Annotated[LatencySettings | None, nested(LatencySettings)] = None
    """How a child's latency is measured, ``{}`` for instance, after its training, or before it
    where ``at_most`` limits latency; default: not at all. A mapping of some of the settings is
    accepted."""
    count_activations: bool = False
    """Count the peak bytes of activations, which microcontrollers have little room for."""
    at_most: Annotated[CostLimits | None, nested(CostLimits)] = None
    """The costs that a child may have, ``{"parameters": 1e6, "multiply_adds": 1e8}`` for instance;
    one that costs more is not trained, and has the status "over_limit"."""

    def __post_init__(self) -> None:
        limited = self.at_most is not None and self.at_most.latency is not None
        unmeasured = "at_most: latency: it is measured only with latency={}; give both"
        require(not limited or self.latency is not None, unmeasured)
        for name in ("early_stopping", "inherit_weights"):
            says = f"fused: trainings as one cannot have {name}; leave one of them out"
            require(self.fused == 1 or getattr(self, name) is None, says)
        fewer = f"warmup_epochs: expected fewer than the {counted(self.epochs, 'epoch')}"
        require(self.warmup_epochs < self.epochs, f"{fewer}, got {self.warmup_epochs}")
        graphed = self.cuda_graphs is not True or self.optimizer != "lion"
        require(graphed, "cuda_graphs: lion's step has no graph; leave one of them out")


@settings
class TrainingSettings(LearningSettings):
    """How a child is built and trained on images; see `LearningSettings`, too."""

    label_smoothing: Share = 0.0
    """Share of the target that is spread evenly over all classes; 0 for none."""
    batch_norm_momentum: Share | None = None
    """The weight of a batch in the running statistics; default: large enough that batches from
    before the last quarter of the training keep under 1% of the weight, at least 0.1."""
    crop_padding: Count | None = None
    """Pixels of padding for random crops, at most the image's height and width; default: an eighth
    of the shorter side, 4 for CIFAR; but 0 for children on images below 16 pixels, whose short
    training a shift would only slow down."""
    flip: bool | None = None
    """Mirror images at random; default: if the data set's classes allow it."""
    cutout: Count = 0
    """Side of a square that is blotted out, in pixels, at most the image's height and width; 0 for
    none."""
    resized_crop: Keep | None = None
    """Crop a random part of the image, at least this share of its area (0.08 for ImageNet), and
    scale it to the image's size, instead of crops with padding; default: not at all."""
    rand_augment: Annotated[int, Interval(ge=0, le=16)] = 0
    """Number of RandAugment's operations on each image; 0 for none. Images have 1 or 3 channels."""
    rand_augment_magnitude: Annotated[int, Interval(ge=0, le=30)] = 9
    """Strength of RandAugment's operations."""
    mixup: NonNegative = 0.0
    """Alpha of mixup, which mixes pairs of images and of labels; 0 for none."""
    cutmix: NonNegative = 0.0
    """Alpha of CutMix, which puts a part of one image into another; 0 for none. With both, each
    batch has one of them, by chance."""
    class_balance: Literal["weights", "sampling"] | None = None
    """Where classes have unlike numbers of images: "weights" weights each in the loss by the
    inverse of its share, "sampling" draws images such that all classes are equally frequent;
    default: neither."""

    def augmentation(self, dataset: Dataset, final: bool) -> Augmentation:
        """Return the augmentation of training images, for the final training or for children.

        Raises:
            InvalidSettings: ``crop_padding`` is larger than the images, or they cannot have one of
                the changes.
        """
        padding, (height, width, channels) = self.crop_padding, dataset.images.shape[1:]
        both = "crop_padding: resized_crop takes its place; leave one of them out"
        require(not (padding and self.resized_crop), both)
        takes = f"rand_augment: images have 1 or 3 channels, and these have {channels}"
        require(not self.rand_augment or channels in (1, 3), takes)
        if padding is None:
            has_crops = final or height >= SMALL_IMAGES_BELOW
            padding = min(height, width) // 8 if has_crops and not self.resized_crop else 0
        most = f"expected at most {min(height, width)} pixels for images of {height}x{width}"
        for name, pixels in (("crop_padding", padding), ("cutout", self.cutout)):
            fits = pixels <= max(1, min(height, width))
            require(fits, f"{name}: {most}, got {pixels}")
        flip = dataset.flips if self.flip is None else self.flip
        ours = (self.resized_crop, self.rand_augment, self.rand_augment_magnitude)
        return Augmentation(padding, flip, self.cutout, *ours, self.mixup, self.cutmix)
