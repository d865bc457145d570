"""``nas-gym``: the command line. Results go to standard output, progress and errors elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nas_agents.command_line import (
    EXIT_INTERRUPTED,
    Json,
    assignments,
    one_line_errors,
    print_json,
    value_of,
)
from nas_agents.preset_commands import presets
from nas_agents.registry import AGENTS
from nas_agents.table_commands import app as table_app
from nas_gym.errors import InvalidSettings, choices_hint, from_fields

if TYPE_CHECKING:
    from nas_gym.networks import NetworkSettings

app = typer.Typer(
    help="Neural-network architecture design as a Gymnasium environment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(table_app, name="table")
app.command()(presets)
EXIT_NOTHING_FOUND = 1


@app.command()
def envs(as_json: Json = False) -> None:
    """List the environments, their decisions and their sizes."""
    from nas_agents.environments import registered_search_spaces

    rows: list[dict[str, Any]] = [
        {
            "id": env_id,
            "decisions": len(search_space.decisions),
            "choices": list(search_space.num_choices),
            "size": search_space.size,
        }
        for env_id, search_space in registered_search_spaces().items()
    ]
    if as_json:
        print_json(rows)
        return
    table = Table("id", "decisions", "choices", "size", box=None)
    for row in rows:
        choices = f"{min(row['choices'])} to {max(row['choices'])}"
        table.add_row(row["id"], str(row["decisions"]), choices, f"{Decimal(row['size']):.3g}")
    Console().print(table)


@app.command()
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
    from nas_agents.run_folder import load_architecture
    from nas_gym.networks import (
        ImageShape,
        LatencySettings,
        default_settings,
        measure_cost,
        measure_latency,
    )
    from nas_gym.rendering import draw, write

    with one_line_errors():
        found = load_architecture(architecture)
        given: dict[str, Any] = {
            "cells": cells,
            "filters": filters,
            "stem": stem,
            "stem_filters": stem_filters,
        }
        given |= {"width": width, **assignments("--set", set_)}
        settings = _changed(default_settings(found), given)
        how = from_fields(
            LatencySettings, "--latency-set", assignments("--latency-set", latency_set)
        )
        size = image_size or (224 if stem == "imagenet" else 32)
        for name, value in (("classes", classes), ("image_size", size), ("channels", channels)):
            if value < 1:
                raise InvalidSettings(f"{name}: expected at least 1, got {value}")
        image_shape = ImageShape(channels, size, size, classes)
        cost = measure_cost(found, image_shape, settings)
        measured = None
        if latency or latency_set:
            measured = measure_latency(found, image_shape, how, settings)
        if picture is not None:
            _save_picture(draw(found), picture)
    if as_json:
        facts: dict[str, Any] = {
            "parameters": cost.parameters,
            "multiply_adds": cost.multiply_adds,
        }
        if measured is not None:
            facts |= {"latency": measured.seconds, "latency_spread": measured.spread}
        print_json({**facts, "key": found.key, "architecture": found.to_dict()})
        return
    print(write(found))
    print(f"{cost.parameters:,} parameters, {cost.multiply_adds:,} multiply-adds")
    if measured is not None:
        print(
            f"latency: {1000 * measured.seconds:.3g} ms a batch of {how.batch_size}, "
            f"interquartile range {1000 * measured.spread:.2g} ms "
            f"({measured.device}, {how.repeats} batches)"
        )
    if picture is not None:
        print(f"drawn to {picture}")


def _changed(settings: NetworkSettings, given: Mapping[str, object]) -> NetworkSettings:
    """The settings with those of ``given`` that are not None."""
    changes = {name: value for name, value in given.items() if value is not None}
    valid = [field.name for field in fields(settings)]
    for name in changes:
        if name not in valid:
            hint = choices_hint(name, valid)
            raise InvalidSettings(f"{name}: this kind of architecture has no such setting; {hint}")
    return replace(settings, **changes)


def _save_picture(image: Any, path: Path) -> None:
    try:
        image.save(path)
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"picture: {path} cannot be written: {error}") from error


@app.command()
def search(
    env: Annotated[str, typer.Argument(help="The environment's id; see `nas-gym envs`.")],
    agent: Annotated[str, typer.Option(help=f"{', '.join(AGENTS)}, or module:Class.")] = "ppo",
    dataset: Annotated[
        str | None, typer.Option(help="A name, an .npz file, or a folder of images.")
    ] = None,
    episodes: Annotated[int | None, typer.Option(help="Stop after so many children.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    target_accuracy: Annotated[
        float | None, typer.Option(help="Stop at a child with this validation accuracy.")
    ] = None,
    envs: Annotated[
        int, typer.Option("--envs", help="Networks designed, and then evaluated, at a time.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="Of the agent and of the children.")] = 0,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = None,
    reward: Annotated[
        str | None, typer.Option(help='accuracy, nas, or {"name": "mnasnet", ...}.')
    ] = None,
    run: Annotated[Path | None, typer.Option(help="The run folder; it must not exist yet.")] = None,
    final: Annotated[
        bool, typer.Option(help="Train the best to the end and test it, or not.")
    ] = True,
    set_: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="An environment's argument.")
    ] = [],  # noqa: B006 (Typer reads the default)
    agent_set: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="An argument of the agent.")
    ] = [],  # noqa: B006
    final_set: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="A setting of the final training.")
    ] = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Search for an architecture, train the best one to the end, and test it once."""
    from nas_agents.display import Display
    from nas_agents.search import SearchSettings
    from nas_agents.search import search as run_search

    with one_line_errors():
        named = {"dataset": dataset, "device": device, "reward": reward and value_of(reward)}
        given = {name: value for name, value in named.items() if value is not None}
        unlimited = seconds is not None or target_accuracy is not None
        settings = SearchSettings(
            env_id=env,
            agent=agent,
            episodes=episodes if episodes is not None or unlimited else SearchSettings.episodes,
            seconds=seconds,
            target_accuracy=target_accuracy,
            envs=envs,
            seed=seed,
            env_arguments={**given, **assignments("--set", set_)},
            agent_arguments=assignments("--agent-set", agent_set),
            final_arguments=assignments("--final-set", final_set),
            final=final,
        )
        with Display(settings) as display:
            result = run_search(settings, run, display.episode, display.final_epoch)
    if as_json:
        print_json({"run": str(result.run), **result.summary})
    else:
        _print_result(result)
    if result.stopped_by == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)
    if result.progress.best_architecture is None:
        raise typer.Exit(EXIT_NOTHING_FOUND)


