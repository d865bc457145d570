"""``nas-gym table``: recorded benchmarks, built here or converted from published ones."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from nas_agents.cli.common import (
    EXIT_INTERRUPTED,
    Json,
    assignments,
    complain,
    print_json,
    say,
)

if TYPE_CHECKING:
    from nas_gym.envs.family_env import FamilyEnv
    from nas_gym.tables.recording import Recording
    from nas_gym.workers.local import LocalWorkers

app = typer.Typer(help="Recorded benchmarks: build one, or import one.")
LINES = 100
"""Number of lines that a build prints where there is no terminal."""


@app.command()
def build(
    env: Annotated[str, typer.Argument(help="The environment's id; see `nas-gym envs`.")],
    out: Annotated[Path, typer.Option(help="The table to make, an .npz file.")],
    dataset: Annotated[
        str, typer.Option(help="A name, an .npz file, or a folder of images.")
    ] = "digits",
    image_size: Annotated[int | None, typer.Option(help="Scale images to this size.")] = None,
    split: Annotated[
        tuple[int, int, int] | None,
        typer.Option(
            metavar="TRAIN VALIDATION TEST", help="Images to train, validate and test on."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each architecture.")] = 3,
    seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 0,
    workers: Annotated[int, typer.Option(help="Processes, each with one thread.")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "cpu",
    set_: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE", help="An argument of the environment."),
    ] = [],  # noqa: B006 (Typer reads the default)
    as_json: Json = False,
) -> None:
    """Train every distinct architecture of a small search space, and record the results.

    Interrupt it at will: the same command goes on where it stopped.
    """
    from nas_gym.tables.recording import Recording, RecordingSettings
    from nas_gym.workers.local import LocalWorkers

    env_class = _training_env(env)
    arguments = {**assignments("--set", set_), "training_seed": seed}
    of_search_space, training = env_class.split_arguments(arguments)
    settings = RecordingSettings(training, dataset, image_size, split, seeds, device)
    recording = Recording(env_class.search_space_type(**of_search_space), settings, out)
    try:
        with closing(recording), LocalWorkers(recording.trainer, workers, threads=1) as pool:
            _show(recording, pool)
            recording.write()
    except KeyboardInterrupt:
        complain("interrupted; the same command goes on where it stopped")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    facts = {"table": str(out), "architectures": len(recording.choices), "seeds": seeds}
    if as_json:
        print_json(facts)
    else:
        say(f"{facts['architectures']} architectures, {seeds} trainings each: {out}")


@app.command(name="import")
def import_(
    source: Annotated[
        Path, typer.Argument(help="An .npz, a .tfrecord, or NATS-Bench's folder of pickles.")
    ],
    unpickle: Annotated[
        bool, typer.Option("--unpickle", help="Read pickles, without running what is in them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Convert a published benchmark, check it, and store it in the data folder.

    The data folder is the environment variable NAS_GYM_DATA, or ~/.cache/nas_gym.
    """
    from nas_gym.tables.importing import import_table

    with Console(stderr=True).status("reading") as status:
        path = import_table(
            source, unpickle, lambda done, total: status.update(f"reading: {done:,} of {total:,}")
        )
    if as_json:
        print_json({"table": str(path)})
    else:
        say(path)


def _training_env(env_id: str) -> type[FamilyEnv]:
    """Return the class of a registered environment whose children are trained."""
    import gymnasium as gym

    from nas_gym.envs import environment_type
    from nas_gym.errors import InvalidSettings, choices_hint

    registered = [name for name in gym.registry if name.startswith("nas_gym/")]
    known = {name: environment_type(name) for name in registered}
    known = {name: found for name, found in known.items() if "trained" in found.evaluators}
    if env_id not in known:
        raise InvalidSettings(
            f"environment: {env_id!r} is none whose children are trained; "
            f"{choices_hint(env_id, known)}"
        )
    return known[env_id]


def _show(recording: Recording, workers: LocalWorkers) -> None:
    """Run the recording; show a bar on a terminal, lines elsewhere, on standard error."""
    console = Console(stderr=True, highlight=False)
    total = recording.children
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
    with bars:
        bar = bars.add_task("children", total=total, completed=len(recording.done))
        for done in recording.run(workers):
            bars.update(bar, completed=done)
            if not console.is_terminal and done % max(1, total // LINES) == 0:
                console.print(f"{done}/{total} children", soft_wrap=True)
