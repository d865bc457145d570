"""`Memory`: nothing is trained twice, and the budget says what was."""

import json
from collections.abc import Sequence
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from nas_gym import Architecture, Budget, Evaluation
from nas_gym.evaluation.evaluator import Evaluator, RecordedEvaluator
from nas_gym.evaluation.memory import Memory
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.search_spaces import Block, Cell, CellArchitecture
from nas_gym.search_spaces.cells import ADD
from tests.helpers import RecordedStub, StubEvaluator, random_architecture
from tests.workers.manual_workers import ManualWorkers, evaluation_of


@pytest.fixture
def stub() -> StubEvaluator:
    return StubEvaluator()


@pytest.fixture
def caching(stub: StubEvaluator) -> Memory:
    return Memory(stub)


def mirrored(architecture: CellArchitecture) -> CellArchitecture:
    """The same network: the halves of every block are swapped."""
    cells = [
        replace(
            cell,
            blocks=tuple(Block(b.hidden2, b.hidden1, b.op2, b.op1, b.combine) for b in cell.blocks),
        )
        for cell in (architecture.normal, architecture.reduction)
    ]
    return CellArchitecture(*cells)


def test_answers_are_the_evaluators_in_order(caching: Memory) -> None:
    architectures = [random_architecture(seed) for seed in range(5)]
    assert caching.evaluate(architectures) == StubEvaluator().evaluate(architectures)


def test_an_architecture_is_evaluated_once(caching: Memory, stub: StubEvaluator) -> None:
    architecture = random_architecture(0)
    [first] = caching.evaluate([architecture])
    [second] = caching.evaluate([architecture])
    assert not first.cached
    assert second == replace(first, cached=True)
    assert [len(batch) for batch in stub.asked if batch] == [1]


def test_the_same_network_chosen_otherwise_is_evaluated_once(
    caching: Memory, stub: StubEvaluator
) -> None:
    architecture = random_architecture(0)
    assert mirrored(architecture) != architecture
    [first] = caching.evaluate([architecture])
    [second] = caching.evaluate([mirrored(architecture)])
    assert second == replace(first, cached=True)
    assert sum(map(len, stub.asked)) == 1


def test_duplicates_within_a_batch_are_evaluated_once(caching: Memory, stub: StubEvaluator) -> None:
    one, two = random_architecture(1), random_architecture(2)
    answers = caching.evaluate([one, two, mirrored(one), one, two])
    assert [answer.cached for answer in answers] == [False, False, True, True, True]
    first, second, *others = (answer.accuracy for answer in answers)
    assert others == [first, first, second]
    assert stub.asked == [[one, two]]


def test_known_and_new_architectures_keep_their_order(caching: Memory, stub: StubEvaluator) -> None:
    a, b, c = (random_architecture(seed) for seed in range(3))
    caching.evaluate([b])
    answers = caching.evaluate([a, b, c])
    assert [answer.cached for answer in answers] == [False, True, False]
    expected = [answer.accuracy for answer in StubEvaluator().evaluate([a, b, c])]
    assert [answer.accuracy for answer in answers] == expected
    assert stub.asked == [[b], [a, c]]


def test_the_budget_counts_what_was_asked_and_what_was_made(caching: Memory) -> None:
    a, b, c = (random_architecture(seed) for seed in range(3))
    assert caching.budget == Budget(asked=0, made=0, seconds=0.0)
    caching.evaluate([a, b, a])
    assert caching.budget == Budget(asked=3, made=2, seconds=3.0)
    caching.evaluate([a, mirrored(b)])
    assert caching.budget == Budget(asked=5, made=2, seconds=3.0)
    caching.evaluate([c])
    assert caching.budget == Budget(asked=6, made=3, seconds=4.5)


def test_an_empty_batch_costs_nothing(caching: Memory) -> None:
    assert caching.evaluate([]) == []
    assert caching.budget == Budget()


def test_a_failure_is_remembered_too() -> None:
    stub = StubEvaluator(status="crashed")
    caching = Memory(stub)
    first, second = (caching.evaluate([random_architecture(0)])[0] for _ in range(2))
    assert first.status == second.status == "crashed"
    assert (first.cached, second.cached) == (False, True)
    assert caching.budget.made == 1


