"""Random changes of training images, a batch at a time; those of ImageNet's size by torchvision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images.

    Crops with padding, mirror images and cutout are computed for a whole batch at once. torchvision
    (``transforms.v2``) does the others: `resized_crop` and `rand_augment` draw anew for each image,
    `mixup` and `cutmix` once for each batch, as their papers do.
    """

    padding: int
    """Black pixels around the image; a window of the image's size is cropped at random."""
    flip: bool
    """True if half of the images are mirrored."""
    cutout: int
    """Side of a random square set to the mean (DeVries & Taylor 2017), in pixels; 0 for none."""
    resized_crop: float | None = None
    """Smallest share of the image's area in a crop that is scaled back to the image's size, whose
    proportions are 3:4 to 4:3 (Szegedy et al. 2015); None for none."""
    rand_augment: int = 0
    """Number of operations of RandAugment (Cubuk et al. 2020) on each image; 0 for none."""
    magnitude: int = 9
    """Strength of RandAugment's operations, 0 to 30."""
    mixup: float = 0.0
    """Alpha of mixup (Zhang et al. 2018); 0 for none."""
    cutmix: float = 0.0
    """Alpha of CutMix (Yun et al. 2019); 0 for none. With both, each batch has one of them."""

    def __str__(self) -> str:
        changes = {
            f"crops after {self.padding} pixels of padding": self.padding,
            f"RandomResizedCrop of at least {self.resized_crop or 0:.0%}": self.resized_crop,
            "mirror images": self.flip,
            f"RandAugment({self.rand_augment}, {self.magnitude})": self.rand_augment,
            f"cutout of {self.cutout} pixels": self.cutout,
            f"mixup({self.mixup:g})": self.mixup,
            f"CutMix({self.cutmix:g})": self.cutmix,
        }
        return ", ".join(text for text, is_used in changes.items() if is_used) or "none"

    @property
    def facts(self) -> dict[str, Any]:
        """The values that differ from the defaults, for digests."""
        unset = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != unset[name]}

    @property
    def draws_globally(self) -> bool:
        """True if torchvision changes images, which draws from torch's global generator."""
        return bool(self.resized_crop or self.rand_augment or self.mixes)

    @property
    def mixes(self) -> bool:
        """True if a batch's labels are shares of the classes, (B, classes)."""
        return self.mixup > 0 or self.cutmix > 0

    def change(self, pixels: Tensor) -> Tensor:
        """Crop and change each image by itself: (B, H, W, C) uint8 in and out."""
        if not (self.resized_crop or self.rand_augment):
            return pixels
        transform = self._of_each(*pixels.shape[1:3])
        changed = [transform(image) for image in pixels.permute(0, 3, 1, 2)]
        return torch.stack(changed).permute(0, 2, 3, 1).contiguous()

    def mix(self, images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Mix images (B, C, H, W) and labels (B,), which become (B, classes) float32."""
        from torchvision.transforms import v2

        if not self.mixes:
            return images, labels
        chosen = [(v2.MixUp, self.mixup), (v2.CutMix, self.cutmix)]
        mixers = [mixer(alpha=alpha, num_classes=classes) for mixer, alpha in chosen if alpha]
        mixed: tuple[Tensor, Tensor] = v2.RandomChoice(mixers)(images, labels)
        return mixed

    def _of_each(self, height: int, width: int) -> nn.Module:
        from torchvision.transforms import v2

        steps: list[nn.Module] = []
        if self.resized_crop:
            size, scale = (height, width), (self.resized_crop, 1.0)
            steps.append(v2.RandomResizedCrop(size, scale, antialias=True))
        if self.rand_augment:
            steps.append(v2.RandAugment(self.rand_augment, self.magnitude))
        return nn.Sequential(*steps)


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Seed torch's global generator of the CPU within it; afterwards, it is as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
