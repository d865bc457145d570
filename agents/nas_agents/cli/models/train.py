"""``nas-gym train``: an architecture is trained to the end, and its model folder written."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import IntRange, argument, command, option

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import EXIT_FAILED, complain, interrupted, print_result, stop
from nas_gym.errors import counted

if TYPE_CHECKING:
    from nas_agents.search.final import FinalTraining
    from nas_gym import Architecture
    from nas_gym.training.final import FinalResult

DATA = ("dataset", "image_size", "split_seed", "device")
"""What is said of the data; the rest is of the training."""


@command()
@argument("architecture")
@options.dataset()
@options.image_size
@option("--preset", help="A paper's schedule: nasnet, amoebanet, enas, darts, ...")
@option("--epochs", type=int, help="Epochs of the training.")
@options.cells
@options.filters
@option("--seed", type=int, help="Seed of weights, order and augmentation.")
@options.pairs("--set", "settings", "A setting of training or network.")
@option(
    *("--tune", "trials"),
    type=IntRange(0),
    default=0,
    help="Try this number of settings first, by Optuna; 0: none.",
)
@options.device()
@option(
    "--devices",
    default=1,
    help="Number of GPUs, or of processes on a CPU, with batch_size images on each.",
)
@option("--out", type=options.PATH, help="The model folder; new, unless --resume is given.")
@option("--resume", is_flag=True, help="Go on from the checkpoint in --out.")
@options.module
@options.as_json
def train(
    architecture: str,
    preset: str | None,
    settings: dict[str, Any],
    trials: int,
    devices: int,
    out: Path | None,
    resume: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train an architecture to the end, and test it once.

    ARCHITECTURE is a run folder, a JSON file, or a name. Without other settings, it is trained as a
    search trains its best: see docs/train.md. Each epoch ends with a checkpoint, from which the
    same command with --resume goes on.
    """
    from nas_agents.search.subject import subject_of
    from nas_gym.training.parallel import devices_of
    from nas_gym.training.presets import without

    folder = _model_folder(architecture, out, resume)
    given = {name: value for name, value in given.items() if value is not None} | settings
    data = {name: given.pop(name) for name in DATA if name in given}
    subject, final = subject_of(architecture, data, given, preset)
    on = ",".join(devices_of(final.device, devices))
    missing = without(final.settings, preset) if preset else []
    if missing:
        complain(f"preset {preset}: this training has no {', '.join(missing)}")
    if line := final.excess(subject):
        complain(line)
    result, final = _trained(subject, final, folder, trials, on)
    facts = {"model": str(folder), "architecture": subject.key, **result.metrics}
    print_result({**facts, "training": asdict(final.settings)}, _described(result, folder), as_json)


def _model_folder(name: str, out: Path | None, resume: bool) -> Path:
    """Return the folder of the model, which has none yet.

    Raises:
        InvalidSettings: it has, or a checkpoint, and --resume is not given; or it holds other
            files.
    """
    from nas_agents.search.tuning import JOURNAL, JOURNAL_LOCK
    from nas_gym.errors import require
    from nas_gym.models.training import CHECKPOINT, require_replaceable
    from nas_gym.outside.files import PART

    require(out is not None or not resume, "resume: say which training, by --out DIR")
    if out is None:
        stem = Path(name).stem or "model"
        return Path("models") / f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}"
    require_replaceable(out)
    held = {each.name for each in out.iterdir()} if out.is_dir() else set()
    require(not out.exists() or out.is_dir(), f"out: {out} is no folder; name another one")
    require(
        "model.json" not in held,
        f"out: {out} holds a model already, and none is overwritten; name another folder",
    )
    begun = {CHECKPOINT, JOURNAL}
    goes_on = resume or not held & begun
    require(goes_on, f"out: {out} holds a training that was begun; give --resume, or another --out")
    others = sorted(each for each in held - begun if not each.startswith((PART, JOURNAL_LOCK)))
    require(not others, f"out: {out} holds other files ({', '.join(others[:3])}); name another one")
    return out


def _trained(
    subject: Architecture, final: FinalTraining, folder: Path, trials: int, device: str
) -> tuple[FinalResult, FinalTraining]:
    """Tune, train and save the model; Ctrl-C, a full disk and a failure end in one line.

    Raises:
        InvalidSettings: the folder cannot be written.
    """
    from nas_agents.cli.terminal.display import FinalDisplay
    from nas_agents.search.tuning import tuned
    from nas_gym.errors import InvalidSettings
    from nas_gym.models.training import CHECKPOINT, train_model
    from nas_gym.training.failures import Diverged

    again = f"go on with the same command, --out {folder} and --resume"
    try:
        with FinalDisplay() as display:
            display.on_dataset(final.dataset)
            if trials:
                final = tuned(subject, final, trials, folder, display.on_trial)
            epochs = final.settings.epochs
            result = train_model(
                *(subject, final.dataset, final.settings, folder, device),
                on_epoch=lambda epoch: display.on_final_epoch(epoch, epochs),
                checkpoint=folder / CHECKPOINT,  # beside which the folder may hold that of trials
            )
            return result, final
    except KeyboardInterrupt:
        interrupted(f"what whole epochs trained is kept: {again}")
    except OSError as error:
        raise InvalidSettings(
            f"out: {folder} cannot be written ({error.strerror or error}); the checkpoint of the "
            f"last epoch is kept: make room, and {again}"
        ) from error
    except (Diverged, MemoryError, RuntimeError) as error:
        stop(f"the training failed: {type(error).__name__}: {error}", EXIT_FAILED)


def _described(result: FinalResult, folder: Path) -> str:
    from nas_agents.cli.terminal.results import by_class, named

    lines = [
        f"trained for {counted(result.epochs, 'epoch')} in {result.seconds:.0f} s: "
        f"{named('test', result.test_accuracy, result.metric)}, {result.parameters:,} parameters"
    ]
    if result.class_accuracies:
        lines.append(by_class(result.class_accuracies, result.majority))
    more: dict[str, Any] = {
        "top-5 accuracy": result.top5_accuracy,
        "expected calibration error": result.calibration_error,
    }
    measured = [f"{name} {value:.2%}" for name, value in more.items() if value is not None]
    return "\n".join(
        [*lines, *([f"  {', '.join(measured)}"] if measured else []), f"model: {folder}"]
    )
