"""Records a benchmark: trains every distinct architecture of a small search space, several times.

What is finished goes, one line of JSON a child, to ``FILE.npz.part`` beside the table, so
that a recording which was interrupted, however rudely, goes on where it stopped.
`nas_gym.tables.table` reads the table that `write_table` makes of the lines.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.data.dataset import Dataset, resplit
from nas_gym.data.loading import load_dataset
from nas_gym.errors import InvalidSettings, NASGymError, require, require_integer
from nas_gym.search_spaces import Choices, SearchSpace
from nas_gym.tables.table import BUILT_VERSION
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer
from nas_gym.workers.processes import end_with_parent

LARGEST_SEARCH_SPACE = 1_000_000
ORDER_SEED = 0
"""Architectures are trained in a random order, so that an unfinished record is a fair sample."""


@dataclass(frozen=True)
class RecordingSettings:
    """What is recorded of each architecture.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    training: TrainingSettings
    """How children are trained; its ``seed`` is the first one's."""
    dataset: str = "digits"
    image_size: int | None = None
    split: tuple[int, int, int] | None = None
    """How many images to train, validate and test on; default: the data set's own split."""
    seeds: int = 3
    """How many times each architecture is trained."""
    device: str = "cpu"

    def __post_init__(self) -> None:
        require_integer("seeds", self.seeds, least=1)
        for name in ("early_stopping", "inherit_weights"):
            require(
                getattr(self.training, name) is None,
                f"{name}: a record's children do not depend on each other; leave it out",
            )

    def images(self) -> Dataset:
        """The data set as it is split.

        Raises:
            InvalidDataset: it cannot be had, or not be split so.
        """
        dataset = load_dataset(self.dataset, self.image_size)
        return dataset if self.split is None else resplit(dataset, *self.split)

    def trainers(self) -> list[Trainer]:
        """One trainer a seed; only the first one counts multiply-adds."""
        dataset = self.images()
        return [
            Trainer(
                dataset,
                replace(self.training, seed=self.training.seed + number),
                self.device,
                count_multiply_adds=number == 0,
            )
            for number in range(self.seeds)
        ]


def distinct_choices(search_space: SearchSpace) -> tuple[list[Choices], NDArray[np.int32]]:
    """Every distinct architecture of a search space once.

    Returns:
        The first sequence of choices, (T,), of each of n architectures, in order; and which of
        them every sequence means, (k_0 * ... * k_{T-1},) in lexicographic order, -1 for a sequence
        that is not valid. k_t is the number of choices of decision t.

    Raises:
        InvalidSettings: the search space is too large to be walked through.
    """
    sequences = math.prod(search_space.num_choices)
    require(
        sequences <= LARGEST_SEARCH_SPACE,
        f"search space: {search_space.name} has {sequences:.3g} sequences of choices; "
        f"recording every child is for at most {LARGEST_SEARCH_SPACE:,}",
    )
    row_of = np.full(search_space.num_choices, -1, np.int32)
    firsts: list[Choices] = []
    known: dict[Architecture, int] = {}
    for choices in _sequences(search_space, np.zeros(0, dtype=np.int64)):
        network = search_space.decode(choices).canonical()
        if network not in known:
            known[network] = len(firsts)
            firsts.append(choices)
        row_of[tuple(choices)] = known[network]
    return firsts, row_of.ravel()


def _sequences(search_space: SearchSpace, prefix: Choices) -> Iterator[Choices]:
    if len(prefix) == len(search_space.decisions):
        yield prefix
        return
    for choice in np.flatnonzero(search_space.valid_choices(prefix)):
        yield from _sequences(search_space, np.append(prefix, choice))


class RecordingStopped(NASGymError):
    """A recording cannot go on; what was recorded is kept, and the message says what would do."""


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """What the system says of a file that cannot be read or written becomes a user's mistake."""
    try:
        yield
    except OSError as error:
        raise InvalidSettings(
            f"out: {path} cannot be read or written ({error.strerror}); name a file in a folder "
            "that can be written to and has room"
        ) from error


