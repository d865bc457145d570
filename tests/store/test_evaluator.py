"""`StoredEvaluator`: nothing is trained twice, and nothing is answered before it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from threading import Event
from typing import Any, ClassVar

import pytest

from nas_gym import Architecture, Budget, InvalidSettings, RecordedEvaluator
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.evaluation.evaluator import partial_fingerprint
from nas_gym.evaluation.memory import Memory
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.rewards import MnasNetReward, check_costs
from nas_gym.store.database import StoreError
from nas_gym.store.evaluator import StoredEvaluator, mean_of
from nas_gym.store.rows import Record, Row
from nas_gym.store.store import Store
from tests.evaluation.test_evaluator import mirrored
from tests.helpers import RecordedStub, StubEvaluator, random_architecture
from tests.workers.manual_workers import Children, ManualWorkers, evaluation_of

A, B, C = (random_architecture(seed) for seed in range(3))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "evaluations.db", patience=0.1) as opened:
        yield opened


@pytest.fixture
def workers() -> ManualWorkers:
    return ManualWorkers()


@pytest.fixture
def stored(workers: ManualWorkers, store: Store) -> StoredEvaluator:
    return StoredEvaluator(workers, store, "run")


def test_a_batch_is_evaluated_in_order_and_once(store: Store) -> None:
    children = Children()
    stored = StoredEvaluator(children, store, "run")
    answers = stored.evaluate([A, B, mirrored(A), C])
    assert answers == [
        evaluation_of(A),
        evaluation_of(B),
        replace(evaluation_of(A), cached=True),
        evaluation_of(C),
    ]
    assert children.asked == [(A, 0), (B, 0), (C, 0)]
    assert [record.run for record in store.records()] == ["run"] * 3
    assert stored.evaluate([]) == []


def test_it_is_written_before_it_is_told(
    stored: StoredEvaluator, workers: ManualWorkers, store: Store
) -> None:
    futures = [stored.submit(architecture) for architecture in (A, B, C)]
    known: SimpleQueue[int] = SimpleQueue()
    for future in futures:
        future.add_done_callback(lambda _: known.put(store.size()))
    workers.finish(place=1)
    assert known.get(timeout=60) == 1
    assert [future.done() for future in futures] == [False, True, False]
    assert store.get(B.key, "settings") is not None
    workers.finish()
    assert known.get(timeout=60) == 2
    workers.finish()
    assert known.get(timeout=60) == 3
    assert [future.result() for future in futures] == [evaluation_of(each) for each in (A, B, C)]


def test_what_ends_during_a_slow_write_is_written_as_one(
    stored: StoredEvaluator,
    workers: ManualWorkers,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    began, goes_on, sizes, add_rows = Event(), Event(), list[int](), store.add_rows

    def slow(rows: Sequence[Row]) -> list[Record]:
        sizes.append(len(rows))
        began.set()
        assert goes_on.wait(60)
        return add_rows(rows)

    monkeypatch.setattr(store, "add_rows", slow)
    futures = [stored.submit(random_architecture(seed)) for seed in range(6)]
    workers.finish()
    assert began.wait(60)
    while workers.under_way:
        workers.finish()  # which waits for no write
    assert not any(future.done() for future in futures)
    goes_on.set()
    assert [each.result() for each in futures] == [
        evaluation_of(random_architecture(seed)) for seed in range(6)
    ]
    assert (sizes, store.size()) == ([1, 5], 6)


def test_two_of_the_same_under_way_are_one(
    stored: StoredEvaluator, workers: ManualWorkers, store: Store
) -> None:
    futures = [stored.submit(architecture) for architecture in (A, mirrored(A), B, A)]
    assert workers.asked == [(A, 0), (B, 0)]
    workers.finish()
    workers.finish()
    answers = [future.result() for future in futures]
    assert [answer.cached for answer in answers] == [False, True, False, True]
    assert stored.submit(A).result() == replace(evaluation_of(A), cached=True)
    assert len(workers.asked) == store.size() == 2


def test_another_run_is_answered_from_the_store(store: Store) -> None:
    StoredEvaluator(Children(), store, "one").evaluate([A, B])
    children = Children()
    caching = Memory(StoredEvaluator(children, store, "two"))
    answers = caching.evaluate([A, C, A])
    assert [answer.cached for answer in answers] == [True, False, True]
    assert children.asked == [(C, 0)]
    assert caching.budget == Budget(asked=3, made=1, seconds=1.5)


def test_other_settings_are_evaluated_again(store: Store) -> None:
    StoredEvaluator(Children(), store, "one").evaluate([A])

    class Others(Children):
        fingerprint = "other settings"

        def evaluate_one(self, architecture: Any, repeat: int = 0) -> Evaluation:
            evaluation = super().evaluate_one(architecture, repeat)
            return replace(evaluation, fingerprint=self.fingerprint)

    others = Others()
    [answer] = StoredEvaluator(others, store, "two").evaluate([A])
    assert not answer.cached
    assert others.asked == [(A, 0)]
    assert store.size() == 2


def test_a_resumed_run_has_the_answers_and_the_budget_of_one_never_interrupted(
    store: Store,
) -> None:
    StoredEvaluator(Children(), store, "another").evaluate([C])
    asked = [A, C, B, A, random_architecture(3)]

    def run(name: str, number: int) -> tuple[list[Evaluation], Budget, Children]:
        children = Children({0: "crashed"})
        caching = Memory(StoredEvaluator(children, store, name))
        answers = [caching.evaluate([architecture])[0] for architecture in asked[:number]]
        return answers, caching.budget, children

    run("run", 3)  # and dies
    answers, budget, children = run("run", 5)
    assert children.asked == [(random_architecture(3), 0)]
    with Store(Path(store.name).with_name("uninterrupted.db")) as other:
        StoredEvaluator(Children(), other, "another").evaluate([C])
        store = other
        assert run("run", 5)[:2] == (answers, budget)
    assert budget == Budget(asked=5, made=3, seconds=4.5)


@pytest.mark.parametrize("status", ["crashed", "timed_out", "out_of_memory"])
def test_a_failure_of_the_machine_is_tried_again_by_another_run_only(
    store: Store, status: Any
) -> None:
    for _ in range(2):  # the second is the first one, resumed
        failing = Children({0: status})
        [answer] = StoredEvaluator(failing, store, "one").evaluate([A])
        assert (answer.status, answer.cached) == (status, False)
    assert failing.asked == []
    children = Children()
    [answer] = StoredEvaluator(children, store, "two").evaluate([A])
    assert (answer.status, answer.cached) == ("ok", False)
    [answer] = StoredEvaluator(failing, store, "one").evaluate([A])
    assert answer.status == status
    assert store.size() == 2


@pytest.mark.parametrize("status", ["diverged", "unbuildable"])
def test_a_failure_of_the_network_is_not_tried_again(store: Store, status: Any) -> None:
    StoredEvaluator(Children({0: status}), store, "one").evaluate([A])
    children = Children()
    [answer] = StoredEvaluator(children, store, "two").evaluate([A])
    assert (answer.status, answer.cached) == (status, True)
    assert children.asked == []


def test_of_two_runs_at_the_same_time_the_first_to_write_answers_both(store: Store) -> None:
    one, two = ManualWorkers(), ManualWorkers()
    first = StoredEvaluator(one, store, "one").submit(A)
    second = StoredEvaluator(two, store, "two").submit(A)
    two.under_way.pop()[0].set_result(replace(evaluation_of(A), seconds=99.0))
    wait([second])
    one.finish()
    assert second.result() == replace(evaluation_of(A), seconds=99.0)
    assert first.result() == second.result()  # not cached: both have made one
    assert store.size() == 1
    assert StoredEvaluator(one, store, "one").submit(A).result().cached


def test_repeats_have_rows_of_their_own_and_one_answer(store: Store) -> None:
    children = Children()
    stored = StoredEvaluator(children, store, "run", repeats=3)
    [answer] = stored.evaluate([A])
    made = [evaluation_of(A, repeat) for repeat in range(3)]
    assert answer == replace(mean_of(made), fingerprint="settings*3")
    assert answer.accuracy == pytest.approx(made[1].accuracy)
    assert answer.curve == pytest.approx(made[1].curve)
    assert answer.seconds == 1.5 + 2.5 + 3.5
    assert answer.fingerprint == stored.fingerprint
    assert children.asked == [(A, 0), (A, 1), (A, 2)]
    assert [record.evaluation for record in store.records()] == made
    assert stored.submit(A, repeat=1).result().accuracy == pytest.approx(
        evaluation_of(A, 4).accuracy
    )
    assert children.asked[3:] == [(A, 3), (A, 4), (A, 5)]


def test_more_repeats_train_only_what_is_missing(store: Store, workers: ManualWorkers) -> None:
    StoredEvaluator(Children(), store, "one").evaluate([A])
    stored = StoredEvaluator(workers, store, "two", repeats=3)
    future = stored.submit(A)
    again = stored.submit(A)
    assert workers.asked == [(A, 1), (A, 2)]
    workers.finish()
    assert not future.done()
    workers.finish()
    assert not future.result().cached
    assert again.result() == replace(future.result(), cached=True)
    assert StoredEvaluator(workers, store, "three", repeats=3).submit(A).result().cached


def test_a_repeat_that_fails_fails_the_whole(store: Store) -> None:
    children = Children({1: "diverged", 2: "crashed"})
    [answer] = StoredEvaluator(children, store, "run", repeats=3).evaluate([A])
    assert (answer.status, answer.accuracy) == ("diverged", 0.0)
    assert answer.message == "diverged in repeat 1"
    assert len(answer.curve) == 1
    assert store.counts() == {"settings": {"crashed": 1, "diverged": 1, "ok": 1}}


def test_the_mean_of_latencies_is_over_those_measured() -> None:
    made = [replace(evaluation_of(A, each), latency=each or None) for each in range(3)]
    assert mean_of(made).latency == 1.5
    assert mean_of(made[:1]) == made[0]


def test_what_cannot_be_written_is_an_error_and_not_an_answer(
    stored: StoredEvaluator, workers: ManualWorkers, store: Store
) -> None:
    before, failed, twin = stored.submit(A), stored.submit(B), stored.submit(B)
    workers.finish()
    wait([before])
    store._database.run(lambda c: c.exec_driver_sql("PRAGMA query_only = ON"))
    workers.finish()
    for future in (failed, twin):
        with pytest.raises(StoreError, match="cannot be written"):
            future.result()
    assert before.result() == evaluation_of(A)
    store._database.run(lambda c: c.exec_driver_sql("PRAGMA query_only = OFF"))
    again = stored.submit(B)
    workers.finish()
    assert again.result() == evaluation_of(B)


def test_an_error_of_the_evaluator_reaches_everyone_who_asked(
    stored: StoredEvaluator, workers: ManualWorkers, store: Store
) -> None:
    futures = [stored.submit(A), stored.submit(A), stored.submit(B)]
    workers.fail(InvalidSettings("the workers cannot be started"))
    stored.close()
    for future in futures[:2]:
        with pytest.raises(InvalidSettings, match="cannot be started"):
            future.result()
    assert wait(futures).not_done == set()
    with pytest.raises(CancelledError):
        futures[2].result()
    assert store.size() == 0
    assert stored.submit(A) not in futures
    assert len(workers.under_way) == 1


def test_an_interruption_ends_the_call_and_nothing_stays_under_way(store: Store) -> None:
    class Interrupted(Children):
        def evaluate_one(self, architecture: Any, repeat: int = 0) -> Evaluation:
            if not self.asked:
                self.asked.append((architecture, repeat))
                raise KeyboardInterrupt
            return super().evaluate_one(architecture, repeat)

    stored = StoredEvaluator(Interrupted(), store, "run")
    with pytest.raises(KeyboardInterrupt):
        stored.submit(A)
    assert stored.evaluate([A]) == [evaluation_of(A)]


def test_whenever_evaluations_end_each_is_made_and_counted_once(store: Store) -> None:
    class Threads(Children):
        def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
            return threads.submit(self.evaluate_one, architecture, repeat)

    different = [random_architecture(seed) for seed in range(20)]
    children = Threads()
    with ThreadPoolExecutor(4) as threads:
        caching = Memory(StoredEvaluator(children, store, "run", repeats=2))
        futures = [caching.submit(different[number % 20]) for number in range(400)]
        answers = [future.result() for future in futures]
    assert sorted(repeat for _, repeat in children.asked) == [0] * 20 + [1] * 20
    assert [answer.cached for answer in answers] == [False] * 20 + [True] * 380
    assert [replace(answer, cached=False) for answer in answers] == answers[:20] * 20
    assert caching.budget == Budget(asked=400, made=20, seconds=20 * 4.0)


def test_a_batch_starts_longest_first(store: Store, workers: ManualWorkers) -> None:
    costs = {A: 1.0, B: 3.0, C: 2.0}
    workers.cost = costs.__getitem__  # type: ignore[attr-defined]
    stored = StoredEvaluator(workers, store, "run")
    submit = workers.submit

    def submit_and_finish(architecture: Any, repeat: int) -> Future[Evaluation]:
        future = submit(architecture, repeat)
        workers.finish()
        return future

    workers.submit = submit_and_finish  # type: ignore[assignment, method-assign]
    assert stored.evaluate([A, B, C]) == [evaluation_of(each) for each in (A, B, C)]
    assert [architecture for architecture, _ in workers.asked] == [B, C, A]


def test_repeats_that_are_missing_are_asked_for_together(store: Store) -> None:
    class Together(Children):
        fused = 3
        groups: ClassVar[list[list[int]]] = []
        fidelities = (1, 2)

        def evaluate_repeats(
            self, architecture: Architecture, repeats: Sequence[int], epochs: int | None = None
        ) -> list[Evaluation]:
            self.groups.append(list(repeats))
            made = [evaluation_of(architecture, repeat) for repeat in repeats]
            return [replace(e, fingerprint=partial_fingerprint("settings", epochs)) for e in made]

    stored = StoredEvaluator(Together(), store, "run")
    stored.submit(A, repeat=1)
    futures = stored.submit_repeats(A, range(6))
    assert [each.result().accuracy for each in futures] == [
        evaluation_of(A, repeat).accuracy for repeat in range(6)
    ]
    assert Together.groups == [[0, 2, 3], [4, 5]]
    assert StoredEvaluator(Together(), store, "two", repeats=3).submit(B).result().status == "ok"
    assert Together.groups[2:] == [[0, 1, 2]]
    part = StoredEvaluator(Together(), store, "two", repeats=3).submit(B, epochs=1).result()
    assert part.fingerprint == "settings*3@1"
    assert Together.groups[3:] == [[0, 1, 2]]


def test_a_store_that_fails_between_two_repeats_leaves_none_under_way(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored, get = StoredEvaluator(Children(), store, "run", repeats=2), store.get

    def fails_at_the_second(key: str, fingerprint: str, repeat: int, run: str) -> Record | None:
        if repeat:
            raise StoreError("the server went away")
        return get(key, fingerprint, repeat, run)

    monkeypatch.setattr(store, "get", fails_at_the_second)
    with pytest.raises(StoreError, match="went away"):
        stored.submit(A)
    monkeypatch.undo()
    assert stored.submit(A).result(timeout=0).status == "ok"


def test_it_is_an_evaluator_like_the_one_under_it(store: Store, workers: ManualWorkers) -> None:
    stored = StoredEvaluator(workers, store, "run")
    assert (stored.workers, stored.fingerprint) == (2, "settings")
    assert not isinstance(stored, RecordedEvaluator)
    check_costs(MnasNetReward(0.1), stored)  # it does not say
    stored.close()
    assert workers.closed
    in_process = StoredEvaluator(Children(), store, "run")
    assert in_process.workers == 1
    with pytest.raises(InvalidSettings, match="latency"):
        check_costs(MnasNetReward(0.1), in_process)
    in_process.close()


def test_an_evaluation_of_other_settings_is_not_stored(store: Store) -> None:
    stored = StoredEvaluator(Children(), store, "run", fingerprint="mine")
    with pytest.raises(InvalidSettings, match="'settings', its evaluator 'mine'"):
        stored.evaluate([A])
    assert store.size() == 0


def test_wrong_arguments_are_named(store: Store) -> None:
    recorded: Any = RecordedStub(NASBench201SearchSpace())
    with pytest.raises(InvalidSettings, match="a recorded benchmark needs no store"):
        StoredEvaluator(recorded, store, "run")
    stub: Any = StubEvaluator()
    stub.evaluate_one = lambda architecture, repeat: None
    with pytest.raises(InvalidSettings, match="StubEvaluator has no fingerprint"):
        StoredEvaluator(stub, store, "run")
    with pytest.raises(InvalidSettings, match=r"repeats: expected a number gr.*, got 0"):
        StoredEvaluator(Children(), store, "run", repeats=0)
    changing: Any = Children()
    changing.changes = True
    with pytest.raises(InvalidSettings, match="Children cannot be given to workers or to a store"):
        StoredEvaluator(changing, store, "run")
    with pytest.raises(InvalidSettings, match="expected the name of a run"):
        StoredEvaluator(Children(), store, "")
