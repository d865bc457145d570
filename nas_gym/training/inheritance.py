"""Starts a child from the weights of the most similar child that was trained before.

The idea is that of network morphisms and of weight inheritance in evolution (Real et al. 2017,
https://arxiv.org/abs/1703.01041, section 3.4): what parent and child have in common need not be
learned twice. Tensors whose names and shapes agree are copied; the others stay as they were drawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import InvalidSettings
from nas_gym.outside.files import PART, replacing


class WeightFolder:
    """Folder of the weights of trained children.

    Each child has two files: ``<key>.json``, its canonical architecture, written last, and
    ``<key>.pt``, its ``state_dict``; both are renamed into place, so that one with its name is
    complete. A folder or file that cannot be used raises `InvalidSettings`.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._choices: dict[str, frozenset[tuple[str, str]]] = {}  # of the children, by key
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSettings(f"inherit_weights: {folder} cannot be used: {error}") from error

    def save(self, architecture: Architecture, network: nn.Module) -> None:
        """Keep the weights of a trained child; a later training of it replaces them."""
        weights = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
        try:
            with replacing(self.folder / f"{architecture.key}.pt") as part:
                torch.save(weights, part)
            with replacing(self.folder / f"{architecture.key}.json") as part:
                architecture.canonical().save(part)
        except (OSError, RuntimeError) as error:  # torch.save makes RuntimeErrors of a full disk
            says = f"inherit_weights: {self.folder} cannot be written to: {error}"
            raise InvalidSettings(says) from error

    def nearest(self, architecture: Architecture) -> str | None:
        """Return the key of the trained child that shares the most choices with this one.

        A child is not its own parent. Of several, the smallest key is taken.
        """
        for path in self.folder.glob("*.json"):
            if path.stem not in self._choices and not path.name.startswith(PART):
                try:
                    self._choices[path.stem] = choices_of(Architecture.load(path))
                except InvalidArchitecture as error:
                    raise InvalidSettings(f"inherit_weights: {error}") from error
        wanted = choices_of(architecture)
        parents = sorted(self._choices.keys() - {architecture.key})  # of equals, the first is taken
        return max(parents, key=lambda key: len(wanted & self._choices[key]), default=None)

    def weights(self, key: str) -> dict[str, Any]:
        """Return the ``state_dict`` of a trained child, on the CPU; no code in its file is run."""
        path = self.folder / f"{key}.pt"
        try:
            if not path.is_file():  # a pipe would block
                raise OSError("it is missing, or not a regular file")
            weights = torch.load(path, map_location="cpu", weights_only=True)
            if not isinstance(weights, dict):
                raise TypeError(f"it holds {type(weights).__name__}")
        except Exception as error:  # whatever torch's readers of zip files and pickles raise
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InvalidSettings(
                f"inherit_weights: {path} is damaged or cannot be read; delete it ({reason[:100]})"
            ) from error
        return weights


def choices_of(architecture: Architecture) -> frozenset[tuple[str, str]]:
    """Return the choices of the canonical form, as pairs of the place in its JSON and the value."""
    return frozenset(_leaves(architecture.canonical().to_dict(), ""))


def _leaves(data: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _leaves(value, f"{place}/{name}")
    elif isinstance(data, list):
        yield from _leaves(dict(enumerate(data)), place)
    else:
        yield place, json.dumps(data)


def inherit(network: nn.Module, weights: dict[str, Any]) -> int:
    """Copy the tensors whose names and shapes agree; return how many parameters were set."""
    own = network.state_dict()
    agreeing = {
        name: tensor
        for name, tensor in weights.items()
        if name in own and isinstance(tensor, Tensor) and own[name].shape == tensor.shape
    }
    network.load_state_dict(agreeing, strict=False)
    return sum(agreeing[n].numel() for n, _ in network.named_parameters() if n in agreeing)