class Recording:
    """A benchmark that is being recorded.

    Args:
        search_space: Whose every distinct architecture is trained.
        settings: How.
        out: The table's file; the lines go to the same name with ``.part`` behind it.

    Raises:
        InvalidSettings: the file exists already, cannot be written, or what is there was recorded
            otherwise.
    """

    def __init__(self, search_space: SearchSpace, settings: RecordingSettings, out: Path) -> None:
        self.search_space, self.settings, self.out = search_space, settings, out
        self.part = out.with_name(out.name + ".part")
        require(out.suffix == ".npz", f"out: expected a file named .npz, got {out}")
        with _clear_errors(out):
            require(not out.exists(), f"out: {out} exists already, and is never overwritten")
        self.choices, self.row_of = distinct_choices(search_space)
        self.facts = _facts(search_space, settings, len(self.choices))
        self.done = self._resumed()
        """What is finished, by number of the seed and by row."""

    @property
    def children(self) -> int:
        """How many trainings there are in all."""
        return self.settings.seeds * len(self.choices)

    def _resumed(self) -> dict[tuple[int, int], dict[str, Any]]:
        """What earlier lines hold; a last line that was cut short is taken away."""
        head = (json.dumps(self.facts) + "\n").encode()
        with _clear_errors(self.part):
            text = self.part.read_bytes() if self.part.exists() else b""
            if len(text) < len(head) and head.startswith(text):  # nothing is recorded yet
                self._begin(head)
                return {}
        whole = text[: text.rfind(b"\n") + 1]
        first, *lines = whole.splitlines() or [text]
        self._require_own(first)
        records = [self._record(number, line) for number, line in enumerate(lines, start=2)]
        with _clear_errors(self.part):
            os.truncate(self.part, len(whole))
        of_seeds = range(self.settings.seeds)
        return {(r["seed"], r["row"]): r for r in records if r["seed"] in of_seeds}

    def _begin(self, head: bytes) -> None:
        with suppress(FileExistsError):  # a file where the folder should be: writing tells better
            self.out.parent.mkdir(parents=True, exist_ok=True)
        self.part.write_bytes(head)

    def _require_own(self, first: bytes) -> None:
        """Refuses a file whose first line is not this recording's."""
        facts = _json(first)
        require(
            isinstance(facts, dict),
            f"out: {self.part} is none that `nas-gym table build` began: its first line is "
            f"{_shortened(first)}; move it away, or name another file",
        )
        require(
            facts == self.facts,
            f"out: {self.part} was begun with other settings or another version; "
            "use the same ones, or name another file",
        )

    def _record(self, number: int, line: bytes) -> dict[str, Any]:
        """What a line of the file holds."""
        record = _json(line)
        if (
            not isinstance(record, dict)
            or not set(record) >= _FIELDS
            or type(record["seed"]) is not int
            or record["row"] not in range(len(self.choices))
        ):
            raise InvalidSettings(
                f"out: {self.part}: line {number} is no child's record: {_shortened(line)}; "
                "delete the line, and the same command trains its child again"
            )
        return record

    def _keep(self, record: dict[str, Any]) -> None:
        with _clear_errors(self.part), self.part.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        self.done[record["seed"], record["row"]] = record

    def run(self, workers: int = 1) -> Iterator[int]:
        """Trains what is missing, seed after seed; yields how many children are done, after each.

        Args:
            workers: How many processes train, each with one thread.

        Raises:
            InvalidSettings: a line cannot be written.
            RecordingStopped: a worker was killed, or cannot start.
        """
        order = np.random.default_rng(ORDER_SEED).permutation(len(self.choices)).tolist()
        children = [(number, row) for number in range(self.settings.seeds) for row in order]
        missing = [child for child in children if child not in self.done]
        if not missing:
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context, _start, (self.settings,)) as pool:
            try:
                tasks = [
                    pool.submit(_train, number, row, self.search_space.decode(self.choices[row]))
                    for number, row in missing
                ]
                for task in as_completed(tasks):
                    self._keep(task.result())
                    yield len(self.done)
            except BrokenProcessPool as error:
                raise RecordingStopped(
                    f"workers: a worker process was killed, perhaps for want of memory, or cannot "
                    f"start; {len(self.done):,} of {self.children:,} children are kept in "
                    f"{self.part}, and the same command goes on where it was, also with fewer "
                    "workers"
                ) from error
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def write(self) -> None:
        """Writes the finished table, and takes the file of lines away.

        Raises:
            InvalidSettings: children are missing, or the table cannot be written.
        """
        missing = self.children - len(self.done)
        require(not missing, f"out: {missing} children are not recorded yet; build first")
        records = [
            [self.done[number, row] for number in range(self.settings.seeds)]
            for row in range(len(self.choices))
        ]
        made = {**self.facts, "seeds": self.settings.seeds}
        arrays: dict[str, Any] = _arrays(made, self.choices, self.row_of, records)
        whole = self.out.with_name(self.out.name + ".whole")
        with _clear_errors(self.out):
            with whole.open("wb") as file:
                np.savez_compressed(file, **arrays)
            whole.replace(self.out)
            self.part.unlink()


