"""A task of your own: neither images nor texts, and a metric of which less is better.

    python examples/own_task.py

Dense networks of one to three layers predict the progress of diabetes from ten numbers of a patient
(scikit-learn's table of 442). A data set names its task; a task has batches, a loss and a metric.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import Tensor, nn
from torch.nn import functional as F

import nas_gym
from nas_gym import CustomArchitecture, CustomSearchSpace, Decision, Trainer
from nas_gym.evaluation import Metric
from nas_gym.networks import ChildNetwork
from nas_gym.settings import settings
from nas_gym.training.settings import LearningSettings
from nas_gym.training.tasks.task import Split, Task


@settings
class TableShape:
    """Shape of an input: numbers of a row."""

    columns: int

    def batch(self, number: int, device: torch.device) -> Tensor:
        """Return rows of zeros, by which costs are counted."""
        return torch.zeros(number, self.columns, device=device)


class Diabetes:
    """The table, standardized, in three fixed parts."""

    name = "diabetes"

    def __init__(self) -> None:
        table, progress = load_diabetes(return_X_y=True, scaled=False)
        order = np.random.default_rng(0).permutation(len(table))
        self.train, self.validation, self.test = np.split(order, [262, 352])
        mean, deviation = table[self.train].mean(axis=0), table[self.train].std(axis=0)
        self.rows = ((table - mean) / deviation).astype(np.float32)
        self.progress = (progress / 100).astype(np.float32)
        self.task = Regression

    @property
    def digest(self) -> str:
        """Digest of all that training sees."""
        return hashlib.blake2b(self.rows.tobytes() + self.progress.tobytes()).hexdigest()[:32]

    def summary(self) -> dict[str, Any]:
        """Return the facts that a run folder keeps."""
        return {"rows": len(self.rows), "split": [len(self.train), 90, 90]}


class Regression(Task):
    """Mean squared error is made small; the metric is its root, in hundreds of the score."""

    metric = Metric("root_mean_squared_error", lowest=0.0, higher_is_better=False)

    def __init__(
        self, dataset: Diabetes, settings: LearningSettings, device: torch.device, final: bool
    ) -> None:
        super().__init__(dataset, settings, device, final)
        self.known = dataset.train
        if final:
            self.known = np.concatenate([dataset.train, dataset.validation])
        self.rows = torch.from_numpy(dataset.rows).to(device)
        self.progress = torch.from_numpy(dataset.progress).to(device)
        self.input_shape = TableShape(dataset.rows.shape[1])
        self.batch_size = min(settings.batch_size, len(self.known))
        self.steps_per_epoch = len(self.known) // self.batch_size
        self.one_thread = True

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (B, columns) rows and (B,) progresses in random order."""
        order = torch.randperm(len(self.known), generator=generator, device=self.device)
        known = torch.from_numpy(self.known).to(self.device)[order]
        for chosen in known[: self.steps_per_epoch * self.batch_size].split(self.batch_size):
            yield self.rows[chosen], self.progress[chosen]

    def loss(self, network: ChildNetwork, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared error."""
        return F.mse_loss(network(inputs), targets)

    def value(self, network: ChildNetwork, split: Split) -> float:
        """Return the root of the mean squared error; NaN for a network that trains on the split."""
        if self.final and split == "validation":
            return float("nan")
        chosen = torch.from_numpy(getattr(self.dataset, split))
        network.eval()
        with torch.inference_mode():
            return float(self.loss(network, self.rows[chosen], self.progress[chosen]).sqrt())


class DenseNet(CustomArchitecture, kind="dense-net"):
    """Decisions of the search space."""

    decisions = (
        Decision("depth", ("1", "2", "3")),
        Decision("units", ("4", "16", "64")),
        Decision("activation", ("relu", "tanh")),
    )


class DenseNetwork(ChildNetwork):
    """Rows (B, columns) in, numbers (B,) out."""

    def __init__(self, architecture: DenseNet, shape: TableShape) -> None:
        super().__init__()
        units = [int(architecture["units"])] * int(architecture["depth"])
        activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[architecture["activation"]]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((shape.columns, *units)):
            layers += [nn.Linear(inputs, outputs), activation()]
        self.layers = nn.Sequential(*layers, nn.Linear(units[-1], 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the predictions."""
        outputs: Tensor = self.layers(x)
        return outputs.squeeze(1)


nas_gym.register_family(
    nas_gym.Family(
        name="dense-net",
        kind=DenseNet.kind,
        architecture=DenseNet,
        search_space=partial(CustomSearchSpace, DenseNet),
        network=DenseNetwork,
    )
)


def main() -> None:
    """Train all networks, and print the three best."""
    training = LearningSettings(epochs=20, batch_size=32, learning_rate=0.02)
    search_space = CustomSearchSpace(DenseNet)
    env = nas_gym.NASEnv(search_space, Trainer(Diabetes(), training, "cpu"))
    everything = [search_space.decode(each) for each in np.ndindex(*search_space.num_choices)]
    found = zip(everything, env.memory.evaluate(everything), strict=True)
    for architecture, evaluation in sorted(found, key=lambda pair: -pair[1].accuracy)[:3]:
        print(f"{dict(architecture)}: {evaluation.metric} {evaluation.value:.3f}")


if __name__ == "__main__":
    main()
