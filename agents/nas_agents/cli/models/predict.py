"""``nas-gym predict``: classes of images, or the perplexity of texts, by a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import argument, command, option
from click.exceptions import Exit

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import EXIT_FAILED, complain, print_json, say

if TYPE_CHECKING:
    from nas_gym.models import Model, TextModel

IMAGES_AT_ONCE = 256
MEASURED = ("perplexity", "bits_per_character")


@command()
@argument("model", type=options.PATH)
@argument("images", nargs=-1, required=True, type=options.PATH)
@option("--top", default=1, help="Print the most probable classes, this number of them.")
@options.device(default="auto")
@options.module
@options.as_json
def predict(model: Path, images: tuple[Path, ...], top: int, device: str, as_json: bool) -> None:
    """Classify images by a trained model, or measure texts.

    MODEL is a model folder, or a run folder that has one. IMAGES are images, and folders of them at
    any depth; or text files. Of a text, the perplexity is printed, or the bits per character, and
    the most probable words after its end. Images are cropped around their centre and scaled to the
    model's size, as in the training. One that cannot be read is reported on standard error, and the
    others are classified; the exit code is then 1.
    """
    from nas_agents.runs.reading import model_folder
    from nas_gym.errors import require
    from nas_gym.models import TextModel, load_model

    require(top >= 1, f"top: expected at least 1, got {top}")
    loaded = load_model(model_folder(model), device)
    if isinstance(loaded, TextModel):
        records = _measured(loaded, images, top)
    else:
        records = _classified_in_parts(loaded, images, top)
    results, failed = [], False
    for record in records:
        results.append(record)
        if "error" in record:
            failed = True
            complain(record["error"])
        elif not as_json:
            likely = "  ".join(f"{name} {share:.2%}" for name, share in record["top"].items())
            measured = [f"{record[name]:.4g} {name}" for name in MEASURED if name in record]
            say("  ".join([record["file"], *measured, likely]))
    if as_json:
        print_json(results)
    if failed:
        raise Exit(EXIT_FAILED)


def _found(images: Sequence[Path]) -> Iterator[Path]:
    """Return the images that were named, and those in folders that were.

    Raises:
        InvalidSettings: a path does not exist, or a folder has no image.
    """
    from nas_gym.data.decoding import SUFFIXES
    from nas_gym.data.folder import image_files
    from nas_gym.errors import require

    found: list[Path] = []
    for path in images:
        require(path.exists(), f"images: {path} does not exist")
        listed = image_files(path) if path.is_dir() else [path]
        ends = ", ".join(SUFFIXES)
        require(bool(listed), f"images: {path} has no image; names of images end in {ends}")
        found += listed
    return iter(found)


def _measured(model: TextModel, files: Sequence[Path], top: int) -> Iterator[dict[str, Any]]:
    """Yield a record of each text: its measure and what follows it, or why it cannot be read."""
    from nas_gym.data import InvalidDataset
    from nas_gym.data.text import read_text
    from nas_gym.errors import InvalidSettings

    metric = MEASURED[0] if model.facts.level == "word" else MEASURED[1]
    for path in files:
        try:
            text = read_text(path)
            measured = {metric: model.measure(text), "top": model.next_words(text, top)}
        except (InvalidDataset, InvalidSettings) as error:
            says = str(error).removeprefix("dataset: ").removeprefix("text: ")
            measured = {"error": says if str(path) in says else f"{path}: {says}"}
        yield {"file": str(path), **measured}


def _classified_in_parts(
    model: Model, images: Sequence[Path], top: int
) -> Iterator[dict[str, Any]]:
    """Yield `_classified` records of images and of those in folders, some images at a time."""
    paths = iter(_found(images))
    while chunk := list(islice(paths, IMAGES_AT_ONCE)):
        yield from _classified(model, chunk, top)


def _classified(model: Model, paths: Sequence[Path], top: int) -> Iterator[dict[str, Any]]:
    """Yield a record of each image, in their order: its classes, or why it cannot be read."""
    import torch

    from nas_gym.data.decoding import BrokenImage
    from nas_gym.models import try_images

    tried = try_images(paths, model.image_shape)
    images = [each for each in tried if isinstance(each, torch.Tensor)]
    rows = iter(model.predict(torch.stack(images)).probabilities.tolist() if images else [])
    for path, each in zip(paths, tried, strict=True):
        if isinstance(each, BrokenImage):
            yield {"file": str(path), "error": str(each).removeprefix("dataset: ")}
            continue
        ranked = sorted(zip(next(rows), model.classes, strict=True), key=lambda pair: -pair[0])
        likely = {name: share for share, name in ranked[:top]}
        best, share = next(iter(likely.items()))
        yield {"file": str(path), "class": best, "probability": share, "top": likely}
