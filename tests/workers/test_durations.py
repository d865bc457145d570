from __future__ import annotations

import numpy as np
import pytest

from nas_gym.families.nasbench201.search_space import NASBENCH201_OPERATIONS, NASBench201SearchSpace
from nas_gym.workers.durations import LearnedSeconds
from tests.helpers import random_architecture

SECONDS = dict(zip(NASBENCH201_OPERATIONS, (0.0, 0.1, 1.0, 4.0, 0.5), strict=True))


def test_seconds_are_learned_from_a_few_children() -> None:
    search_space, rng = NASBench201SearchSpace(), np.random.default_rng(0)
    cells = [search_space.decode(search_space.sample(rng)) for _ in range(60)]
    seconds = [2.0 + sum(SECONDS[label] for label in cell.operations) for cell in cells]
    estimate = LearnedSeconds()
    assert [estimate(cell) for cell in cells[:2]] == [0.0, 0.0]
    for cell, taken in zip(cells[:15], seconds, strict=False):
        estimate.add(cell, taken)
    assert [estimate(cell) for cell in cells] == pytest.approx(seconds, abs=0.01)


def test_labels_that_are_new_do_not_stop_it() -> None:
    estimate = LearnedSeconds()
    estimate.add(random_architecture(0), 3.0)
    assert estimate(random_architecture(0)) == pytest.approx(3.0, abs=0.01)
    assert 0.0 < estimate(random_architecture(1)) < 6.0
