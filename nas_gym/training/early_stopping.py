"""Stops a child whose learning curve says that it will not be the best. No torch here.

The rule is split conformal prediction (Vovk et al. 2005, "Algorithmic Learning in a Random World")
on the gains of earlier children between an epoch and their end: a child is stopped after an epoch
if its best accuracy so far, plus the most that it is expected to gain, is below the best that any
child reached. "The most" is a band over all epochs: its size is a quantile of the k best children's
largest gains, the ceil((k + 1)(1 - delta))-th smallest, and its shape that of the other children's.

Guarantee: a child whose curve is exchangeable with those of the k best has its whole curve within
the band with a probability of 1 - delta at least, for any number of curves; where k is too small
for this, below 1 / delta - 1, nothing is stopped. The band is made from children that ran to the
end regardless of their curves: all of them until there is a band, and a fixed share, drawn by their
seeds, from then on; those that were spared because they looked good would make it too narrow.

What no number of curves guarantees is that the very best child gains no more than the k best do: it
is the best of many, by luck with its last epoch too. So few count, one in twenty; `docs/train.md`
has what is measured.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Interval
from numpy.typing import NDArray

from nas_gym.errors import InvalidSettings
from nas_gym.outside.files import open_appending
from nas_gym.settings import settings

PER_BEST = 20
"""Number of children of which one, the best, counts with its gains."""
Chance = Annotated[float, Interval(gt=0, lt=1)]


@settings
class EarlyStopping:
    """How children are stopped early."""

    delta: Chance = 0.1
    """The chance, at most, that a child which gains as the best twentieth before it did is stopped
    although it would have been the best so far. Nothing is stopped before about 20 / delta - 20
    children have run to the end: 180 for 0.1, 80 for 0.2."""
    exempt: Chance = 0.1
    """The share of children that always run to the end, so that the rule goes on learning."""
    curves: str | None = None
    """A file of finished curves, a line of JSON each, through which processes share the rule.
    Default: memory alone; in a search, a file in the run's folder."""


@dataclass(frozen=True)
class FinishedCurve:
    """The curve of a child that ran to the end."""

    seed: int
    curve: tuple[float, ...]
    """Validation accuracy after each epoch."""
    calibrates: bool
    """True if the child would have run to the end whatever its curve."""


class StoppingRule:
    """Decides after each epoch if a child, of so many epochs, is stopped.

    A file of curves that cannot be read or written raises `InvalidSettings`; curves in it with
    another evaluator's fingerprint are ignored.
    """

    def __init__(self, settings: EarlyStopping, epochs: int, fingerprint: str) -> None:
        self.settings, self.epochs, self.fingerprint = settings, epochs, fingerprint
        self.finished: dict[int, FinishedCurve] = {}
        """By seed: a child that was trained again after a crash counts once."""
        self.best = -math.inf
        """The best accuracy that a child had at its end."""
        self.band: NDArray[np.float64] | None = None
        """(E - 1,) possible gain after each epoch; None while too few curves are finished."""
        self._path = None if settings.curves is None else Path(settings.curves)
        self._position = 0  # bytes of the file that have been read
        if self._path is not None:
            with _file_errors(self._path):
                self._path.parent.mkdir(parents=True, exist_ok=True)
                if self._path.exists() and not self._path.is_file():  # a pipe would block
                    raise OSError("it is not a regular file")
                os.close(open_appending(self._path))

    def begin(self, seed: int) -> bool:
        """Read the curves of other processes; return True if this child runs to the end anyway.

        So do children that calibrate the rule, and children that did so before: a child that is
        trained again is not compared with its own earlier result.
        """
        self._add(self._new_curves())
        calibrates = self.band is None or seed / 2**63 < self.settings.exempt
        return calibrates or seed in self.finished

    def stops(self, curve: Sequence[float]) -> bool:
        """Return True if a child with this curve, which may be stopped, is stopped now."""
        if self.band is None or len(curve) >= self.epochs:
            return False
        return max(curve) + float(self.band[len(curve) - 1]) < self.best

    def finish(self, finished: FinishedCurve) -> None:
        """Add and write the curve of a child that ran to the end; ignore a second one of it."""
        repeated = finished.seed in self.finished
        self._add([finished])
        if repeated or self._path is None:
            return
        record = {"fingerprint": self.fingerprint, **vars(finished)}
        line = (json.dumps(record) + "\n").encode()
        with _file_errors(self._path), os.fdopen(open_appending(self._path), "ab", 0) as file:
            file.write(line)  # one call: lines do not mix

    def _new_curves(self) -> list[FinishedCurve]:
        """Return the curves that were appended to the file since the last call."""
        if self._path is None:
            return []
        with _file_errors(self._path), self._path.open("rb") as file:
            file.seek(self._position)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        return [curve for line in whole.splitlines() for curve in self._parsed(line)]

    def _parsed(self, line: bytes) -> Iterator[FinishedCurve]:
        """Yield the curve of a line; none for other settings, or a line cut short by a crash."""
        with contextlib.suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
            record = json.loads(line)
            curve = tuple(float(accuracy) for accuracy in record["curve"])
            finished = FinishedCurve(int(record["seed"]), curve, record["calibrates"] is True)
            if record["fingerprint"] == self.fingerprint and all(0 <= each <= 1 for each in curve):
                yield finished

    def _add(self, curves: list[FinishedCurve]) -> None:
        new = []
        for finished in curves:
            if len(finished.curve) == self.epochs and finished.seed not in self.finished:
                self.finished[finished.seed] = finished
                self.best = max(self.best, finished.curve[-1])
                new.append(finished)
        if any(finished.calibrates for finished in new):
            calibrating = [f.curve for f in self.finished.values() if f.calibrates]
            self.band = gain_band(np.array(calibrating, np.float64), self.settings.delta)


def gain_band(curves: NDArray[np.float64], delta: float) -> NDArray[np.float64] | None:
    """Return the gain, (E - 1,), that is still possible after each epoch but the last.

    ``curves`` are the validation accuracies of n children that ran to the end, (n, E); ``delta`` is
    the chance that the gains of another child are not all within the band. No gain is negative;
    None if n is too small for this chance.
    """
    number = len(curves) // PER_BEST
    rank = math.ceil((number + 1) * (1 - delta))
    if rank > number or curves.shape[1] < 2:
        return None
    gains = curves[:, -1:] - np.maximum.accumulate(curves, axis=1)[:, :-1]
    best, others = np.split(gains[np.argsort(-curves[:, -1], kind="stable")], [number])
    shape = np.sqrt((others**2).mean(axis=0)) + 1e-6  # by others, so that scores are exchangeable
    scores = np.sort((best / shape).max(axis=1))  # of a curve, over all its epochs
    band: NDArray[np.float64] = max(0.0, scores[rank - 1]) * shape
    return band


@contextlib.contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise InvalidSettings(f"curves: {path} cannot be used: {error}") from error
