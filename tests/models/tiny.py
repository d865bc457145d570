"""The smallest model of every family, untrained but with statistics as after a training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from torch import nn

import nas_gym
from nas_gym.architecture import Architecture
from nas_gym.models import Model, ModelFacts, Normalization
from nas_gym.networks import ImageShape, build_network, default_settings
from nas_gym.search_spaces import SearchSpace

SMALLEST: dict[str, dict[str, Any]] = {
    "nas": {"filter_scale": 0.1},
    "nasnet": {"cells": 1, "filters": 4},
    "enas-macro": {"filters": 4},
    "enas-micro": {"cells": 1, "filters": 4},
    "mnasnet": {"width": 0.1},
    "once-for-all": {"width": 0.1},
    "proxylessnas": {"width": 0.1},
    "tunas": {"width": 0.1},
    "nasbench101": {"cells": 1, "filters": 8},
    "nasbench201": {"cells": 1, "filters": 4},
}
"""Settings of the smallest network by the name of its family."""
SMALL_SPACES: dict[str, dict[str, Any]] = {
    "nas": {"layers": 3},
    "nasnet": {"blocks": 1},
    "enas-macro": {"layers": 4},
    "enas-micro": {"blocks": 1},
}
"""Arguments of search spaces of fewer decisions."""
FAMILIES = {
    family.name: family
    for family in nas_gym.registered_families()
    if family.network is not None
    and str(family.architecture).startswith("nas_gym.")  # those of tests may be classes
    and not hasattr(family.part("network"), "shape_type")  # of texts
}
"""The families whose networks take images."""
STATISTICS = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))
SHAPE = ImageShape(channels=3, height=16, width=12, classes=4)


def architecture_of(family: str, seed: int = 0) -> Architecture:
    """Return a random architecture of a family."""
    search_space: SearchSpace = FAMILIES[family].part("search_space")(
        **SMALL_SPACES.get(family, {})
    )
    return search_space.decode(search_space.sample(np.random.default_rng(seed)))


def tiny_model(
    architecture: Architecture, shape: ImageShape = SHAPE, seed: int = 0, **settings: Any
) -> Model:
    """Return a model whose weights, and statistics of batches, are random."""
    chosen = type(default_settings(architecture))(**settings)
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = build_network(architecture, shape, chosen)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                for name in ("weight", "bias", "running_mean", "running_var"):
                    nn.init.uniform_(getattr(module, name), 0.5, 1.5)
    facts = ModelFacts(
        classes=tuple(f"class {number}" for number in range(shape.classes)),
        image=shape,
        normalization=Normalization(*(row[: shape.channels] for row in STATISTICS)),
        network=asdict(chosen),
        metrics={"test_accuracy": 0.5},
    )
    return Model(network, architecture, facts).eval()


def smallest(family: str, seed: int = 0) -> Model:
    """Return the smallest model of a family."""
    return tiny_model(architecture_of(family, seed), seed=seed, **SMALLEST[family])


def images(number: int, shape: ImageShape = SHAPE, seed: int = 0) -> torch.Tensor:
    """Return random images, (number, C, H, W) uint8."""
    generator = torch.Generator().manual_seed(seed)
    sides = (number, shape.channels, shape.height, shape.width)
    return torch.randint(0, 256, sides, dtype=torch.uint8, generator=generator)
