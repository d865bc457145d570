"""Quantizes a model to INT8 after its training, by torch.ao.quantization (FX graph mode).

Weights and activations become 8-bit integers, in the ranges that calibration images reach. Source:
Krishnamoorthi 2018, https://arxiv.org/abs/1806.08342, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

from nas_gym.data.dataset import Dataset, Indices
from nas_gym.errors import require
from nas_gym.models.exporting import Run, quiet
from nas_gym.models.model import Model
from nas_gym.models.plain import plain
from nas_gym.models.tracing import graph_module
from nas_gym.outside.files import replacing

CALIBRATION_IMAGES = 512
"""Training images, at random, that set the ranges of activations."""
BATCH = 64


@dataclass(frozen=True)
class Quantized:
    """The file of a quantized model, and its accuracy beside the model's."""

    files: tuple[Path, ...]
    images: int
    """Number of validation images on which both were measured."""
    accuracy: float
    """Validation accuracy of the model before, in [0, 1]."""
    int8_accuracy: float
    """Validation accuracy after."""

    @property
    def facts(self) -> dict[str, Any]:
        """The comparison, as plain JSON data."""
        names = ("images", "accuracy", "int8_accuracy")
        return {name: getattr(self, name) for name in names}


def export_int8(model: Model, dataset: Dataset, folder: Path) -> Quantized:
    """Write ``model_int8.pt``, which `torch.jit.load` reads, and measure what it lost.

    The final training saw the validation images; both accuracies are on them, so their difference
    is what quantization costs, and neither is an estimate for new images.

    Raises:
        InvalidSettings: the data set has other classes or images than the model, or this machine
            has no kernels for INT8.
        OSError: the file cannot be written.
    """
    _require_same_kind(model, dataset)
    own = plain(model)
    chosen = np.random.default_rng(0).permutation(dataset.train)[:CALIBRATION_IMAGES]
    with quiet(), torch.no_grad():
        quantized = _quantized(own, [_images(dataset, part) for part in _batches(chosen)])
        path = folder / "model_int8.pt"
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            torch.jit.save(quantized, part)
        runs = (own, torch.jit.load(path))
        before, after = (_accuracy(run, dataset) for run in runs)
    return Quantized((path,), len(dataset.validation), before, after)


def _require_same_kind(model: Model, dataset: Dataset) -> None:
    height, width, channels = dataset.images.shape[1:]
    shape = model.image_shape
    found, expected = (channels, height, width), (shape.channels, shape.height, shape.width)
    require(
        found == expected and dataset.classes == model.classes,
        f"dataset: {dataset.name!r} has {len(dataset.classes)} classes and images of {found}, the "
        f"model was trained on {len(model.classes)} classes and {expected}; name the data set of "
        "its training",
    )


def _quantized(model: Model, batches: Sequence[Tensor]) -> Any:
    """Return a TorchScript module in INT8, calibrated on batches of images."""
    from torch.ao.quantization import get_default_qconfig_mapping  # noqa: PLC0415 (slow to load)
    from torch.ao.quantization.fx.custom_config import PrepareCustomConfig  # noqa: PLC0415
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx  # noqa: PLC0415

    engines = [each for each in ("x86", "qnnpack") if each in _engines()]
    require(bool(engines), "format: torch has no INT8 kernels for this machine's processor")
    example = batches[0][:2]
    mapping = get_default_qconfig_mapping(engines[0])
    custom = PrepareCustomConfig().set_non_traceable_module_classes([InFloat])
    mapping.set_object_type(InFloat, None)
    graph = _partly_in_float(graph_module(model, example))
    prepared = prepare_fx(graph, mapping, (example,), custom)
    for images in batches:
        prepared(images)
    return torch.jit.trace(convert_fx(prepared), example, check_trace=False)


class InFloat(nn.Module):
    """Computes a function in float.

    In INT8, all that is concatenated would need one common range, and torch refuses the mean of a
    single pixel.
    """

    def __init__(self, function: Callable[..., Tensor], **given: Any) -> None:
        super().__init__()
        self.function, self.given = function, given

    def forward(self, states: Any) -> Tensor:
        return self.function(states, **self.given)


def _partly_in_float(module: fx.GraphModule) -> fx.GraphModule:
    """Have every concatenation and mean of a graph done by a module that is not quantized."""
    concatenations = module.graph.find_nodes(op="call_function", target=torch.cat)
    means = module.graph.find_nodes(op="call_method", target="mean")
    for node in (*concatenations, *means):
        states, *dim = node.args
        given = {**dict(zip(["dim"], dim, strict=False)), **node.kwargs}
        function = torch.mean if node.target == "mean" else torch.cat
        module.add_submodule(f"{node.name}_in_float", InFloat(function, **given))
        node.op, node.target = "call_module", f"{node.name}_in_float"
        node.args, node.kwargs = (states,), {}
    module.recompile()
    return module


def _engines() -> Sequence[str]:
    engines: list[str] = torch.backends.quantized.supported_engines
    return engines


def _accuracy(run: Run, dataset: Dataset) -> float:
    right = 0
    for part in _batches(dataset.validation):
        labels = torch.from_numpy(dataset.labels[part])
        right += int((run(_images(dataset, part)).argmax(dim=1) == labels).sum())
    return right / len(dataset.validation)


def _batches(indices: Indices) -> list[Indices]:
    return [indices[start : start + BATCH] for start in range(0, len(indices), BATCH)]


def _images(dataset: Dataset, indices: Indices) -> Tensor:
    """Return images (B, C, H, W), float in [0, 1]."""
    return torch.from_numpy(dataset.images[indices]).permute(0, 3, 1, 2).contiguous() / 255
