"""Checkpoints of a training, one file that is replaced at the end of each part of it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nas_gym.errors import InvalidSettings
from nas_gym.outside.files import refuse_links, replacing
from nas_gym.outside.json_text import short_name
from nas_gym.training.loop import TrainingLoop


def packed(state: Any) -> bytes:
    """Return tensors and plain values as bytes, which `unpacked` reads on any machine.

    What writes them raises `OSError` on a full disk, where `torch.save` raises a RuntimeError.
    """
    held = io.BytesIO()
    torch.save(state, held)
    return held.getvalue()


def unpacked(content: bytes) -> Any:
    """Return what was `packed`, its tensors on the CPU; no code in it is run."""
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


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

    def save(self, state: dict[str, Any], **facts: Any) -> None:
        """Replace the file by a state of `TrainingLoop.states`, with ``facts``, plain values.

        `OSError` if it cannot be written, on a full disk for instance; the earlier one stands.
        """
        content = packed({"key": self.key, "facts": facts, "loop": state})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self.path) as part:
            part.write_bytes(content)

    def restore(self, loop: TrainingLoop) -> dict[str, Any] | None:
        """Set a training to the state in the file, and return the facts saved with it.

        Without a file, nothing is changed, and None is returned. A file of another training raises
        `OtherTraining`; one that is damaged, a link, or no checkpoint, `InvalidSettings`.
        """
        if not self.path.exists():
            return None
        name = f"checkpoint: {short_name(self.path)}"
        try:
            saved = self.read()
            if saved["key"] != self.key:
                says = "is of another architecture, data set, setting, device or version of torch"
                raise OtherTraining(f"{name} {says}; give the same, or remove it to begin again")
            facts = dict(saved["facts"])
            loop.load_states([saved["loop"]])
            return facts
        except OtherTraining:
            raise
        except Exception as error:  # torch.load has no exception of its own for a damaged file
            reason = str(error).partition("\n")[0][:100]
            says = f"{name} cannot be read ({reason}); remove it to begin again"
            raise InvalidSettings(says) from error

    def read(self) -> dict[str, Any]:
        """Return what is in the file; where that is impossible, the error may be any."""
        refuse_links(self.path)
        saved: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        return saved

    def keep_child(self, state: dict[str, Any], goes_on: bool, **facts: Any) -> None:
        """Save the state of a child that may go on later; remove it after the last epoch.

        Where it cannot be written, the child is trained from its beginning again.
        """
        with suppress(OSError):
            if goes_on:
                self.save(state, **facts)
            else:
                self.path.unlink(missing_ok=True)


def restore_children(
    kept: Sequence[Checkpoint], loop: TrainingLoop, epochs: int
) -> list[dict[str, Any]]:
    """Set the training of a child, or of several as one, to its state; return the facts of each.

    Unless every file can be used, and all are after the same epoch, ``epochs`` at most, nothing is
    changed, and there are no facts: the children begin again, to the same result.
    """
    try:
        saved = [each.read() for each in kept]
        ours = all(each.key == found["key"] for each, found in zip(kept, saved, strict=True))
        reached = {found["loop"]["epoch"] for found in saved}
        if not ours or len(reached) != 1 or max(reached) > epochs:
            return []
        facts = [dict(found["facts"]) for found in saved]
        before = deepcopy(loop.states())
        try:
            loop.load_states([found["loop"] for found in saved])
        except Exception:
            loop.load_states(before)
            raise
        return facts
    except Exception:  # whatever torch's readers raise of a missing or a damaged file
        return []