def test_caches_do_not_share_what_they_know(stub: StubEvaluator) -> None:
    for _ in range(2):
        [answer] = Memory(stub).evaluate([random_architecture(0)])
        assert not answer.cached


def test_an_evaluation_is_plain_data_and_cannot_be_changed(stub: StubEvaluator) -> None:
    block = Block(0, 1, "identity", "identity", ADD)
    cell = Cell((block,), (2,))
    [evaluation] = stub.evaluate([CellArchitecture(cell, cell)])
    record = evaluation.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record["curve"] == list(evaluation.curve)
    assert record["status"] == "ok"
    with pytest.raises(FrozenInstanceError):
        evaluation.accuracy = 1.0  # type: ignore[misc]


def test_what_a_store_knew_of_another_run_is_not_counted_as_made(stub: StubEvaluator) -> None:
    a, b, c = (random_architecture(seed) for seed in range(3))

    class KnowsA(StubEvaluator):
        def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
            made = super().evaluate(architectures)
            return [
                replace(evaluation, cached=architecture == a)
                for architecture, evaluation in zip(architectures, made, strict=True)
            ]

    caching = Memory(KnowsA())
    assert [answer.cached for answer in caching.evaluate([a, b, a])] == [True, False, True]
    assert caching.budget == Budget(asked=3, made=1, seconds=1.5)
    assert [answer.cached for answer in caching.evaluate([a, b, c])] == [True, True, False]
    assert caching.budget == Budget(asked=6, made=2, seconds=3.0)


def test_submitted_evaluations_share_memory_and_budget_with_the_others() -> None:
    workers = ManualWorkers()
    caching = Memory(workers)
    a, b, c = (random_architecture(seed) for seed in range(3))
    futures = [caching.submit(each) for each in (a, b, mirrored(a))]
    assert workers.asked == [(a, 0), (b, 0)]
    assert caching.budget == Budget(asked=3, made=0, seconds=0.0)
    workers.finish(place=1)
    assert [future.done() for future in futures] == [False, True, False]
    assert caching.budget == Budget(asked=3, made=1, seconds=1.5)
    workers.finish()
    assert [future.result().cached for future in futures] == [False, False, True]
    assert futures[0].result() == evaluation_of(a)
    assert caching.budget == Budget(asked=3, made=2, seconds=3.0)
    assert caching.submit(b).result() == replace(evaluation_of(b), cached=True)
    assert [answer.cached for answer in caching.evaluate([a, c])] == [True, False]
    assert caching.submit(c).result().cached
    assert caching.budget == Budget(asked=7, made=3, seconds=4.5)
    assert len(workers.asked) == 3


def test_what_changes_is_submitted_each_time() -> None:
    workers = ManualWorkers()
    workers.changes = True  # type: ignore[attr-defined]
    memory = Memory(workers)
    for _ in range(2):
        future = memory.submit(random_architecture(0))
        workers.finish()
        assert not future.result().cached
    assert memory.budget == Budget(asked=2, made=2, seconds=3.0)


def test_a_batch_waits_for_what_is_under_way() -> None:
    workers = ManualWorkers()
    caching = Memory(workers)
    a, b = random_architecture(0), random_architecture(1)
    future = caching.submit(a)
    answers = caching.evaluate([b, a])  # finishes all that is under way
    assert [answer.cached for answer in answers] == [False, True]
    assert not future.result().cached
    assert workers.asked == [(a, 0), (b, 0)]
    assert caching.budget == Budget(asked=3, made=2, seconds=3.0)


def test_a_submitted_evaluation_that_raises_can_be_asked_for_again() -> None:
    workers = ManualWorkers()
    caching = Memory(workers)
    futures = [caching.submit(random_architecture(0)) for _ in range(2)]
    workers.fail(OSError("no space"))
    for future in futures:
        with pytest.raises(OSError, match="no space"):
            future.result()
    again = caching.submit(random_architecture(0))
    workers.finish()
    assert not again.result().cached
    assert caching.budget == Budget(asked=3, made=1, seconds=1.5)


