"""Exports a model to ONNX, to torch.export's format, and to Python; each is compared with it."""

from __future__ import annotations

import importlib.util
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from nas_gym.errors import InvalidSettings, require
from nas_gym.models.model import Model
from nas_gym.models.plain import plain
from nas_gym.models.python_code import write_python
from nas_gym.networks import ImageShape
from nas_gym.outside.files import replacing
from nas_gym.outside.json_text import short
from nas_gym.rendering import write

COMPARED_PIXELS = 2**21
"""Pixels of the random images on which an exported model is compared, at most 1,000 images."""


@dataclass(frozen=True)
class Exported:
    """One file, or one with another beside it, that holds a model."""

    files: tuple[Path, ...]
    images: int
    """Number of random images on which its outputs were compared with the model's."""
    difference: float
    """Largest difference of a logit, as a share of the largest logit, or of 1 if that is larger."""

    @property
    def facts(self) -> dict[str, Any]:
        """The comparison, as plain JSON data."""
        return {"images": self.images, "difference": self.difference}


def export_model(model: Model, form: str, folder: Path) -> Exported:
    """Write a model in one of the forms of `FORMS`, and compare its outputs with the model's.

    Raises:
        InvalidSettings: there is no such form, the network cannot be exported so, computes
            otherwise than the model, or a package is missing.
        OSError: the file cannot be written.
    """
    require(form in FORMS, f"format: expected {' or '.join(FORMS)}, got {short(form)}")
    write_as, tolerance = FORMS[form]
    own, images = plain(model), comparison_images(model)
    parts = (images[:1], images[1:])  # the size of a batch is free
    given = deepcopy(model).cpu().eval()
    require_close(_difference(given, own, (images[:2],)), 1e-5, "a layer is not torch's own")
    folder.mkdir(parents=True, exist_ok=True)
    files, run = write_as(own, folder, images[:2])
    difference = _difference(run, own, parts)
    require_close(difference, tolerance, f"{', '.join(map(str, files))} is not to be used")
    return Exported(files, len(images), difference)


def comparison_images(model: Model) -> Tensor:
    """Return random images, (n, C, H, W) in [0, 1], at least 3 and at most 1,000 of them."""
    shape, generator = model.image_shape, torch.Generator().manual_seed(0)
    return torch.rand(
        (num_compared(shape), shape.channels, shape.height, shape.width), generator=generator
    )


def num_compared(shape: ImageShape) -> int:
    """Return the number of `comparison_images`."""
    return min(1000, max(3, COMPARED_PIXELS // (shape.height * shape.width)))


Run = Callable[..., Any]


@torch.inference_mode()
def _difference(run: Run, model: Model, batches: Sequence[Tensor]) -> float:
    """Return the largest difference of a logit, as `Exported` has it."""
    found, expected = (torch.cat([each(part) for part in batches]) for each in (run, model))
    return ((found - expected).abs().max() / expected.abs().max().clamp(min=1)).item()


def require_close(difference: float, tolerance: float, then: str) -> None:
    """Raise `InvalidSettings` if logits differ by more than a tolerance; say what ``then`` is."""
    says = f"format: the exported model's logits differ by {difference:.2g}, more than {tolerance}"
    require(difference <= tolerance, f"{says}: {then}; please report this architecture")


def _onnx(model: Model, folder: Path, images: Tensor) -> tuple[tuple[Path, ...], Run]:
    onnxruntime = needed("onnx", "onnxscript", "onnxruntime")
    batch = {"images": {0: torch.export.Dim("batch")}}
    with quiet():
        program: Any = torch.onnx.export(
            model,
            (images,),
            dynamo=True,
            dynamic_shapes=batch,
            input_names=["images"],
            output_names=["logits"],
            verbose=False,
        )
    program.model.metadata_props["classes"] = json.dumps(model.classes)
    path = folder / "model.onnx"
    with replacing(path) as part:
        part.write_bytes(program.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return (path,), lambda some: torch.from_numpy(session.run(None, {"images": some.numpy()})[0])


def _torch_export(model: Model, folder: Path, images: Tensor) -> tuple[tuple[Path, ...], Run]:
    shapes = {"images": {0: torch.export.Dim("batch")}}
    path = folder / "model.pt2"
    with quiet():
        program = torch.export.export(model, (images,), dynamic_shapes=shapes)
        extra = {"classes.json": json.dumps(model.classes)}
        with replacing(path) as part:
            torch.export.save(program, part, extra_files=extra)
        return (path,), torch.export.load(path).module()


def _python(model: Model, folder: Path, images: Tensor) -> tuple[tuple[Path, ...], Run]:
    heading = "Written by nas-gym export. The architecture:\n" + write(model.architecture)
    source, weights = write_python(model, heading)
    code, tensors = folder / "model.py", folder / "model.safetensors"
    with replacing(tensors) as part:
        part.write_bytes(save({name: each.contiguous() for name, each in weights.items()}))
    with replacing(code) as part:
        part.write_text(source, encoding="utf-8")
    spec: Any = importlib.util.spec_from_file_location("exported_model", code)
    module = importlib.util.module_from_spec(spec)
    exec(compile(source, code, "exec"), module.__dict__)  # leaves no __pycache__ beside the file
    return (code, tensors), module.load()


FORMS: dict[str, tuple[Callable[[Model, Path, Tensor], tuple[tuple[Path, ...], Run]], float]] = {
    "onnx": (_onnx, 1e-4),
    "torch-export": (_torch_export, 1e-6),
    "python": (_python, 1e-6),
}
"""How a model is written in each form, and how much its logits may differ; see `Exported`."""


def needed(*names: str) -> Any:
    """Import packages of the extra "export"; return the last one; `InvalidSettings` without."""
    try:
        return [importlib.import_module(name) for name in names][-1]
    except ImportError as error:
        says = f"format: onnx needs the package {error.name}; pip install 'nas-gym[export]'"
        raise InvalidSettings(says) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep exporters' remarks about themselves from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
