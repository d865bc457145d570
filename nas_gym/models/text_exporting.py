"""Exports the step of a language model to ONNX and to torch.export's format."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas_gym.errors import require
from nas_gym.models.exporting import Exported, Run, needed, quiet, require_close
from nas_gym.models.text import TextModel
from nas_gym.outside.files import replacing

STEPS, PLACES = 20, 5
"""Steps on which an exported model is compared, and texts that it reads at once, if it can."""
FORMS = {"onnx": 1e-4, "torch-export": 1e-6}
"""How much the logits of each form may differ."""


def export_text_model(model: TextModel, form: str, folder: Path) -> Exported:
    """Write one step: words (B,) and states in, logits (B, V) and the next states out.

    B is free in torch.export's format, and 1 in ONNX, which cannot write to a part of a tensor
    whose size is free.

    Raises:
        InvalidSettings: there is no such form of texts, the exported step computes otherwise, or a
            package is missing.
        OSError: the file cannot be written.
    """
    says = f"format: a language model is exported as {' or '.join(FORMS)}, not as {form}"
    require(form in FORMS, says)
    folder.mkdir(parents=True, exist_ok=True)
    own = deepcopy(model).cpu().eval()
    places = 1 if form == "onnx" else PLACES
    given = (torch.zeros(places, dtype=torch.int64), *own.initial_states(places))
    names = ["words", *(f"state_{number}" for number in range(len(given) - 1))]
    batch = {0: torch.export.Dim("batch")}
    shapes = None if form == "onnx" else (batch, (batch,) * (len(given) - 1))
    with quiet(), torch.no_grad():
        program = torch.export.export(own, given, dynamic_shapes=shapes)
        write = _onnx if form == "onnx" else _torch_export
        path, run = write(program, folder, names, json.dumps(model.vocabulary))
    places = 1 if form == "onnx" else 2 * PLACES
    difference = _difference(own, run, places)
    require_close(difference, FORMS[form], f"{path} is not to be used")
    return Exported((path,), STEPS * places, difference)


def _onnx(program: Any, folder: Path, names: list[str], words: str) -> tuple[Path, Any]:
    onnxruntime = needed("onnx", "onnxscript", "onnxruntime")
    outputs = ["logits", *(f"next_{name}" for name in names[1:])]
    made: Any = torch.onnx.export(
        program, input_names=names, output_names=outputs, dynamo=True, verbose=False
    )
    made.model.metadata_props["vocabulary"] = words
    path = folder / "model.onnx"
    with replacing(path) as part:
        part.write_bytes(made.model_proto.SerializeToString())
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])

    def run(*given: Tensor) -> list[Tensor]:
        fed = {name: each.numpy() for name, each in zip(names, given, strict=True)}
        return [torch.from_numpy(each) for each in session.run(None, fed)]

    return path, run


def _torch_export(program: Any, folder: Path, names: list[str], words: str) -> tuple[Path, Any]:
    path = folder / "model.pt2"
    with replacing(path) as part:
        torch.export.save(program, part, extra_files={"vocabulary.json": words})
    return path, torch.export.load(path).module()


@torch.no_grad()
def _difference(model: TextModel, run: Run, places: int) -> float:
    """Return the largest difference of a logit in steps that follow each other."""
    generator = torch.Generator().manual_seed(0)
    mine = yours = model.initial_states(places)
    largest, size = 0.0, (STEPS, places)
    for words in torch.randint(len(model.vocabulary), size, generator=generator):
        expected, *mine = model(words, *mine)
        found, *yours = run(words, *yours)
        scale = expected.abs().max().clamp(min=1)
        largest = max(largest, ((found - expected).abs().max() / scale).item())
    return largest
