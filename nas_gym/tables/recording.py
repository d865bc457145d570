"""Records a benchmark: trains every distinct architecture of a small search space, several times.

Children are evaluated as in a search: by a trainer or by workers over it, and into a store, which
lies beside the table as ``FILE.npz.db``. A recording that was interrupted continues from it. The
finished table is made of the store's rows; `nas_gym.tables.table` reads it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.data.dataset import Dataset, resplit
from nas_gym.data.loading import load_dataset
from nas_gym.errors import InvalidSettings, counted, require
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.evaluation.evaluator import ChildEvaluator, ConcurrentEvaluator
from nas_gym.networks import ChildNetwork
from nas_gym.search_spaces import Choices, SearchSpace
from nas_gym.settings import Keep, Positive, Size, settings
from nas_gym.store.evaluator import StoredEvaluator
from nas_gym.store.rows import EvaluationWithTest, Record
from nas_gym.store.store import Store
from nas_gym.tables.built import built_arrays
from nas_gym.tables.columns import write_arrays
from nas_gym.training.failures import Diverged
from nas_gym.training.seeds import child_seed
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer

LARGEST_SEARCH_SPACE = 1_000_000


@settings
class RecordingSettings:
    """Settings of a recorded benchmark."""

    training: TrainingSettings
    """How children are trained; its ``seed`` is that of each child's first training."""
    dataset: str = "digits"
    image_size: Size | None = None
    split: tuple[Positive, Positive, Positive] | None = None
    """Numbers of images to train, validate and test on; default: the data set's own split."""
    seeds: Positive = 3
    """Number of trainings of each architecture."""
    repeated: Keep = 1.0
    """Share of the architectures, drawn by chance, that get them all; the others get the first."""
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("early_stopping", "inherit_weights"):
            require(
                getattr(self.training, name) is None,
                f"{name}: a record's children do not depend on each other; leave it out",
            )

    def images(self) -> Dataset:
        """Return the data set with its split."""
        dataset = load_dataset(self.dataset, self.image_size)
        return dataset if self.split is None else resplit(dataset, *self.split)

    def trainer(self) -> RecordingTrainer:
        """Return the evaluator of the children."""
        return RecordingTrainer(self.images(), self.training, self.device)


class RecordingTrainer(Trainer):
    """A trainer whose repeats have the seeds of a benchmark, and whose evaluations a test accuracy.

    Repeat r of a child is what another `Trainer`, with r added to the settings' seed, gives it. The
    seconds are the processor's on a CPU, which do not depend on the machine's other work.
    """

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        return child_seed(self.settings.seed + repeat, architecture)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the trainer, marked, since repeats have other seeds."""
        return f"{super().fingerprint}/recorded"

    def evaluate_one(
        self, architecture: Architecture, repeat: int = 0, epochs: int | None = None
    ) -> Evaluation:
        return self.evaluate_repeats(architecture, [repeat], epochs)[0]

    def evaluate_repeats(
        self, architecture: Architecture, repeats: Sequence[int], epochs: int | None = None
    ) -> list[Evaluation]:
        if epochs is not None:
            return super().evaluate_repeats(architecture, repeats, epochs)
        self.count_multiply_adds = 0 in repeats  # they are the same in every repeat
        started = time.process_time()
        trained = self.train_repeats(architecture, repeats)
        seconds = (time.process_time() - started) / len(trained)
        return [self._tested(*each, seconds) for each in trained]

    def _tested(
        self, evaluation: Evaluation, network: ChildNetwork | None, seconds: float
    ) -> EvaluationWithTest:
        if self.device.type == "cpu":
            evaluation = replace(evaluation, seconds=seconds)
        test_accuracy = None
        if network is not None:
            with suppress(Diverged):
                test_accuracy = self.test_accuracy(network)
        return EvaluationWithTest(**vars(evaluation), test_accuracy=test_accuracy)


def distinct_choices(search_space: SearchSpace) -> tuple[list[Choices], NDArray[np.int32]]:
    """List every distinct architecture of a search space, small enough to be walked through, once.

    Returns the first choices, (T,), of each of n architectures, in order; and ``row_of`` of
    `ChoicesIndex`, the number of the architecture that every sequence means.
    """
    sequences = math.prod(search_space.num_choices)
    require(
        sequences <= LARGEST_SEARCH_SPACE,
        f"search space: {search_space.name} has {Decimal(sequences):.3g} sequences of choices; "
        f"recording every child is for at most {LARGEST_SEARCH_SPACE:,}",
    )
    row_of = np.full(search_space.num_choices, -1, np.int32)
    rows: dict[Architecture, tuple[int, Choices]] = {}
    for choices in _sequences(search_space, np.zeros(0, dtype=np.int64)):
        network = search_space.decode(choices).canonical()
        row_of[tuple(choices)], _ = rows.setdefault(network, (len(rows), choices))
    return [choices for _, choices in rows.values()], row_of.ravel()


def _sequences(search_space: SearchSpace, prefix: Choices) -> Iterator[Choices]:
    if len(prefix) == len(search_space.decisions):
        yield prefix
        return
    for choice in np.flatnonzero(search_space.valid_choices(prefix)):
        yield from _sequences(search_space, np.append(prefix, choice))


@contextmanager
def _clear_errors(path: Path) -> Iterator[None]:
    """Raise what the system says of a file as a user's mistake."""
    try:
        yield
    except OSError as error:
        raise InvalidSettings(
            f"out: {path} cannot be read or written ({error.strerror}); name a file in a folder "
            "that can be written to and has room"
        ) from error


