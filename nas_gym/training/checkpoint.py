"""Checkpoints of a training, one file that is replaced at the end of each part of it."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nas_gym.errors import InvalidSettings
from nas_gym.outside.files import refuse_links, replacing
from nas_gym.outside.json_text import short_name
from nas_gym.training.loop import TrainingLoop


class OtherTraining(InvalidSettings):
    """A checkpoint is of another training."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training between two epochs, in a file that holds tensors and plain values.

    Nothing of it is unpickled that could run code (``weights_only``).
    """

    path: Path
    key: str
    """Digest of all that the training follows from."""

    def save(self, loop: TrainingLoop, **facts: Any) -> None:
        """Replace the file; ``facts`` are plain values that `restore` returns.

        Raises:
            OSError: it cannot be written, on a full disk for instance; the earlier one stands.
        """
        held = io.BytesIO()  # torch.save itself makes RuntimeErrors of a full disk
        torch.save({"key": self.key, "facts": facts, "loop": loop.state_dict()}, held)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as part:
            part.write_bytes(held.getbuffer())

    def restore(self, loop: TrainingLoop) -> dict[str, Any] | None:
        """Set a training to the state in the file, and return the facts saved with it.

        Without a file, nothing is changed, and None is returned.

        Raises:
            OtherTraining: the file is of another training.
            InvalidSettings: it is damaged, a link, or no checkpoint.
        """
        return self._restore(loop, None)

    def restore_child(self, loop: TrainingLoop, epochs: int) -> dict[str, Any] | None:
        """Restore as `restore` does, unless the state is beyond a number of epochs.

        A file that cannot be used counts as none: the child is then trained from its beginning, to
        the same result.
        """
        try:
            return self._restore(loop, epochs)
        except InvalidSettings:
            return None

    def keep_child(self, loop: TrainingLoop, goes_on: bool, **facts: Any) -> None:
        """Save the state of a child that may go on later; remove it after the last epoch.

        Where it cannot be written, the child is trained from its beginning again.
        """
        with suppress(OSError):
            if goes_on:
                self.save(loop, **facts)
            else:
                self.path.unlink(missing_ok=True)

    def _restore(self, loop: TrainingLoop, epochs: int | None) -> dict[str, Any] | None:
        if not self.path.exists():
            return None
        name = f"checkpoint: {short_name(self.path)}"
        try:
            refuse_links(self.path)
            saved: Any = torch.load(self.path, map_location="cpu", weights_only=True)
            if saved["key"] != self.key:
                says = "is of another architecture, data set, setting, device or version of torch"
                raise OtherTraining(f"{name} {says}; give the same, or remove it to begin again")
            facts = dict(saved["facts"])
            if epochs is not None and saved["loop"]["epoch"] > epochs:
                return None
            loop.load_state_dict(saved["loop"])
            return facts
        except OtherTraining:
            raise
        except Exception as error:  # torch.load has no exception of its own for a damaged file
            reason = str(error).partition("\n")[0][:100]
            says = f"{name} cannot be read ({reason}); remove it to begin again"
            raise InvalidSettings(says) from error
