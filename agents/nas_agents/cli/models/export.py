"""``nas-gym export``: a trained model as ONNX, torch.export, Python, and in INT8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from nas_agents.cli.terminal.common import DATASET, Json, Module, print_result

if TYPE_CHECKING:
    from nas_gym.data import Dataset
    from nas_gym.models import Model


def export(
    model: Annotated[Path, Argument(help="A model folder, or a run folder that has one.")],
    format_: Annotated[
        str, Option("--format", help="onnx, torch-export, python, all of these, or int8.")
    ] = "all",
    dataset: Annotated[str | None, DATASET] = None,
    out: Annotated[Path, Option(help="Folder for the files; it is made.")] = Path("export"),
    module: Module = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Export a trained model, and check what was written.

    Each takes images (B, C, H, W), float in [0, 1], and gives logits (B, classes); a language model
    takes words (B,) and states, and gives the next words' logits and the next states. To quantize a
    model to INT8 takes the data set of its training: images to calibrate, and to measure the
    validation accuracy before and after.
    """
    from nas_agents.catalogue.environments import import_module
    from nas_agents.runs.reading import model_folder
    from nas_gym.errors import InvalidSettings, choices_hint, require
    from nas_gym.models import TextModel, load_model, text_exporting
    from nas_gym.models.exporting import FORMS, export_model
    from nas_gym.models.int8 import export_int8

    known = (*FORMS, "all", "int8")
    hint = choices_hint(format_, known)
    require(format_ in known, f"format: {format_!r} is not known; {hint}")
    for each in module:
        import_module(each)
    loaded = load_model(model_folder(model))
    facts: list[dict[str, Any]] = []
    lines = []
    of_text = isinstance(loaded, TextModel)
    forms = text_exporting.FORMS if of_text else FORMS
    for form in forms if format_ == "all" else (format_,):
        try:
            if isinstance(loaded, TextModel):
                exported: Any = text_exporting.export_text_model(loaded, form, out)
            elif form == "int8":
                exported = export_int8(loaded, _dataset_of(loaded, dataset), out)
            else:
                exported = export_model(loaded, form, out)
        except OSError as error:
            reason = error.strerror or error
            raise InvalidSettings(f"out: {out} cannot be written: {reason}") from error
        files = list(map(str, exported.files))
        facts.append({"format": form, "files": files, **exported.facts})
        lines.append(f"{form}: {', '.join(files)}; {_comparison(exported)}")
    print_result(facts, "\n".join(lines), as_json)


def _dataset_of(model: Model, name: str | None) -> Dataset:
    """Return the data set of that name or path, or the one of the training if it has a name.

    A path that stands in the model folder is a stranger's, and is not opened.
    """
    from nas_gym.data import NAMES, load_dataset
    from nas_gym.errors import require

    trained_on = model.facts.data.get("name")
    chosen = name or (trained_on if trained_on in NAMES else None)
    require(chosen is not None, "dataset: int8 needs the data set of the training; --dataset")
    shape = model.image_shape
    return load_dataset(str(chosen), shape.height if shape.height == shape.width else None)


def _comparison(exported: Any) -> str:
    """Return what was compared, in words."""
    if hasattr(exported, "int8_accuracy"):
        return (
            f"validation accuracy {exported.int8_accuracy:.2%}, before {exported.accuracy:.2%}, on "
            f"{exported.images:,} images"
        )
    return (
        f"logits differ by {exported.difference:.1e} of the largest at most, on "
        f"{exported.images:,} random inputs"
    )
