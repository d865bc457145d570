"""A search space of your own, and an agent that designs in it.

    python examples/own_search_space.py

Convolutional networks of one to three layers: a layer that the depth does without is not decided
(`when`). Twenty of them are trained on handwritten digits, in about half a minute on two cores.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from sb3_contrib import MaskablePPO
from stable_baselines3.common.monitor import Monitor
from torch import Tensor, nn

import nas_gym
from nas_gym import (
    CustomArchitecture,
    CustomSearchSpace,
    Decision,
    Trainer,
    TrainingSettings,
    load_dataset,
)
from nas_gym.networks import ChildNetwork, ImageShape


class ConvNet(CustomArchitecture, kind="conv-net"):
    """Decisions of the search space; with a builder, they are an environment."""

    decisions = (
        Decision("depth", ("1", "2", "3")),
        Decision("filters_1", ("4", "8", "16")),
        Decision("kernel_1", ("1", "3", "5")),
        Decision("filters_2", ("8", "16", "32"), when={"depth": ("2", "3")}),
        Decision("kernel_2", ("1", "3", "5"), when={"depth": ("2", "3")}),
        Decision("filters_3", ("16", "32", "64"), when={"depth": ("3",)}),
        Decision("kernel_3", ("1", "3", "5"), when={"depth": ("3",)}),
        Decision("pooling", ("average", "max")),
    )


class ConvNetwork(ChildNetwork):
    """Images (B, C, H, W) in, logits (B, classes) out."""

    def __init__(self, architecture: ConvNet, image_shape: ImageShape) -> None:
        super().__init__()
        numbers = range(1, int(architecture["depth"]) + 1)
        widths = [image_shape.channels, *(int(architecture[f"filters_{n}"]) for n in numbers)]
        layers: list[nn.Module] = []
        for number, (inputs, outputs) in zip(numbers, pairwise(widths), strict=True):
            kernel = int(architecture[f"kernel_{number}"])
            layers += [
                nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        pool = (
            nn.AdaptiveAvgPool2d if architecture["pooling"] == "average" else nn.AdaptiveMaxPool2d
        )
        self.layers = nn.Sequential(*layers, pool(2), nn.Flatten())
        self.classifier = nn.Linear(4 * widths[-1], image_shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.layers(x))
        return logits


nas_gym.register_family(
    nas_gym.Family(
        name="conv-net",
        kind=ConvNet.kind,
        architecture=ConvNet,
        search_space=partial(CustomSearchSpace, ConvNet),
        network=ConvNetwork,
    )
)


def main() -> None:
    """Search with MaskablePPO, and print the three best networks."""
    trainer = Trainer(load_dataset("digits"), TrainingSettings(epochs=2, batch_size=64))
    env = nas_gym.NASEnv(CustomSearchSpace(ConvNet), trainer, reward="accuracy")
    print(f"{env.search_space}, {env.search_space.size} networks")
    agent = MaskablePPO("MlpPolicy", Monitor(env), n_steps=40, batch_size=40, gamma=1.0, seed=0)
    agent.learn(20 * env.decisions)
    for evaluation in sorted(env.memory.known.values(), key=lambda e: -e.accuracy)[:3]:
        print(f"{evaluation.accuracy:.1%} with {evaluation.parameters:,} parameters")


if __name__ == "__main__":
    main()
