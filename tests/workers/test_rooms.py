"""Children share a GPU as far as its memory goes; one that runs out of it is tried alone."""

from __future__ import annotations

import pickle
from concurrent.futures import CancelledError, Future

import pytest

from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.workers.pool import Pool
from nas_gym.workers.protocol import Answer, Child, Place, Worker
from tests.evaluation.scripted import Script, ScriptedEvaluator

GPUS = (Place("one", 100.0), Place("one", 100.0), Place("one", 100.0), Place("two", 100.0))


class Sized(ScriptedEvaluator):
    """Its children's values are the bytes that they take."""

    estimates = 0

    def memory_bytes(self, architecture: Script) -> float:
        self.estimates += 1
        return float(architecture.value)


class ManualWorker(Worker):
    """Its child ends when a test says so."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.child: tuple[str, float | None] | None = None
        self.answer: Future[Answer] = Future()

    def begin(self) -> Future[Place]:
        ready: Future[Place] = Future()
        ready.set_result(self.place)
        return ready

    def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
        self.child, self.answer = (pickle.loads(child.pickled).act, limit), Future()
        return self.answer

    def finish(self, status: Status = "ok") -> None:
        self.child = None
        self.answer.set_result(([Evaluation(status, 0.0, (), 0.0, 0, "scripted")], True))

    def check(self) -> None:
        pass

    def replace(self) -> None:
        pass

    def cancel(self) -> None:
        self.finish("crashed")  # too late: it had ended already

    def end(self) -> None:
        pass


class Rig:
    """A pool of such workers, whose events are over when a method returns."""

    def __init__(self, places: tuple[Place, ...] = GPUS) -> None:
        self.workers = [ManualWorker(place) for place in places]
        self.evaluator = Sized()
        self.pool = Pool(self.evaluator)
        self.pool.shares_gpus = True
        self.pool.start(self.workers)
        self.settle()

    def settle(self) -> None:
        """Wait for the dispatcher's events, and for those that follow from them."""
        for _ in range(3):
            over: Future[None] = Future()
            self.pool._dispatcher._events.put(lambda it=over: it.set_result(None))  # type: ignore[misc]
            over.result(timeout=60)

    def ask(self, **sizes: float) -> list[Future[Evaluation]]:
        futures = [self.pool.submit(Script(name, str(size))) for name, size in sizes.items()]
        self.settle()
        return futures

    def finish(self, name: str, status: Status = "ok") -> None:
        [worker] = [each for each in self.workers if each.child and each.child[0] == name]
        worker.finish(status)
        self.settle()

    def busy(self) -> dict[str, list[tuple[str, float | None]]]:
        """The children of each GPU, with their limits."""
        children: dict[str, list[tuple[str, float | None]]] = {}
        for worker in self.workers:
            if worker.child:
                children.setdefault(worker.place.name, []).append(worker.child)
        return {name: sorted(each) for name, each in children.items()}


def test_children_begin_where_the_memory_is_free() -> None:
    rig = Rig()
    rig.ask(a=60, b=70, c=30, d=30, e=20, f=1)
    # One worker is alone on its GPU, and its children have no limit.
    assert rig.busy() == {"one": [("a", 60.0), ("c", 30.0)], "two": [("b", None)]}
    rig.finish("b")  # d waits longest, and has no room on the first one
    assert rig.busy() == {"one": [("a", 60.0), ("c", 30.0)], "two": [("d", None)]}
    rig.finish("a")
    assert rig.busy()["one"] == [("c", 30.0), ("e", 20.0), ("f", 1.0)]
    rig.pool.close()


def test_a_childs_memory_is_estimated_once() -> None:
    rig = Rig()
    child = Script("a", "10")
    rig.pool.submit_repeats(child, [0, 1])
    rig.pool.submit(child, epochs=1)
    rig.settle()
    assert rig.busy() == {"one": [("a", 10.0), ("a", 10.0)], "two": [("a", None)]}
    assert rig.evaluator.estimates == 1
    rig.pool.close()


def test_a_child_larger_than_the_memory_is_tried_where_no_other_is() -> None:
    rig = Rig(GPUS[:2])
    rig.ask(a=10, large=1000, c=10)
    assert rig.busy() == {"one": [("a", 10.0)]}  # c does not pass it, or it might wait for ever
    rig.finish("a")
    assert rig.busy() == {"one": [("large", 1000.0)]}
    rig.finish("large")
    assert rig.busy() == {"one": [("c", 10.0)]}
    rig.pool.close()


def test_a_child_that_runs_out_of_memory_beside_others_is_tried_once_alone() -> None:
    rig = Rig(GPUS[:3])
    futures = rig.ask(a=10, b=10, c=10, d=10)
    rig.finish("b", "out_of_memory")
    assert rig.busy() == {"one": [("a", 10.0), ("c", 10.0)]}
    rig.finish("a")
    rig.finish("c")
    assert rig.busy() == {"one": [("b", None)]}
    rig.finish("b", "out_of_memory")
    assert futures[1].result(timeout=60).status == "out_of_memory"
    assert rig.busy() == {"one": [("d", 10.0)]}
    rig.finish("d")
    assert [each.result(timeout=60).status for each in futures].count("ok") == 3
    rig.pool.close()


def test_without_neighbours_out_of_memory_is_final() -> None:
    rig = Rig(GPUS[-1:])
    [future] = rig.ask(a=10)
    rig.finish("a", "out_of_memory")
    assert future.result(timeout=60).status == "out_of_memory"
    rig.pool.close()


def test_what_ends_just_as_it_is_cancelled_stays_cancelled() -> None:
    rig = Rig(GPUS[:1])
    futures = rig.ask(a=10, b=10)
    rig.pool.cancel()
    rig.settle()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(timeout=60)
    assert rig.busy() == {}
    [later] = rig.ask(c=10)
    rig.finish("c")
    assert later.result(timeout=60).status == "ok"
    rig.pool.close()
