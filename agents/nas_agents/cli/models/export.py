"""``nas-gym export``: a trained model as ONNX, torch.export, Python, and in INT8."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import argument, command, option

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import print_result

if TYPE_CHECKING:
    from nas_gym.data import Dataset
    from nas_gym.models import Model, TextModel


@command()
@argument("model", type=options.PATH)
@option(
    *("--format", "format_"),
    default="all",
    help="onnx, torch-export, python, all of these, or int8.",
)
@options.dataset()
@option("--out", type=options.PATH, default="export", help="Folder for the files; it is made.")
@options.module
@options.as_json
def export(model: Path, format_: str, dataset: str | None, out: Path, as_json: bool) -> None:
    """Export a trained model, and check what was written.

    MODEL is a model folder, or a run folder that has one. Each format takes images (B, C, H, W),
    float in [0, 1], and gives logits (B, classes); a language model takes words (B,) and states,
    and gives the next words' logits and the next states. To quantize a model to INT8 takes the data
    set of its training: images to calibrate, and to measure the validation accuracy before and
    after.
    """
    from nas_agents.runs.reading import model_folder
    from nas_gym.errors import InvalidSettings
    from nas_gym.models import TextModel, load_model, text_exporting
    from nas_gym.models.exporting import FORMS
    from nas_gym.settings import require_known

    known = (*FORMS, "all", "int8")
    require_known([format_], known, "format: ")
    loaded = load_model(model_folder(model))
    forms = text_exporting.FORMS if isinstance(loaded, TextModel) else FORMS
    facts: list[dict[str, Any]] = []
    lines = []
    for form in forms if format_ == "all" else (format_,):
        try:
            exported = _exported(loaded, form, dataset, out)
        except OSError as error:
            reason = error.strerror or error
            raise InvalidSettings(f"out: {out} cannot be written: {reason}") from error
        files = list(map(str, exported.files))
        facts.append({"format": form, "files": files, **exported.facts})
        lines.append(f"{form}: {', '.join(files)}; {_comparison(exported)}")
    print_result(facts, "\n".join(lines), as_json)


def _exported(model: Model | TextModel, form: str, dataset: str | None, out: Path) -> Any:
    """Export a model in one form."""
    from nas_gym.models import TextModel, text_exporting
    from nas_gym.models.exporting import export_model
    from nas_gym.models.int8 import export_int8

    if isinstance(model, TextModel):
        return text_exporting.export_text_model(model, form, out)
    if form == "int8":
        return export_int8(model, _dataset_of(model, dataset), out)
    return export_model(model, form, out)


def _dataset_of(model: Model, name: str | None) -> Dataset:
    """Return the data set of that name or path, or the one of the training if it has a name.

    It is split as it was in the training. A path that stands in the model folder is a stranger's,
    and is not opened.
    """
    from nas_gym.data import NAMES, load_dataset
    from nas_gym.data.dataset import SPLIT_SEED
    from nas_gym.errors import require

    data, shape = model.facts.data, model.image_shape
    trained_on = data.get("name")
    chosen = name or (trained_on if trained_on in NAMES else None)
    require(chosen is not None, "dataset: int8 needs the data set of the training; --dataset")
    size = shape.height if shape.height == shape.width else None
    return load_dataset(str(chosen), size, data.get("split_seed", SPLIT_SEED))


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
