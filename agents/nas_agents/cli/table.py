"""``nas-gym table``: recorded benchmarks, built here or converted from published ones."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Exit, Option, Typer

from nas_agents.cli.terminal.common import (
    DATASET,
    DEVICE,
    EXIT_INTERRUPTED,
    Json,
    assignments,
    complain,
    pairs,
    print_result,
    progress_bars,
)
from nas_gym.errors import InvalidSettings, choices_hint

if TYPE_CHECKING:
    from nas_gym.envs.family_env import FamilyEnv
    from nas_gym.tables.recording import Recording
    from nas_gym.workers.local import LocalWorkers

app = Typer(help="Recorded benchmarks: build one, or import one.")
LINES = 100
"""Number of lines that a build prints where there is no terminal."""
SPLIT = Option(metavar="TRAIN VALIDATION TEST", help="Images to train, validate and test on.")


@app.command()
def build(
    env: Annotated[str, Argument(help="The environment's id; see `nas-gym envs`.")],
    out: Annotated[Path, Option(help="The table to make, an .npz file.")],
    dataset: Annotated[str, DATASET] = "digits",
    image_size: Annotated[int | None, Option(help="Scale images to this size.")] = None,
    split: Annotated[tuple[int, int, int] | None, SPLIT] = None,
    seeds: Annotated[int, Option(help="Trainings of each architecture.")] = 3,
    seed: Annotated[int, Option(help="The first of the seeds.")] = 0,
    workers: Annotated[int, Option(help="Processes, each with one thread.")] = 1,
    device: Annotated[str, DEVICE] = "cpu",
    set_: Annotated[list[str], pairs("An environment's argument.", "--set")] = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Train every distinct architecture of a small search space, and record the results.

    Interrupt it at will: the same command goes on where it stopped.
    """
    from nas_gym.tables.recording import Recording, RecordingSettings
    from nas_gym.workers.local import LocalWorkers

    env_class = training_env(env)
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
        raise Exit(EXIT_INTERRUPTED) from None
    number = len(recording.choices)
    facts = {"table": str(out), "architectures": number, "seeds": seeds}
    print_result(facts, f"{number} architectures, {seeds} trainings each: {out}", as_json)


@app.command(name="import")
def import_(
    source: Annotated[
        Path, Argument(help="An .npz, a .tfrecord, or NATS-Bench's folder of pickles.")
    ],
    unpickle: Annotated[
        bool, Option("--unpickle", help="Read pickles, without running what is in them.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Convert a published benchmark, check it, and store it in the data folder.

    The data folder is the environment variable NAS_GYM_DATA, or ~/.cache/nas_gym.
    """
    from rich.console import Console

    from nas_gym.tables.importing import import_table

    with Console(stderr=True).status("reading") as status:
        path = import_table(
            source, unpickle, lambda done, total: status.update(f"reading: {done:,} of {total:,}")
        )
    print_result({"table": str(path)}, path, as_json)


def training_env(env_id: str) -> type[FamilyEnv]:
    """Return the class of a registered environment whose children are trained."""
    import gymnasium as gym

    from nas_gym.envs import environment_type

    registered = [name for name in gym.registry if name.startswith("nas_gym/")]
    known = {name: environment_type(name) for name in registered}
    known = {
        name: found
        for name, found in known.items()
        if "trained" in getattr(found, "evaluators", ())
    }
    if env_id not in known:
        hint = choices_hint(env_id, known)
        raise InvalidSettings(f"environment: {env_id!r} is none whose children are trained; {hint}")
    return known[env_id]


def _show(recording: Recording, workers: LocalWorkers) -> None:
    """Run the recording; show a bar on a terminal, lines elsewhere, on standard error."""
    from rich.console import Console
    from rich.progress import MofNCompleteColumn

    console = Console(stderr=True, highlight=False)
    total = recording.children
    with progress_bars(console, MofNCompleteColumn()) as bars:
        bar = bars.add_task("children", total=total, completed=len(recording.done))
        for done in recording.run(workers):
            bars.update(bar, completed=done)
            if bars.disable and done % max(1, total // LINES) == 0:
                console.print(f"{done}/{total} children", soft_wrap=True)
