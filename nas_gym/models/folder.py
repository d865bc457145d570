"""Writes and reads model folders; what is read may be a stranger's, and is checked first.

| file | holds |
|---|---|
| ``weights.safetensors`` | the network's ``state_dict`` |
| ``architecture.json`` | the architecture, as `Architecture.save` writes it |
| ``model.json`` | `ModelFacts`: classes, image shape, normalization, settings, versions, metrics |
"""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from nas_gym.architecture import Architecture, UnknownKind
from nas_gym.data.batches import shape_of
from nas_gym.data.dataset import Dataset
from nas_gym.data.text import TextDataset
from nas_gym.errors import NASGymError
from nas_gym.models.model import InvalidModel, Model, ModelFacts, Normalization, Trained
from nas_gym.models.text import TextFacts, TextModel
from nas_gym.networks import build_network, default_settings
from nas_gym.networks.devices import resolve_device
from nas_gym.networks.language_model import LanguageModel
from nas_gym.outside.json_text import read_json_file, short_name, without_nan
from nas_gym.settings import from_mapping
from nas_gym.training.final import FinalResult
from nas_gym.training.tasks.task import Data

WEIGHTS, ARCHITECTURE, FACTS = "weights.safetensors", "architecture.json", "model.json"
_MOST_FACTS = 2**27
"""Bytes of ``model.json``: a vocabulary of a million words, in any script, takes fewer."""
_MOST_HEADER = 2**20
"""Bytes of names and shapes at the start of the weights' file, beside 1,024 for each tensor."""


def model_of(result: FinalResult, dataset: Data) -> Model | TextModel | Trained:
    """Return the model that a final training on a data set made."""
    data = {"name": dataset.name, "digest": dataset.digest, **dataset.summary()}
    settings = asdict(result.settings)
    common: dict[str, Any] = {
        "network": settings.pop("network") or asdict(default_settings(result.architecture)),
        "data": data,
        "training": settings,
        "metrics": {name: without_nan(value) for name, value in result.metrics.items()},
        "versions": {"nas_gym": version("nas-gym"), "torch": str(torch.__version__)},
    }
    if isinstance(dataset, TextDataset):
        assert isinstance(result.network, LanguageModel)
        facts_of_text = TextFacts(vocabulary=dataset.vocabulary, level=dataset.level, **common)
        return TextModel(result.network, result.architecture, facts_of_text).eval()
    if not isinstance(dataset, Dataset):
        return Trained(result.network, result.architecture, common)
    assert result.statistics is not None
    del data["classes"]
    data["split_seed"] = dataset.split_seed
    mean, deviation = (tuple((each / 255).tolist()) for each in result.statistics)
    facts = ModelFacts(
        classes=dataset.classes,
        image=shape_of(dataset),
        normalization=Normalization(mean, deviation),
        **common,
    )
    return Model(result.network, result.architecture, facts).eval()


def save_model(model: Model | TextModel | Trained, folder: Path) -> None:
    """Write a model into an existing folder, its weights first.

    `nas_gym.outside.files.replacing_folder` gives one that appears as a whole, or not at all.

    Raises:
        OSError: a file cannot be written, on a full disk for instance.
    """
    state = model.network.state_dict()
    # A copy each, since tied weights would share theirs.
    tensors = {name: tensor.cpu().clone().contiguous() for name, tensor in state.items()}
    (folder / WEIGHTS).write_bytes(save(tensors))
    model.architecture.save(folder / ARCHITECTURE)
    facts = model.facts if isinstance(model, Trained) else asdict(model.facts)
    text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
    (folder / FACTS).write_text(text, encoding="utf-8")


