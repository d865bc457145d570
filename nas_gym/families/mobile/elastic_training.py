"""Trains an elastic network by progressive shrinking with distillation.

Once-for-All (Cai et al. 2020, https://arxiv.org/abs/1908.09791, section 3.3): the largest network
is trained first; it then teaches sub-networks by its outputs (Hinton et al. 2015,
https://arxiv.org/abs/1503.02531), drawn at random from ever more of them. As in the released code,
the teacher normalizes by the batch's statistics, the phase of depth precedes that of the expansion,
and the gradients of a step's sub-networks are added.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nas_gym.data.dataset import Dataset
from nas_gym.errors import InvalidSettings, require
from nas_gym.families.mobile.elastic import ElasticNetwork
from nas_gym.families.mobile.ofa import OFASearchSpace
from nas_gym.families.mobile.shrinking import PHASES, ShrinkingSettings
from nas_gym.outside.files import replacing
from nas_gym.training.checkpoint import packed, unpacked
from nas_gym.training.failures import Diverged
from nas_gym.training.fingerprint import builder_digests, code_digest
from nas_gym.training.network_trainer import DeviceTraining, made_again
from nas_gym.training.seeds import seed_from
from nas_gym.training.steps import (
    backward,
    batch_loss,
    flattened,
    make_optimizer,
    make_scaler,
    schedule,
    update,
)
from nas_gym.training.tasks.images import ImageClassification

NOT_TRAINED = ("weights", "calibration_images", "at_most")
"""Settings that do not change the elastic network."""


class ElasticTraining(DeviceTraining):
    """An elastic network on one data set and device, and its training; `elastic` is the module.

    Args:
        search_space: Once-for-All's.
        dataset, settings, device: As in `DeviceTraining`; the test split is not touched.

    Raises:
        InvalidSettings: the settings do not fit, the file of weights is another network's, or the
            device does not exist here.
    """

    settings: ShrinkingSettings
    task: ImageClassification

    def __init__(
        self,
        search_space: OFASearchSpace,
        dataset: Dataset,
        settings: ShrinkingSettings | None = None,
        device: str = "auto",
    ) -> None:
        super().__init__(dataset, settings or ShrinkingSettings(), device)
        self.search_space = search_space
        with self.isolated(self._seed("weights")):
            elastic = ElasticNetwork(search_space, self.task.input_shape, self.settings.network)  # type: ignore[arg-type]
        self.elastic = elastic.to(self.device).to(memory_format=torch.channels_last)
        self.teacher: ElasticNetwork | None = None
        """The largest network as it was trained by itself; None until then."""
        self.phase, self.epoch = 0, 0
        """Number of the phase in `PHASES`, and of its epochs that are done."""
        self.divergence = ""
        """Why the training cannot go on; "" while it can."""
        self._weights, self._gradients = flattened(self.elastic)
        self._optimizer = self._new_optimizer()
        self._scaler = make_scaler(self.task.autocast_dtype, self.device)
        if self.settings.weights is not None and Path(self.settings.weights).is_file():
            self._load(Path(self.settings.weights))

    @property
    def is_trained(self) -> bool:
        """True if no phase is left."""
        return self.phase == len(PHASES)

    def train(self, on_epoch: Callable[[str, int, float], None] | None = None) -> None:
        """Train the elastic network to the end, from where it is; it is kept after each epoch.

        Args:
            on_epoch: Called with the phase's name, the number of its epochs that are done, and the
                mean loss.

        Raises:
            Diverged: the loss is, or was in an earlier call, not finite.
        """
        while not self.is_trained:
            if self.divergence:
                raise Diverged(self.divergence)
            epochs, _ = self.settings.of_phase(self.phase)
            if self.epoch < epochs:
                loss = self._train_epoch()
                if not math.isfinite(loss):
                    says = f"the elastic network's loss is {loss}; take a lower learning_rate"
                    self.divergence = f"{says}, or gradient_clip=5"
                    continue
                if on_epoch is not None:
                    on_epoch(PHASES[self.phase].name, self.epoch, loss)
            if self.epoch == epochs:
                self._begin(self.phase + 1)
            self._save()

    def _begin(self, phase: int) -> None:
        """Begin a phase."""
        if phase == 1:
            self.teacher = deepcopy(self.elastic)
        self.phase, self.epoch = phase, 0
        if not self.is_trained:
            for kept in PHASES[phase].sorted_within:
                self.elastic.sort_channels(kept)
            self._optimizer = self._new_optimizer()

    def _train_epoch(self) -> float:
        """Train for an epoch; return the mean loss."""
        self.elastic.train()
        purpose = f"epoch/{self.phase}/{self.epoch}"
        rng, total = np.random.default_rng(self._seed(purpose)), torch.zeros((), device=self.device)
        with self.isolated(self._seed(purpose)), torch.enable_grad():
            generator = torch.Generator(self.device).manual_seed(torch.initial_seed())
            for step, (images, labels) in enumerate(self.task.batches(generator)):
                self._set_rate(step)
                total += self._step(images, labels, rng)
        self.epoch += 1
        return total.item() / self.task.steps_per_epoch

    def _set_rate(self, step: int) -> None:
        epochs, rate = self.settings.of_phase(self.phase)
        progress = (self.epoch + step / self.task.steps_per_epoch) / epochs
        for group in self._optimizer.param_groups:
            group["lr"] = rate * schedule(progress, self.settings.warmup_epochs / epochs)

    def _step(self, images: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
        """Train some sub-networks on a batch; return the mean of their losses, ()."""
        phase, settings, total = PHASES[self.phase], self.settings, images.new_zeros(())
        sizes = self.search_space.resolutions
        resolution = str(rng.choice(sizes)) if sizes else None
        taught = self._taught(images, resolution)
        for _ in range(phase.networks):
            self.elastic.set_architecture(phase.draw(self.search_space, rng, resolution))
            with self.task.autocast():
                given = (settings.label_smoothing, self.task.class_weights)
                loss, _, logits = batch_loss(self.elastic, images, labels, *given)
                if taught is not None:
                    loss = loss + settings.distillation * F.cross_entropy(logits, taught)
            backward(loss, self._scaler)
            total += loss.detach() / phase.networks
        update(self._optimizer, settings.gradient_clip, self._scaler)
        self._gradients.zero_()
        return total

    @torch.no_grad()
    def _taught(self, images: Tensor, resolution: str | None) -> Tensor | None:
        """Return the teacher's probabilities, (B, classes); None if there is no teacher."""
        if self.teacher is None or not self.settings.distillation:
            return None
        size = None if resolution is None else int(resolution)
        self.teacher.set_architecture(replace(self.elastic.largest, resolution=size))
        with self.task.autocast():
            logits: Tensor = self.teacher.eval()(images)
        return logits.float().softmax(dim=1)

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return make_optimizer([self._weights], self.settings, self.settings.learning_rate)

    def _seed(self, purpose: str) -> int:
        return seed_from(f"{self.settings.seed}/{purpose}")

    def _builders(self) -> list[object]:
        return [
            builder_digests("network", self.search_space.architecture_type),
            [code_digest(each) for each in (ElasticNetwork, type(self))],
            [(each.name, each.choices) for each in self.search_space.decisions],
            self.search_space.filters,
        ]

    def _trained_as(self) -> str:
        """Return a digest of all that could change the elastic network."""
        settings = {**asdict(self.settings), **dict.fromkeys(NOT_TRAINED)}
        return self.digest(builders=self._builders(), settings=settings)

    def _state(self) -> dict[str, Any]:
        """Return all that changes."""
        return {
            **{"phase": self.phase, "epoch": self.epoch, "divergence": self.divergence},
            "elastic": self.elastic.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
            "teacher": None if self.teacher is None else self.teacher.state_dict(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        """Go on from a state of `_state`."""
        self.elastic.load_state_dict(state["elastic"])
        if state["teacher"] is not None:
            self.teacher = deepcopy(self.elastic)
            self.teacher.load_state_dict(state["teacher"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])
        self.phase, self.epoch = state["phase"], state["epoch"]
        self.divergence = state["divergence"]

    def __reduce__(self) -> tuple[Any, ...]:
        given = (type(self), self.search_space, self.dataset, self.settings, self.device_name)
        return made_again, given, {"state": packed(self._state())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._restore(unpacked(state["state"]))

    def _save(self) -> None:
        """Write all that changes into the file of weights, if there is one."""
        if self.settings.weights is not None:
            content = packed({"trained_as": self._trained_as(), **self._state()})
            with replacing(Path(self.settings.weights)) as part:
                part.write_bytes(content)

    def _load(self, path: Path) -> None:
        """Go on from a file of weights."""
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            ours = state["trained_as"] == self._trained_as()
            require(ours, "it was trained on other data, or with other settings or code")
            self._restore(state)
        except Exception as error:  # torch raises errors of many types
            why = " ".join(str(error).split())[:200]
            says = f"weights: {path} cannot be used: {why}; name another file"
            raise InvalidSettings(says) from error
