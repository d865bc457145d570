"""``nas-gym show``: an architecture's picture and costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from nas_agents.cli.terminal.common import Json, Module, assignments, pairs, print_result


def show(
    architecture: Annotated[str, Argument(help="A JSON file, a run folder, or a name.")],
    cells: Annotated[int | None, Option(help="N, (normal) cells a stack.")] = None,
    filters: Annotated[int | None, Option(help="Filters of the first stack.")] = None,
    classes: Annotated[int | None, Option(help="Classes of the images, or words.")] = None,
    stem: Annotated[str | None, Option(help="auto, cifar or imagenet.")] = None,
    stem_filters: Annotated[int | None, Option(help="Filters of the stem.")] = None,
    image_size: Annotated[
        int | None, Option(help="Height and width of the images; 224 for imagenet, else 32.")
    ] = None,
    channels: Annotated[int | None, Option(help="Channels of the images; default: 3.")] = None,
    width: Annotated[float | None, Option(help="Multiplies all filters.")] = None,
    set_: Annotated[list[str], pairs("A setting of the network.", "--set")] = [],  # noqa: B006
    picture: Annotated[Path | None, Option(help="Write the picture to this file.")] = None,
    latency: Annotated[bool, Option(help="Measure the latency of inference here.")] = False,
    latency_set: Annotated[
        list[str], pairs("device, batch_size, threads, warmup, repeats or table.")
    ] = [],  # noqa: B006
    module: Module = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Draw an architecture, and print its costs.

    The network of a run folder is that of its final training, but for what is given here.
    """
    from nas_agents.catalogue.environments import import_module
    from nas_agents.cli.terminal import shown
    from nas_agents.runs.reading import load_architecture
    from nas_gym.networks import LatencySettings
    from nas_gym.settings import from_mapping

    for each in module:
        import_module(each)
    network = load_architecture(architecture)
    own, own_shape = shown.skeleton_of_run(Path(architecture))
    given: dict[str, Any] = {"cells": cells, "filters": filters, "width": width, "stem": stem}
    given |= {"stem_filters": stem_filters, **assignments("--set", set_)}
    given = {name: value for name, value in given.items() if value is not None}
    settings = shown.network_settings(network, own | given)
    usual = 224 if stem == "imagenet" else 32
    default = own_shape or shown.default_shape(network, usual)
    shape = shown.input_shape(channels, image_size, classes, default)
    how = None
    if latency or latency_set:
        values = assignments("--latency-set", latency_set)
        how = from_mapping(LatencySettings, "--latency-set", values)
    facts, text = shown.facts_and_text(network, shape, settings, how)
    if picture is not None:
        shown.save_picture(network, picture)
        text += f"\ndrawn to {picture}"
    print_result(facts, text, as_json)
