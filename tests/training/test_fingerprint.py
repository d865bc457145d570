"""The fingerprint follows the code that builds the networks."""

from __future__ import annotations

import copy
import functools
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_gym.architecture import Architecture
from nas_gym.data.loading import load_dataset
from nas_gym.errors import InvalidSettings
from nas_gym.family import family_of, register_family
from nas_gym.networks import ChildNetwork, ImageShape
from nas_gym.search_spaces import CellArchitecture
from nas_gym.store.evaluator import StoredEvaluator
from nas_gym.store.store import Store
from nas_gym.training.fingerprint import builder_digests, code_digest, task_digests
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.tasks.images import ImageClassification
from nas_gym.training.trainer import Trainer
from tests.training.test_trainer import small

QUICK = TrainingSettings(epochs=1)
NETWORK = '''
class Network(ChildNetwork):
    """{docstring}"""

    def __init__(self, architecture, image_shape):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear({inputs}, image_shape.classes))

    def forward(self, x):
        return self.layers(x[:, :, :{rows}])  # {comment}
'''


class Linear(ChildNetwork):
    """Stands in for a family's network."""

    rows = 8

    def __init__(self, architecture: Architecture, image_shape: ImageShape) -> None:
        super().__init__()
        self.layers = nn.Linear(8 * self.rows, image_shape.classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x[:, :, : self.rows].flatten(1))
        return logits


class Less(Linear):
    """The same with half of the image."""

    rows = 4


@pytest.fixture
def register() -> Iterator[Callable[[Any], object]]:
    family = family_of(CellArchitecture)
    assert family is not None
    yield lambda network: register_family(replace(family, network=network))
    register_family(family)


def test_a_store_does_not_answer_with_another_networks_accuracy(
    register: Callable[[Any], object], tmp_path: Path
) -> None:
    digits = load_dataset("digits")
    store = Store(tmp_path / "store.db")

    def evaluated(run: str) -> tuple[str, bool]:
        trainer = Trainer(digits, QUICK, "cpu", architecture_type=CellArchitecture)
        [evaluation] = StoredEvaluator(trainer, store, run).evaluate([small()])
        assert evaluation.status == "ok"
        return evaluation.fingerprint, evaluation.cached

    register(Linear)
    first, again = evaluated("first"), evaluated("again")
    register(Less)
    other = evaluated("other")
    assert (first[1], again[1], other[1]) == (False, True, False)
    assert first[0] == again[0] != other[0]


def test_the_trainer_of_any_architecture_knows_of_it_too(
    register: Callable[[Any], object],
) -> None:
    trainer = Trainer(load_dataset("digits"), QUICK, "cpu")
    before = trainer.fingerprint
    register(Linear)
    assert trainer.fingerprint != before


def test_another_family_does_not_count(register: Callable[[Any], object]) -> None:
    from nas_gym.search_spaces.chains import ChainArchitecture

    before = builder_digests("network", ChainArchitecture)
    assert len(before) == 1
    register(Linear)
    assert builder_digests("network", ChainArchitecture) == before


def test_another_process_has_the_same_fingerprint() -> None:
    trainer = Trainer(load_dataset("digits"), QUICK, "cpu")
    assert pickle.loads(pickle.dumps(trainer)).fingerprint == trainer.fingerprint
    script = (
        "import nas_gym; from nas_gym.search_spaces import CellArchitecture; "
        "from nas_gym.training.fingerprint import builder_digests; "
        "print(builder_digests('network', CellArchitecture))"
    )
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == str(builder_digests("network", CellArchitecture))


class Doubled(ImageClassification):
    """A task of one's own."""

    def loss(self, network: ChildNetwork, inputs: Tensor, targets: Tensor) -> Tensor:
        return 2 * super().loss(network, inputs, targets)


class Halved(ImageClassification):
    """Another one on the same data."""

    def loss(self, network: ChildNetwork, inputs: Tensor, targets: Tensor) -> Tensor:
        return super().loss(network, inputs, targets) / 2


def test_the_code_of_a_task_of_ones_own_counts() -> None:
    def fingerprint(task: Any) -> str:
        dataset = copy.copy(load_dataset("digits"))
        object.__setattr__(dataset, "task", task)
        trainer = Trainer(dataset, QUICK, "cpu", architecture_type=CellArchitecture)
        assert pickle.loads(pickle.dumps(trainer)).fingerprint == trainer.fingerprint
        return trainer.fingerprint

    tasks = (ImageClassification, Doubled, Halved)
    found = [fingerprint(each) for each in tasks]
    assert len(set(found)) == 3
    assert found == [fingerprint(f"{each.__module__}:{each.__name__}") for each in tasks]
    assert task_digests(ImageClassification) == {}  # a store of earlier versions stays valid


def executed(**parts: object) -> Any:
    """A class without a file, as typed at a prompt."""
    values = {"inputs": 64, "rows": 8, "docstring": "A", "comment": "B", **parts}
    names: dict[str, Any] = {
        "__name__": "prompt",
        "ChildNetwork": ChildNetwork,
        "nn": nn,
        "torch": torch,
    }
    exec(NETWORK.format(**values), names)
    return names["Network"]


def test_code_counts_and_prose_does_not() -> None:
    assert code_digest(executed()) == code_digest(executed())
    assert code_digest(executed(comment="another")) == code_digest(executed())
    assert code_digest(executed(rows=4)) != code_digest(executed())


def test_parameters_of_a_builder_count() -> None:
    def with_rows(rows: int) -> Callable[..., object]:
        def build(architecture: Architecture, image_shape: ImageShape) -> object:
            return (architecture, image_shape, rows)

        return build

    assert code_digest(with_rows(4)) == code_digest(with_rows(4))
    assert code_digest(with_rows(4)) != code_digest(with_rows(8))
    partials = [functools.partial(with_rows, rows) for rows in (4, 4, 8)]
    digests = [code_digest(each) for each in partials]
    assert digests[0] == digests[1] != digests[2]


class Factory:
    """Builds with a parameter of its own."""

    def __init__(self, width: int) -> None:
        self.width = width

    def __call__(self) -> int:
        return self.width

    def build(self) -> int:
        return self.width


def test_objects_and_their_methods_count_with_what_they_hold() -> None:
    four, other = Factory(4), Factory(5)
    digests = [code_digest(each) for each in (four, other, four.build, other.build)]
    assert len(set(digests)) == 4
    assert code_digest(Factory(4)) == digests[0]


def test_padding_beyond_the_image_is_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"^crop_padding: expected at most 8 pixels"):
        Trainer(load_dataset("digits"), replace(QUICK, crop_padding=1_000_000), "cpu")
