"""``nas-gym show``: an architecture's picture and costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nas_agents.cli.common import Json, assignments, print_json, say


def show(
    architecture: Annotated[str, typer.Argument(help="A JSON file, a run folder, or a name.")],
    cells: Annotated[int | None, typer.Option(help="N, (normal) cells a stack.")] = None,
    filters: Annotated[int | None, typer.Option(help="Filters of the first stack.")] = None,
    classes: Annotated[int, typer.Option(help="Classes of the images.")] = 10,
    stem: Annotated[str | None, typer.Option(help="auto, cifar or imagenet.")] = None,
    stem_filters: Annotated[int | None, typer.Option(help="Filters of the stem.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Height and width of the images; 224 for imagenet, else 32.")
    ] = None,
    channels: Annotated[int, typer.Option(help="Channels of the images.")] = 3,
    width: Annotated[float | None, typer.Option(help="Multiplies all filters.")] = None,
    set_: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting of the network.")
    ] = [],  # noqa: B006 (Typer reads the default)
    picture: Annotated[Path | None, typer.Option(help="Write the picture to this file.")] = None,
    latency: Annotated[bool, typer.Option(help="Measure the latency of inference here.")] = False,
    latency_set: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE", help="device, batch_size, threads, warmup or repeats."),
    ] = [],  # noqa: B006 (Typer reads the default)
    as_json: Json = False,
) -> None:
    """Draw an architecture; print its parameters, its multiply-adds and, if asked, its latency."""
    from nas_agents.cli.shown import Shown

    settings: dict[str, Any] = {"cells": cells, "filters": filters, "width": width}
    settings |= {"stem": stem, "stem_filters": stem_filters, **assignments("--set", set_)}
    size = image_size if image_size is not None else 224 if stem == "imagenet" else 32
    shown = Shown.of(architecture, settings, channels, size, classes)
    if latency or latency_set:
        shown.measure_latency(assignments("--latency-set", latency_set))
    if picture is not None:
        shown.save_picture(picture)
    if as_json:
        print_json(shown.facts())
        return
    say(shown.text())
    if picture is not None:
        say(f"drawn to {picture}")
