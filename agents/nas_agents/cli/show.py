"""``nas-gym show``: an architecture's picture and costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click import argument, command, option

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import print_result


@command()
@argument("architecture")
@options.cells
@options.filters
@option("--classes", type=int, help="Classes of the images, or words.")
@option("--stem", help="auto, cifar or imagenet.")
@option("--stem-filters", type=int, help="Filters of the stem.")
@option("--image-size", type=int, help="Height and width of the images; 224 for imagenet, else 32.")
@option("--channels", type=int, help="Channels of the images; default: 3.")
@option("--width", type=float, help="Multiplies all filters.")
@options.pairs("--set", "settings", "A setting of the network.")
@option("--picture", type=options.PATH, help="Write the picture to this file.")
@option("--latency/--no-latency", default=False, help="Measure the latency of inference here.")
@options.pairs(
    *("--latency-set", "latency_settings"), "device, batch_size, threads, warmup, repeats or table."
)
@options.module
@options.as_json
def show(
    architecture: str,
    classes: int | None,
    image_size: int | None,
    channels: int | None,
    settings: dict[str, Any],
    picture: Path | None,
    latency: bool,
    latency_settings: dict[str, Any],
    as_json: bool,
    **skeleton: Any,
) -> None:
    """Draw an architecture, and print its costs.

    ARCHITECTURE is a JSON file, a run folder, or a name. The network of a run folder is that of its
    final training, but for what is given here.
    """
    from nas_agents.cli.terminal import shown
    from nas_agents.runs.reading import load_architecture
    from nas_gym.networks import LatencySettings
    from nas_gym.settings import from_mapping

    network = load_architecture(architecture)
    own, own_shape = shown.skeleton_of_run(Path(architecture))
    given = {name: value for name, value in skeleton.items() if value is not None}
    built = shown.network_settings(network, own | given | settings)
    usual = 224 if skeleton["stem"] == "imagenet" else 32
    default = own_shape or shown.default_shape(network, usual)
    shape = shown.input_shape(channels, image_size, classes, default)
    how = None
    if latency or latency_settings:
        how = from_mapping(LatencySettings, "--latency-set", latency_settings)
    facts, text = shown.facts_and_text(network, shape, built, how)
    if picture is not None:
        shown.save_picture(network, picture)
        text += f"\ndrawn to {picture}"
    print_result(facts, text, as_json)