def load_model(folder: str | Path, device: str = "cpu") -> Model | TextModel:
    """Load a trained model from its folder, ``model/`` of a run, in evaluation mode.

    Nothing in the folder is unpickled or run, and no link in it is followed.

    Args:
        folder: The model folder.
        device: Device of the model; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        InvalidModel: a file is missing, damaged, a link, or does not belong to the others.
        InvalidSettings: there is no such device here.
    """
    folder, on = Path(folder), resolve_device(device)
    if not (folder / FACTS).is_file():
        raise InvalidModel(
            f"model: {short_name(folder)} has no {FACTS}: it is no model folder; a search writes "
            "model/ in its run folder at the end of the final training"
        )
    for name in (FACTS, ARCHITECTURE, WEIGHTS):
        _require_regular(folder / name)
    with _naming(folder / FACTS):
        facts = _read_facts(folder / FACTS)
    with _naming(folder / ARCHITECTURE):
        architecture = Architecture.load(folder / ARCHITECTURE)
    with _naming(folder / FACTS), torch.random.fork_rng([]):
        settings = from_mapping(type(default_settings(architecture)), "network", facts.network)
        shape = facts.shape if isinstance(facts, TextFacts) else facts.image
        network = build_network(architecture, shape, settings)
    network.load_state_dict(_read_weights(folder / WEIGHTS, network))
    if isinstance(facts, ModelFacts):
        model = Model(network, architecture, facts).eval().to(on)
        return model.to(memory_format=torch.channels_last)
    if not isinstance(network, LanguageModel):
        raise InvalidModel(f"model: {short_name(folder / ARCHITECTURE)}: it is no language model's")
    return TextModel(network, architecture, facts).eval().to(on)


def load_image_model(folder: str | Path, device: str = "cpu") -> Model:
    """Load a trained model as `load_model` does; `InvalidModel` if it is of texts."""
    model = load_model(folder, device)
    if isinstance(model, TextModel):
        raise InvalidModel(f"model: {short_name(folder)} is of texts; take one of images")
    return model


def _read_facts(path: Path) -> ModelFacts | TextFacts:
    content = read_json_file(path, _MOST_FACTS, InvalidModel)
    if isinstance(content, dict) and "vocabulary" in content:
        return from_mapping(TextFacts, "content", content)
    if isinstance(content, dict) and "classes" not in content and "network" in content:
        raise InvalidModel(
            "it is of another task; build its network with nas_gym.networks.build_network, and "
            f"load {WEIGHTS} with safetensors"
        )
    return from_mapping(ModelFacts, "content", content)


def _require_regular(path: Path) -> None:
    """Raise `InvalidModel` for a file that is missing, or is a link, a pipe or a device."""
    try:
        sound = stat.S_ISREG(path.lstat().st_mode)
    except OSError as error:
        raise InvalidModel(f"model: {short_name(path)}: {error.strerror}") from error
    if not sound:
        raise InvalidModel(f"model: {short_name(path)} is no regular file; put a copy in its place")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn the error about the content of a file into one that names the file."""
    try:
        yield
    except UnknownKind as error:
        says = f"model: {error}; import the module that registers its family first"
        raise InvalidModel(f"{says} (--module NAME of nas-gym)") from error
    except NASGymError as error:
        where = "" if short_name(path) in str(error) else f"{short_name(path)}: "
        raise InvalidModel(f"model: {where}{error}") from error


def _read_weights(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a file that has exactly those of a network, all finite."""
    wanted = network.state_dict()
    most = sum(each.nbytes for each in wanted.values()) + 1024 * len(wanted) + _MOST_HEADER
    try:
        if path.stat().st_size > most:
            raise ValueError(f"it has more than the {most:,} bytes of this architecture's weights")
        with safe_open(path, framework="pt") as file:
            if set(file.keys()) != wanted.keys():
                name = min(set(file.keys()) ^ wanted.keys())
                raise ValueError(f"its tensors are not this architecture's: {short_name(name)}")
            for name, tensor in wanted.items():
                shape = list(file.get_slice(name).get_shape())
                if shape != list(tensor.shape):
                    raise ValueError(f"{name}: expected {list(tensor.shape)}, got {shape}")
            weights = {name: file.get_tensor(name) for name in wanted}
        for name, tensor in weights.items():
            if tensor.dtype != wanted[name].dtype or not tensor.isfinite().all():
                raise ValueError(f"{name}: expected finite numbers of {wanted[name].dtype}")
    except (OSError, ValueError, SafetensorError) as error:
        says = f"model: {short_name(path)} cannot be read: {error}"
        raise InvalidModel(f"{says}; take an undamaged copy") from error
    return weights
