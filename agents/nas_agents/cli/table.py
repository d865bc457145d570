"""``nas-gym table``: recorded benchmarks, built here or converted from published ones."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import argument, group, option

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import interrupted, print_result
from nas_agents.cli.terminal.progress import count, counting_bar, note
from nas_gym.errors import InvalidSettings, choices_hint, counted

if TYPE_CHECKING:
    from nas_gym.envs.family_env import FamilyEnv
    from nas_gym.tables.recording import Recording
    from nas_gym.workers.local import LocalWorkers

LINES = 100
"""Number of lines that a build prints where there is no terminal."""


@group(no_args_is_help=False)
def table() -> None:
    """Recorded benchmarks: build one, or import one."""


@table.command()
@options.env_id()
@option("--out", type=options.PATH, required=True, help="The table to make, an .npz file.")
@options.dataset(default="digits")
@options.image_size
@option(
    "--split",
    type=int,
    nargs=3,
    metavar="TRAIN VALIDATION TEST",
    help="Images to train, validate and test on.",
)
@option("--seeds", default=3, help="Trainings of each architecture.")
@option("--repeated", default=1.0, help="Share of the architectures that get them all.")
@option("--seed", default=0, help="The first of the seeds.")
@option("--workers", default=1, help="Processes, each with one thread.")
@options.device(default="cpu")
@options.pairs("--set", "env_arguments", "An environment's argument.")
@options.as_json
def build(
    env_id: str,
    out: Path,
    seed: int,
    workers: int,
    env_arguments: dict[str, Any],
    as_json: bool,
    **recorded: Any,
) -> None:
    """Train and record all networks of a small search space.

    ENV is the environment's id; see `nas-gym envs`. Isomorphic architectures are trained once.
    Interrupt it at will: the same command goes on where it stopped.
    """
    from nas_gym.tables.recording import Recording, RecordingSettings
    from nas_gym.workers.local import LocalWorkers

    env_class = training_env(env_id)
    arguments = {**env_arguments, "training_seed": seed}
    of_search_space, training = env_class.split_arguments(arguments)
    settings = RecordingSettings(training, **recorded)
    recording = Recording(env_class.search_space_type(**of_search_space), settings, out)
    try:
        with closing(recording), LocalWorkers(recording.trainer, workers, threads=1) as pool:
            _show(recording, pool)
            recording.write()
    except KeyboardInterrupt:
        interrupted("the same command goes on where it stopped")
    number = len(recording.choices)
    facts = {"table": str(out), "architectures": number, "trainings": recording.children}
    says = f"{counted(number, 'architecture')}, {counted(recording.children, 'training')}: {out}"
    print_result(facts, says, as_json)


@table.command("import")
@argument("source", type=options.PATH)
@option("--unpickle", is_flag=True, help="Read pickles, without running what is in them.")
@options.as_json
def import_(source: Path, unpickle: bool, as_json: bool) -> None:
    """Convert a published benchmark, and check it.

    SOURCE is an .npz, a .tfrecord, or NATS-Bench's folder of pickles. The table is stored in
    the folder that the environment variable NAS_GYM_DATA names, or in ~/.cache/nas_gym.
    """
    from nas_gym.tables.importing import import_table

    with counting_bar("reading") as bar:
        path = import_table(source, unpickle, partial(count, bar))
    print_result({"table": str(path)}, path, as_json)


def training_env(env_id: str) -> type[FamilyEnv]:
    """Return the class of a registered environment whose children are trained on images."""
    from nas_agents.catalogue.environments import import_module
    from nas_gym.envs import environment_type
    from nas_gym.family import registered_families
    from nas_gym.training.settings import TrainingSettings

    module, _, name = env_id.rpartition(":")
    if module:
        import_module(module)
    ids = [each for family in registered_families() for each in family.environments]
    types = {each: environment_type(each) for each in ids}
    known = {
        each: env_type
        for each, env_type in types.items()
        if "trained" in getattr(env_type, "evaluators", ())
        and issubclass(env_type.training_settings_type, TrainingSettings)
    }
    if name not in known:
        says = f"environment: {env_id!r} is none whose children are trained on images"
        raise InvalidSettings(f"{says}; {choices_hint(name, known)}")
    return known[name]


def _show(recording: Recording, workers: LocalWorkers) -> None:
    """Run the recording; show a bar on a terminal, lines elsewhere, on standard error."""
    total = recording.children
    with counting_bar("children", total, len(recording.done)) as bar:
        for done in recording.run(workers):
            count(bar, done, total)
            if bar.disable and done % max(1, total // LINES) == 0:
                note(f"{done}/{total} children")
