"""Starts a child from the weights of the most similar child that was trained before.

The idea is that of network morphisms and of weight inheritance in evolution (Real et al. 2017,
https://arxiv.org/abs/1703.01041, section 3.4): what parent and child have in common need not be
learned twice. Tensors whose names and shapes agree are copied; the others stay as they were drawn.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor, nn

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import InvalidSettings

Choices: TypeAlias = frozenset[tuple[str, str]]
"""What was chosen, as pairs of the place in the JSON form and the value there."""


class WeightFolder:
    """Weights of trained children in a folder, which several processes may share.

    Each child has two files: ``<key>.json``, its canonical architecture, and ``<key>.pt``, its
    ``state_dict``. The former is written last, and both are renamed into place: what has a name is
    whole.

    Raises:
        InvalidSettings: the folder cannot be made or read.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._known: dict[str, Choices] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSettings(f"inherit_weights: {folder} cannot be used: {error}") from error

    def save(self, architecture: Architecture, network: nn.Module) -> None:
        """Keeps the weights of a trained child; a later training of it takes their place.

        Raises:
            InvalidSettings: the folder cannot be written to.
        """
        canonical, key = architecture.canonical(), architecture.key
        weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
        unfinished = self.folder / f"{key}.{os.getpid()}.unfinished"
        try:
            torch.save(weights, unfinished)
            unfinished.replace(self.folder / f"{key}.pt")
            canonical.save(unfinished)
            unfinished.replace(self.folder / f"{key}.json")
        except (OSError, RuntimeError) as error:  # torch.save makes RuntimeErrors of a full disk
            raise InvalidSettings(
                f"inherit_weights: {self.folder} cannot be written to: {error}"
            ) from error

    def nearest(self, architecture: Architecture) -> str | None:
        """The key of the trained child that shares the most choices with this one.

        The child itself is none of its parents. Of several, the smallest key is taken.
        """
        self._look_again()
        wanted, own = choices_of(architecture), architecture.key
        parents = sorted(key for key in self._known if key != own)  # of equals, max takes the first
        return max(parents, key=lambda key: len(wanted & self._known[key]), default=None)

    def weights(self, key: str) -> dict[str, Tensor]:
        """The ``state_dict`` of a trained child, on the CPU."""
        weights: dict[str, Tensor] = torch.load(
            self.folder / f"{key}.pt", map_location="cpu", weights_only=True
        )
        return weights

    def _look_again(self) -> None:
        for path in self.folder.glob("*.json"):
            if path.stem not in self._known:
                try:
                    self._known[path.stem] = choices_of(Architecture.load(path))
                except InvalidArchitecture as error:
                    raise InvalidSettings(f"inherit_weights: {error}") from error


def choices_of(architecture: Architecture) -> Choices:
    """What was chosen in the canonical form, each choice with its place in it."""
    return frozenset(_leaves(architecture.canonical().to_dict(), ""))


def _leaves(data: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _leaves(value, f"{place}/{name}")
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _leaves(value, f"{place}/{number}")
    else:
        yield place, json.dumps(data)


def inherit(network: nn.Module, weights: dict[str, Tensor]) -> int:
    """Copies the tensors whose names and shapes agree; how many numbers of parameters it set."""
    own = network.state_dict()
    agreeing = {
        name: tensor
        for name, tensor in weights.items()
        if name in own and own[name].shape == tensor.shape
    }
    network.load_state_dict(agreeing, strict=False)
    return sum(agreeing[n].numel() for n, _ in network.named_parameters() if n in agreeing)
