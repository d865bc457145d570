"""Checkpoints of a final training, one file that is replaced at each epoch's end."""

from __future__ import annotations

import io
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

    def save(self, loop: TrainingLoop, seconds: float) -> None:
        """Replace the file; ``seconds`` is how long the training took so far.

        Raises:
            OSError: it cannot be written, on a full disk for instance; the earlier one stands.
        """
        held = io.BytesIO()  # torch.save itself makes RuntimeErrors of a full disk
        torch.save({"key": self.key, "seconds": seconds, "loop": loop.state_dict()}, held)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as part:
            part.write_bytes(held.getbuffer())

    def restore(self, loop: TrainingLoop) -> float:
        """Set a training to the state in the file; return the seconds that it took until then.

        Without a file, nothing is changed.

        Raises:
            OtherTraining: the file is of another training.
            InvalidSettings: it is damaged, a link, or no checkpoint.
        """
        if not self.path.exists():
            return 0.0
        name = f"checkpoint: {short_name(self.path)}"
        try:
            refuse_links(self.path)
            saved: Any = torch.load(self.path, map_location="cpu", weights_only=True)
            if saved["key"] != self.key:
                says = "is of another architecture, data set, setting, device or version of torch"
                raise OtherTraining(f"{name} {says}; give the same, or remove it to begin again")
            loop.load_state_dict(saved["loop"])
            return float(saved["seconds"])
        except OtherTraining:
            raise
        except Exception as error:  # torch.load has no exception of its own for a damaged file
            reason = str(error).partition("\n")[0][:100]
            says = f"{name} cannot be read ({reason}); remove it to begin again"
            raise InvalidSettings(says) from error