def _print_result(result: Any) -> None:
    from nas_gym.rendering import write

    progress, summary = result.progress, result.summary
    failed = progress.episodes - progress.statuses["ok"]
    print(
        f"{progress.episodes} children in {summary['search_seconds']:.0f} s "
        f"({summary['evaluations']['made']} trained, {failed} failed); "
        f"stopped by: {result.stopped_by}"
    )
    if progress.best_architecture is None:
        print("no child could be trained; episodes.jsonl in the run folder says why")
    else:
        print(write(progress.best_architecture))
        print(
            f"best: {progress.best_architecture.key[:8]}, child {progress.best_episode}, "
            f"validation accuracy {progress.best_accuracy:.2%}"
        )
    if result.final is not None:
        print(
            f"retrained for {result.final.epochs} epochs in {result.final.seconds:.0f} s: "
            f"test accuracy {result.final.test_accuracy:.2%}, "
            f"{result.final.parameters:,} parameters"
        )
    elif summary["test_accuracy"] is not None:
        print(f"recorded test accuracy: {summary['test_accuracy']:.2%}")
    if summary["final_failure"]:
        print(f"the final training failed: {summary['final_failure']}")
    print(f"run folder: {result.run}")


def main() -> None:
    """The entry point of ``nas-gym``."""
    app()


if __name__ == "__main__":
    main()
