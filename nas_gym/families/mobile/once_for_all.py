"""`OnceForAll`: evaluates sub-networks of an elastic network that is trained once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor

from nas_gym.architecture import Architecture
from nas_gym.evaluation import Evaluation
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.families.mobile.elastic_training import ElasticTraining
from nas_gym.networks import ChildNetwork
from nas_gym.training.failures import Attempt, Diverged, OverLimit
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.steps import recalibrate


class OnceForAll(ElasticTraining):
    """Evaluates sub-networks with the elastic network's weights.

    The elastic network is trained when it is needed first, or by `train`. A sub-network's
    evaluation has the seconds of calibration and validation alone. Arguments and errors are those
    of `ElasticTraining`.
    """

    costs = ("parameters", "multiply_adds")

    @property
    def fingerprint(self) -> str:
        """A digest of all that could change an evaluation."""
        settings = {**asdict(self.settings), "weights": None}
        return self.digest(builders=self._builders(), settings=settings)

    @property
    def child_settings(self) -> TrainingSettings:
        """Settings for training a network by itself, as long as the largest one was."""
        names = [field.name for field in fields(TrainingSettings)]
        return TrainingSettings(**{name: getattr(self.settings, name) for name in names})

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Validate each architecture with the elastic network's weights."""
        return [self.evaluate_one(architecture) for architecture in architectures]

    def network_key(self, architecture: Architecture) -> str:
        """Return `Architecture.key`."""
        return architecture.key

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """Validate one sub-network of the trained elastic network; a failure becomes a status.

        If the elastic network diverges, so do all sub-networks, as under other shared weights.
        """
        with suppress(Diverged):
            self.train()
        child = Attempt()
        with child.recorded():
            cost = self.elastic.cost(architecture)
            child.parameters, child.multiply_adds = cost.parameters, cost.multiply_adds
            limits = self.settings.at_most or CostLimits()
            if exceeded := limits.exceeded(vars(child)):
                raise OverLimit(exceeded)
            child.status = "crashed"
            if self.divergence:
                raise Diverged(self.divergence)
            network = self.sub_network(architecture)
            with self.isolated(self._seed("validation")):
                child.curve = [self.task.value(network, "validation")]
        return child.evaluation(self.settings.seed, self.fingerprint)

    def sub_network(self, architecture: Architecture) -> ChildNetwork:
        """Return a sub-network as a plain network with its weights, ready for inference.

        The statistics of its batch normalization are those of ``calibration_images``.
        """
        network = self.elastic.uncalibrated(architecture)
        with self.task.autocast(), self.isolated(self._seed("dropout")):
            recalibrate(network, self._calibration)
        return network

    @cached_property
    def _calibration(self) -> list[Tensor]:
        """Batches of augmented training images."""
        generator = torch.Generator(self.device).manual_seed(self._seed("calibration"))
        number = math.ceil(self.settings.calibration_images / self.task.batch_size)
        with self.isolated(self._seed("calibration")):
            return [images for images, _ in islice(self.task.batches(generator), number)]
