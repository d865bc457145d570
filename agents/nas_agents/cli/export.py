"""``nas-gym export``: a trained model as ONNX, torch.export, Python, and in INT8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from nas_agents.cli.common import Json, Module, print_result


def export(
    model: Annotated[Path, Argument(help="A model folder, or a run folder that has one.")],
    format_: Annotated[
        str, Option("--format", help="onnx, torch-export, python, or all of these.")
    ] = "all",
    out: Annotated[Path, Option(help="Folder for the files; it is made.")] = Path("export"),
    module: Module = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Export a trained model, and compare the outputs of what was written with the model's.

    Each takes images (B, C, H, W), float in [0, 1], and gives logits (B, classes).
    """
    from nas_agents.catalogue.environments import import_module
    from nas_agents.search.reading import model_folder
    from nas_gym.errors import InvalidSettings, choices_hint, require
    from nas_gym.models import load_model
    from nas_gym.models.exporting import FORMS, export_model

    known = format_ in (*FORMS, "all")
    require(known, f"format: {format_!r} is not known; {choices_hint(format_, (*FORMS, 'all'))}")
    for each in module:
        import_module(each)
    loaded = load_model(model_folder(model))
    facts: list[dict[str, Any]] = []
    lines = []
    for form in FORMS if format_ == "all" else (format_,):
        try:
            exported = export_model(loaded, form, out)
        except OSError as error:
            reason = error.strerror or error
            raise InvalidSettings(f"out: {out} cannot be written: {reason}") from error
        files = list(map(str, exported.files))
        facts.append({"format": form, "files": files, **exported.facts})
        lines.append(
            f"{form}: {', '.join(files)}; logits differ by {exported.difference:.1e} of the "
            f"largest at most, on {exported.images:,} random images"
        )
    print_result(facts, "\n".join(lines), as_json)