def test_submitting_to_an_evaluator_of_batches_evaluates_at_once(
    caching: Memory, stub: StubEvaluator
) -> None:
    first, second = (caching.submit(random_architecture(0)) for _ in range(2))
    assert first.done()
    assert second.result() == replace(first.result(), cached=True)
    assert len(stub.asked[0]) == 1
    search_space = NASBench201SearchSpace()
    recorded = Memory(RecordedStub(search_space))
    architecture = search_space.decode(BATCH[0])
    assert [recorded.submit(architecture).result().cached for _ in range(2)] == [False, True]
    assert recorded.budget == Budget(asked=2, made=1, seconds=17.5)


BATCH = np.array([[3, 3, 3, 3, 3, 2], [2, 3, 3, 3, 3, 3], [4, 4, 4, 4, 4, 4], [3, 3, 3, 2, 3, 3]])
"""Rows 17, 17, 24 and 17 of a `RecordedStub`; by their keys, four networks."""


def test_rows_of_a_recorded_benchmark_are_paid_for_once() -> None:
    search_space = NASBench201SearchSpace()
    caching = Memory(RecordedStub(search_space))
    found = caching.evaluate_choices(search_space, BATCH)
    assert found.columns["cached"].tolist() == [False, True, False, True]
    assert caching.budget == Budget(asked=4, made=2, seconds=42.0)
    again = caching.evaluate_choices(search_space, BATCH[1:])
    assert again.columns["cached"].all()
    assert caching.budget == Budget(asked=7, made=2, seconds=42.0)


def test_recorded_evaluations_agree_as_arrays_one_by_one_and_by_architecture() -> None:
    search_space = NASBench201SearchSpace()
    recorded, plain = RecordedStub(search_space), StubOfOneCall(RecordedStub(search_space))
    assert isinstance(recorded, RecordedEvaluator)
    assert not isinstance(plain, RecordedEvaluator)
    architectures = [search_space.decode(choices) for choices in BATCH]
    found = Memory(recorded).evaluate_choices(search_space, BATCH)
    records = Memory(recorded).evaluate(architectures)
    assert [found[index] for index in range(4)] == records
    listed = Memory(plain).evaluate_choices(search_space, BATCH).columns
    for name, column in found.columns.items():
        assert column.tolist() == [getattr(record, name) for record in records]
        if name != "cached":
            np.testing.assert_array_equal(listed[name], column)


class StubOfOneCall:
    """An evaluator with the one call that all have."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluate = evaluator.evaluate


def test_none_is_nan_in_arrays(stub: StubEvaluator) -> None:
    search_space = NASBench201SearchSpace()
    stub.parameters = None
    columns = Memory(stub).evaluate_choices(search_space, BATCH).columns
    assert np.isnan(columns["parameters"]).all()
    assert columns["multiply_adds"].tolist() == [100.0] * 4


def test_an_evaluator_that_says_nothing_gets_isomorphic_networks_apart() -> None:
    stub = StubEvaluator()
    one = random_architecture(1)
    assert one.key == mirrored(one).key
    answers = Memory(StubOfOneCall(stub)).evaluate([one, mirrored(one), one])
    assert [answer.cached for answer in answers] == [False, False, True]
    assert stub.asked == [[one, mirrored(one)]]
    merging = StubEvaluator()
    Memory(merging).evaluate([one, mirrored(one)])
    assert merging.asked == [[one]]


def test_an_empty_batch_is_never_asked_for(stub: StubEvaluator) -> None:
    memory = Memory(stub)
    memory.evaluate([])
    memory.evaluate([random_architecture(0)])
    memory.evaluate([random_architecture(0)])
    assert len(stub.asked) == 1


def test_costs_are_seen_through_a_memory(stub: StubEvaluator) -> None:
    assert Memory(stub).costs is None
    recorded = RecordedStub(NASBench201SearchSpace())
    assert Memory(recorded).costs == ("parameters",)