def _json(line: bytes) -> Any:
    """What a line says, or None if it is no JSON."""
    try:
        return json.loads(line)
    except ValueError:
        return None


def _shortened(line: bytes) -> str:
    """The start of a line, for a message."""
    return repr(line[:40].decode(errors="replace")) + ("..." if len(line) > 40 else "")


def _facts(search_space: SearchSpace, settings: RecordingSettings, rows: int) -> dict[str, Any]:
    """Everything that a line of the record depends on, as JSON; the first line."""
    trainer = settings.trainers()[0]
    facts = {
        "search_space": search_space.name,
        "rows": rows,
        **asdict(settings),
        "train_images": len(trainer.dataset.train),
        "validation_images": len(trainer.dataset.validation),
        "test_images": len(trainer.dataset.test),
        "fingerprint": trainer.fingerprint,
    }
    del facts["seeds"]  # there can be more later
    plain: dict[str, Any] = json.loads(json.dumps(facts))
    return plain


_trainers: list[Trainer] = []
"""A worker process's own."""


_FIELDS = {"seed", "row", "status", "validation_right", "test_right", "seconds"}
_FIELDS |= {"parameters", "multiply_adds"}
"""Of a line of the record."""


def _start(settings: RecordingSettings) -> None:
    end_with_parent()
    torch.set_num_threads(1)
    _trainers.extend(settings.trainers())


def _train(number: int, row: int, architecture: Architecture) -> dict[str, Any]:
    """One line of the record: an architecture, trained with one of the seeds."""
    return {"seed": number, "row": row, **record_child(_trainers[number], architecture)}


def record_child(trainer: Trainer, architecture: Architecture) -> dict[str, Any]:
    """Trains an architecture once and tests it: plain JSON data.

    Its seconds are the processor's on a CPU, which do not depend on what else the machine does.
    """
    started = time.process_time()
    evaluation, network = trainer.train_one(architecture)
    seconds = time.process_time() - started
    validation, test = len(trainer.dataset.validation), len(trainer.dataset.test)
    return {
        "status": evaluation.status,
        "validation_right": [round(accuracy * validation) for accuracy in evaluation.curve],
        "test_right": None if network is None else round(trainer.test_accuracy(network) * test),
        "seconds": round(seconds if trainer.device.type == "cpu" else evaluation.seconds, 4),
        "parameters": evaluation.parameters,
        "multiply_adds": evaluation.multiply_adds,
    }


def _arrays(
    made: Mapping[str, Any],
    choices: Sequence[Choices],
    row_of: NDArray[np.int32],
    records: Sequence[Sequence[Mapping[str, Any]]],
) -> dict[str, Any]:
    """The table's arrays: n architectures, S seeds, E epochs; -1 where a child failed before."""
    epochs = made["training"]["epochs"]

    def padded(right: list[int]) -> list[int]:
        return right + [-1] * (epochs - len(right))

    def column(name: str) -> list[list[Any]]:
        return [[-1 if run[name] is None else run[name] for run in runs] for runs in records]

    return {
        "version": np.array(BUILT_VERSION),
        "made": np.array(json.dumps(made, sort_keys=True)),
        "choices": np.array(choices, np.uint8),
        "row_of": row_of,
        "status": np.array(column("status")),
        "validation_right": np.array(
            [[padded(run["validation_right"]) for run in runs] for runs in records], np.int32
        ),
        "test_right": np.array(column("test_right"), np.int32),
        "seconds": np.array(column("seconds"), np.float32),
        "parameters": np.array(column("parameters"), np.int64)[:, 0],
        "multiply_adds": np.array(column("multiply_adds"), np.int64)[:, 0],
    }