class Recording:
    """A benchmark that is recorded by training every distinct architecture of a search space.

    The table's file is ``out``; the store lies beside it, with ``.db`` at the end of its name.
    """

    def __init__(self, search_space: SearchSpace, settings: RecordingSettings, out: Path) -> None:
        self.search_space, self.settings, self.out = search_space, settings, out
        require(out.suffix == ".npz", f"out: expected a file named .npz, got {out}")
        with _clear_errors(out):
            require(not out.exists(), f"out: {out} exists already, and is never overwritten")
            with suppress(FileExistsError):  # a file where the folder is to be: the store says so
                out.parent.mkdir(parents=True, exist_ok=True)
        self.trainer = settings.trainer()
        """The evaluator of the children, for `run` or for workers."""
        self.choices, self.row_of = distinct_choices(search_space)
        # A random order, so that an unfinished record is a fair sample.
        order = np.random.default_rng(0).permutation(len(self.choices)).tolist()
        repeated = order[: math.ceil(settings.repeated * len(order))]
        self.trainings = dict.fromkeys(order, 1) | dict.fromkeys(repeated, settings.seeds)
        """Number of trainings of each row, in the order in which they are made."""
        self.children = sum(self.trainings.values())
        """Number of trainings in all."""
        self._keys = [search_space.decode(choices).key for choices in self.choices]
        self._store_file = out.with_name(out.name + ".db")
        self.store = Store(self._store_file)
        try:
            self.done = self._resumed()
            """Finished trainings, by number of the seed and row."""
        except BaseException:
            self.close()
            raise

    def _resumed(self) -> dict[tuple[int, int], Record]:
        """Return what the store has, and refuse one of other settings."""
        fingerprint, done = self.trainer.fingerprint, {}
        rows = {key: row for row, key in enumerate(self._keys)}
        for record in self.store.records():
            require(
                record.evaluation.fingerprint == fingerprint and record.key in rows,
                f"out: {self.store.name} was begun with other settings or another version; "
                "use the same ones, or name another file",
            )
            row = rows[record.key]
            if record.repeat < self.trainings[row]:  # there may be more, of an earlier call
                done[record.repeat, row] = record
        return done

    def run(self, evaluator: ChildEvaluator | ConcurrentEvaluator) -> Iterator[int]:
        """Train what is missing by `trainer`, or workers over it; yield the number finished."""
        stored = StoredEvaluator(evaluator, self.store, self.out.name)
        seeds, together = range(self.settings.seeds), self.settings.training.fused
        groups = [seeds[at : at + together] for at in range(0, len(seeds), together)]
        asked: dict[Future[Evaluation], tuple[int, int]] = {}
        for group, row in product(groups, self.trainings):
            wanted = [repeat for repeat in group if repeat < self.trainings[row]]
            missing = [repeat for repeat in wanted if (repeat, row) not in self.done]
            if not missing:
                continue
            architecture = self.search_space.decode(self.choices[row])
            futures = stored.submit_repeats(architecture, missing)
            asked |= {future: (each, row) for future, each in zip(futures, missing, strict=True)}
            if len(asked) >= 2 * stored.workers:  # as many wait as are under way
                yield from self._finish(asked)
        while asked:
            yield from self._finish(asked)

    def _finish(self, asked: dict[Future[Evaluation], tuple[int, int]]) -> Iterator[int]:
        """Wait for trainings, and move the finished ones to `done`."""
        finished, _ = wait(asked, return_when=FIRST_COMPLETED)
        for future in finished:
            repeat, row = asked.pop(future)
            fingerprint = future.result().fingerprint
            record = self.store.get(self._keys[row], fingerprint, repeat, self.out.name)
            assert record is not None
            self.done[repeat, row] = record
            yield len(self.done)

    def write(self) -> None:
        """Write the finished table, and delete the store."""
        missing = self.children - len(self.done)
        require(not missing, f"out: {counted(missing, 'child')} not recorded yet; build first")
        records = [
            [_evaluation(self.done.get((repeat, row))) for repeat in range(self.settings.seeds)]
            for row in range(len(self.choices))
        ]
        choices = np.array(self.choices, np.uint8)
        arrays = {"choices": choices, "row_of": self.row_of, **built_arrays(self._facts(), records)}
        with _clear_errors(self.out):
            write_arrays(self.out, arrays)
            self.close()
            self._store_file.unlink()

    def close(self) -> None:
        """Close the store; what was recorded is in it already."""
        self.store.close()

    def _facts(self) -> dict[str, Any]:
        """Return everything that the record depends on."""
        parts = ("train", "validation", "test")
        return {
            "search_space": self.search_space.name,
            "rows": len(self.choices),
            **asdict(self.settings),
            **{f"{part}_images": len(getattr(self.trainer.dataset, part)) for part in parts},
            "fingerprint": self.trainer.fingerprint,
        }


def _evaluation(record: Record | None) -> EvaluationWithTest:
    """Return what was recorded of a training, or that it was not made."""
    if record is None:
        return EvaluationWithTest("unrecorded", 0.0, (), 0.0, 0, "")
    return EvaluationWithTest(**vars(record.evaluation), test_accuracy=record.test_accuracy)
