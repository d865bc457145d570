"""`train_model`: from an architecture and a data set to a model folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.models.folder import model_of, save_model
from nas_gym.outside.files import PART, replacing_folder
from nas_gym.training.final import FinalResult, train_final
from nas_gym.training.settings import LearningSettings
from nas_gym.training.tasks.task import Data

CHECKPOINT = "checkpoint.pt"


def train_model(
    architecture: Architecture,
    dataset: Data,
    settings: LearningSettings,
    folder: str | Path,
    device: str = "auto",
    on_epoch: Callable[[int], None] = lambda epoch: None,
    checkpoint: Path | None = None,
    before_replacing: Callable[[], None] = lambda: None,
) -> FinalResult:
    """Train an architecture to the end, test it once, and write its model folder.

    The folder appears as a whole, in the place of an earlier one, once its weights are written.
    Until then each epoch ends with a checkpoint, from which a second call with the same arguments
    goes on: on one machine, to the same weights to the bit.

    Args:
        architecture: The architecture.
        dataset: The data set: it is trained on the training and the validation split.
        settings: How it is built and trained; see `nas_gym.training.presets.final_settings`.
        folder: The model folder; see `nas_gym.load_model`.
        device: "auto" takes CUDA, then MPS, then the CPU.
        on_epoch: Called after each epoch with the number of finished ones.
        checkpoint: The file of the checkpoint; default: ``checkpoint.pt`` in the folder, with which
            it disappears at the end. Another file stays, for the caller to remove.
        before_replacing: Called when the new folder is written, just before it takes its place.

    Raises:
        Diverged: the loss or the logits are no longer finite.
        InvalidSettings: the checkpoint is of another training (`OtherTraining`) or damaged; or the
            folder holds a model or other files, which the new one would replace, and no checkpoint
            is named.
        OSError: a file cannot be written, on a full disk for instance. What existed stands.
    """
    folder = Path(folder)
    if checkpoint is None:
        _require_free(folder)
        checkpoint = folder / CHECKPOINT
    result = train_final(architecture, dataset, settings, device, on_epoch, checkpoint)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as part:
        save_model(model_of(result, dataset), part)
        before_replacing()
    return result


def require_replaceable(folder: Path) -> None:
    """Raise `InvalidSettings` if no new folder can take the place of this one."""
    remedy = "name the folder that it leads to"
    require(not folder.is_symlink(), f"folder: {folder} is a link; {remedy}")
    remedy = "which cannot be moved; name a folder within it"
    here = folder.resolve() == Path.cwd()
    require(not here, f"folder: {folder} is the working directory, {remedy}")
    root = os.path.ismount(folder)  # `Path.is_mount` is new on Windows
    require(not root, f"folder: {folder} is the root of a file system, {remedy}")


def _require_free(folder: Path) -> None:
    """Raise `InvalidSettings` if a folder holds what a new model would replace."""
    require_replaceable(folder)
    held = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    others = sorted(each for each in held - {CHECKPOINT} if not each.startswith(PART))
    what = "a model already" if "model.json" in held else f"other files ({', '.join(others[:3])})"
    require(not others, f"folder: {folder} holds {what}; name another one")
