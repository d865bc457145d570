"""Evaluates children inside a supernet, whose weights they share.

Efficient Neural Architecture Search (Pham et al. 2018, https://arxiv.org/abs/1802.03268, section
2.2), with the settings of the code released with it, https://github.com/melodyguan/enas. No child
is trained by itself: every step of the shared weights is one of a child that the controller drew,
and a child's accuracy on a minibatch of validation images, under the weights as they stand, is its
evaluation.

Where the released code is unlike its own flags or its paper, this is what happens here: dropout is
off in evaluation (the released micro search leaves it on); the auxiliary head is trained with the
rest (the released code takes no gradients of its weights, so that it stays as drawn); drop path is
as the network's settings say (the released search has the flag, and no drop path).
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import deepcopy
from dataclasses import asdict, fields, replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from nas_gym.architecture import Architecture
from nas_gym.data.batches import DeviceDataset
from nas_gym.data.dataset import Dataset, part_of
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.networks import ImageShape
from nas_gym.networks.devices import resolve_device
from nas_gym.search_spaces import SearchSpace
from nas_gym.training.devices import autocast_dtype, keep_freed_memory, threads_for
from nas_gym.training.failures import is_out_of_memory
from nas_gym.training.flattening import flattened
from nas_gym.training.settings import TrainingSettings
from nas_gym.weight_sharing.settings import SharedEpoch, WeightSharingSettings
from nas_gym.weight_sharing.supernet import build_supernet

Sample = Callable[[int], Sequence[Architecture]]
"""Draws so many architectures: the controller, as far as shared weights know of it."""


class WeightSharing:
    """Evaluates the children of one search space inside a supernet, on one data set and device.

    Its evaluations change as `train_epoch` goes on, so none is answered from memory. What it does
    follows from the settings, the architectures drawn and the order of the calls alone, and
    `state_dict` is all that it needs to go on from where it was, to the bit.

    Args:
        search_space: ENAS's macro or micro one.
        dataset: The images; the test split is not touched.
        settings: How the supernet is built and trained.
        device: "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        InvalidSettings: the search space has no supernet, the settings do not fit, or the device
            does not exist here.
    """

    changes: ClassVar[bool] = True
    """See `nas_gym.evaluation.Evaluator`."""
    costs = ("parameters",)

    def __init__(
        self,
        search_space: SearchSpace,
        dataset: Dataset,
        settings: WeightSharingSettings | None = None,
        device: str = "auto",
    ) -> None:
        self.search_space, self.dataset = search_space, dataset
        self.settings = settings = settings or WeightSharingSettings()
        self.device = resolve_device(device)
        keep_freed_memory(self.device)
        _, height, width, channels = dataset.images.shape
        self.image_shape = ImageShape(channels, height, width, len(dataset.classes))
        self.autocast_dtype = autocast_dtype(settings.precision, self.device, height)
        self._augmentation = settings.augmentation(dataset, final=False)
        padding = self._augmentation.padding
        known = part_of(dataset.train, dataset.labels, settings.data_fraction)
        self._train = DeviceDataset(dataset, known, known, self.device, padding)
        self._validation = DeviceDataset(dataset, dataset.validation, known, self.device)
        self.batch_size = min(settings.batch_size, len(self._train))
        self.steps_per_epoch = len(self._train) // self.batch_size
        with self._isolated("weights"):
            supernet = build_supernet(
                search_space, self.image_shape, settings.network, settings.batch_statistics
            )
            self._minibatches = self._permutation(len(self._validation)).tensor_split(
                math.ceil(len(self._validation) / self.batch_size)
            )
        self.supernet = supernet.to(self.device).to(memory_format=torch.channels_last)
        weights, self._gradients = flattened(self.supernet)
        self.optimizer = torch.optim.SGD(
            [weights],
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov and settings.momentum > 0,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.epoch = 0
        """How many epochs the shared weights have been trained for."""
        self.history: list[SharedEpoch] = []
        """What each of them came to."""
        self._next_minibatch = 0
        self._recorded: deque[Evaluation] = deque()
        self._resumed: Mapping[str, Any] | None = None
        """Where it goes on when these are given; see `go_on_from`."""

    @property
    def fingerprint(self) -> str:
        """A digest of the settings; what the weights were trained on so far is not in it."""
        facts = {
            "dataset": self.dataset.digest,
            "search_space": [
                (decision.name, decision.choices) for decision in self.search_space.decisions
            ],
            "settings": asdict(self.settings),
            "augmentation": asdict(self._augmentation),
            "autocast": str(self.autocast_dtype),
            "device": self.device.type,
        }
        text = json.dumps(facts, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def child_settings(self) -> TrainingSettings:
        """How a child would be trained by itself: in its family's default form, and as the shared
        weights are, but for a fiftieth of their epochs, since every step is its own.
        """
        settings = self.settings
        values = {field.name: getattr(settings, field.name) for field in fields(TrainingSettings)}
        values["epochs"] = max(1, settings.epochs // 50)
        if settings.network is not None:
            form = type(settings.network)().form  # type: ignore[attr-defined]
            values["network"] = replace(settings.network, form=form)  # type: ignore[call-arg]
        return TrainingSettings(**values)

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """The run's seed: all children share their weights, and so what these were drawn from."""
        return self.settings.seed

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Validates each architecture under the shared weights as they stand."""
        return [self.evaluate_one(architecture) for architecture in architectures]

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """Validates one architecture, as it was chosen: not its canonical form, whose nodes may
        have other weights. Whatever goes wrong becomes a status.
        """
        if self._recorded:
            return self._from_record()
        started = time.perf_counter()
        status: Status = "unbuildable"
        accuracy, parameters, message = 0.0, None, ""
        with self._isolated("evaluation"):
            try:
                parameters = self.supernet.count_parameters(architecture)
                self.supernet.set_architecture(architecture)
                status = "crashed"
                accuracy, finite = self._accuracy(self._batches())
                status = "ok" if finite else "diverged"
            except Exception as error:
                if is_out_of_memory(error):
                    status = "out_of_memory"
                message = f"{type(error).__name__}: {error}"
        ok = status == "ok"
        return Evaluation(
            status=status,
            accuracy=accuracy if ok else 0.0,
            curve=(accuracy,) if ok else (),
            seconds=time.perf_counter() - started,
            seed=self.seed_of(architecture, repeat),
            fingerprint=self.fingerprint,
            parameters=parameters,
            message="the logits are not finite" if status == "diverged" else message,
        )

    @contextmanager
    def on_whole_split(self) -> Iterator[None]:
        """Within it, children are validated on the whole validation split."""
        settings = self.settings
        self.settings = replace(settings, validated_on="split")
        try:
            yield
        finally:
            self.settings = settings

    def train_epoch(self, sample: Sample) -> SharedEpoch:
        """Trains the shared weights on every training image once, or on those of the settings'
        ``data_fraction``, with another child each step.

        Args:
            sample: Draws the children, one a step.

        Raises:
            InvalidArchitecture: one of them is none of the supernet's.
        """
        started = time.perf_counter()
        children = sample(self.steps_per_epoch)
        if self._resumed is not None:
            self.epoch += 1
            return SharedEpoch(**self._resumed["history"][self.epoch - 1])
        rate = self.settings.learning_rate_in(self.epoch)
        self.optimizer.param_groups[0]["lr"] = rate
        self.supernet.train()
        with self._isolated(f"epoch/{self.epoch}"), torch.enable_grad():  # ARS learns without
            generator = torch.Generator(self.device).manual_seed(torch.initial_seed())
            order = self._permutation(len(self._train), generator)
            batches = order[: self.steps_per_epoch * self.batch_size].split(self.batch_size)
            totals = torch.zeros(2, device=self.device)
            for step, (child, chosen) in enumerate(zip(children, batches, strict=True)):
                progress = (self.epoch + step / self.steps_per_epoch) / self.settings.epochs
                self.supernet.set_progress(min(1.0, progress))
                self.supernet.set_architecture(child)
                totals += self._step(*self._augmented(chosen, generator))
        self.epoch += 1
        loss, right = (totals / self.steps_per_epoch).tolist()
        seconds = time.perf_counter() - started
        self.history.append(SharedEpoch(self.epoch, loss, right, rate, seconds))
        return self.history[-1]

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Trains the child that is set on a batch: its loss and its accuracy, (2,)."""
        smoothing = self.settings.label_smoothing
        with self._autocast():
            outputs = self.supernet(images)
            both = (outputs,) if isinstance(outputs, Tensor) else outputs
            main, *auxiliary = (
                F.cross_entropy(logits, labels, label_smoothing=smoothing) for logits in both
            )
            loss = main + sum(auxiliary) * self.supernet.auxiliary_weight
        loss.backward()
        if self.settings.gradient_clip:
            torch.nn.utils.clip_grad_norm_(
                self.optimizer.param_groups[0]["params"], self.settings.gradient_clip
            )
        self.optimizer.step()
        self._gradients.zero_()
        right = (both[0].argmax(dim=1) == labels).float().mean()
        return torch.stack((main.detach().float(), right))

    def _accuracy(self, batches: Sequence[Tensor]) -> tuple[float, bool]:
        """The share of images that the child that is set classifies rightly, and whether all its
        logits are finite.
        """
        self.supernet.eval()
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        finite = torch.ones((), dtype=torch.bool, device=self.device)
        with torch.inference_mode(), self._autocast():
            for chosen in batches:
                images, labels = self._validation.batch(chosen)
                logits = self.supernet(images)
                right += (logits.argmax(dim=1) == labels).sum()
                finite &= logits.isfinite().all()
        return right.item() / sum(map(len, batches)), bool(finite)

    def _batches(self) -> Sequence[Tensor]:
        """The validation images, as the settings have it, in batches like those trained on.

        With the statistics of the batch, another size would make another network.
        """
        if self.settings.validated_on == "split":
            return self._minibatches
        place = self._next_minibatch
        self._next_minibatch = (place + 1) % len(self._minibatches)
        return (self._minibatches[place],)

    def _augmented(self, chosen: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return self._train.augmented_batch(chosen, self._augmentation, generator)

    def _permutation(self, number: int, generator: torch.Generator | None = None) -> Tensor:
        return torch.randperm(number, generator=generator, device=self.device)

    def state_dict(self) -> dict[str, Any]:
        """All that changes: the weights, the optimizer's state, and how far it has come."""
        return {
            "supernet": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "epoch": self.epoch,
            "next_minibatch": self._next_minibatch,
            "history": [asdict(epoch) for epoch in self.history],
        }

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Goes back to where `state_dict` was taken."""
        self.supernet.load_state_dict(state["supernet"], strict=strict)
        self.optimizer.load_state_dict(deepcopy(state["optimizer"]))  # or it would share tensors
        self.epoch, self._next_minibatch = state["epoch"], state["next_minibatch"]
        self.history = [SharedEpoch(**epoch) for epoch in state["history"]]

    def go_on_from(self, state: Mapping[str, Any], evaluations: Iterable[Evaluation]) -> None:
        """Goes on from a state without doing again what came before it.

        The next evaluations are those given, in order; until they are used up, `train_epoch` draws
        children, so that the controller's random numbers are the same, and trains nothing. With
        the last of them, the weights are those of the state.

        Args:
            state: Of `state_dict`, taken when these evaluations had been made.
            evaluations: All that were made before it.
        """
        self._recorded.extend(evaluations)
        self._resumed = state if self._recorded else None

    def _from_record(self) -> Evaluation:
        """The next evaluation of those that were made before; see `go_on_from`."""
        evaluation = self._recorded.popleft()
        if not self._recorded and self._resumed is not None:
            self.load_state_dict(dict(self._resumed))
            self._resumed = None
        return evaluation

    @contextmanager
    def _isolated(self, purpose: str) -> Iterator[None]:
        """Within it, torch's global generators start from a seed that follows from the run's and
        the purpose; after it, they are as they were. Threads are as these images want them.
        """
        text = f"{self.settings.seed}/{purpose}".encode()
        seed = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") >> 1
        cuda = [self.device.index or 0] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cuda), threads_for(self.device, self.image_shape.height):
            torch.manual_seed(seed)
            yield

    def _autocast(self) -> AbstractContextManager[object]:
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.autocast_dtype)
