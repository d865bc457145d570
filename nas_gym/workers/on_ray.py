"""`RayWorkers`: a pool of Ray actors that evaluate children on the machines of a cluster."""

from __future__ import annotations

import importlib
import logging
import math
import os
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Annotated, Any

from annotated_types import Ge, Le

from nas_gym.architecture import Architecture
from nas_gym.errors import InvalidSettings, require
from nas_gym.evaluation.evaluator import ChildEvaluator
from nas_gym.settings import LARGEST, NonNegative, Positive, validated
from nas_gym.workers.inside import answer_for, cuda_device, made_ready, place_of
from nas_gym.workers.pool import CostOfArchitecture, Pool, Timeout
from nas_gym.workers.protocol import (
    Answer,
    Child,
    Place,
    Worker,
    WorkerGone,
    WorkerLost,
    converted,
    time_out_of,
    timed_out,
)

_connections: dict[object, str] = {}
"""The open pools that share the connection that one of them has made, and its address."""
_connecting = threading.Lock()


class RayWorkers(Pool):
    """Ray actors that stay alive, each of which evaluates one child at a time.

    The interface is that of `nas_gym.workers.local.LocalWorkers`. The evaluator is put into
    the object store once; actors on one machine share its arrays, which they cannot write to. An
    actor that died is started again, on another machine if its own is lost, and its child is tried
    again. Since Ray does not say what an actor died of, a child is "crashed" when it lost
    `nas_gym.workers.verdicts.ATTEMPTS` actors; those lost with their machine do not count.

    An evaluator that says as which ``device_name`` its device was asked for, as a `Trainer` does,
    has that of the actor: "auto" is a GPU where the cluster has some, and "cuda:1" a GPU of the
    actor's own, on a head without a GPU too.

    Args:
        evaluator: The evaluator that the actors run.
        address: "auto" for the cluster that this machine belongs to, "ray://host:10001" for one
            elsewhere, or "local" for a new one on this machine; default: the cluster that this
            process is connected to already, else a new one. A process is connected to one cluster
            at a time: pools of the same address, or of "auto", share the connection, and the last
            that is closed ends it, if a pool has made it.
        workers: Number of actors. Those that the cluster has no room for wait until it has.
            Default: as many as its machines hold when nothing else runs on them.
        timeout: Seconds after which a child's actor is ended; default: never.
        num_cpus: Cores, and threads, of each actor.
        num_gpus: GPUs of each actor; 0.5, for instance, for two actors a GPU. Default: 0 where
            children are trained on no GPU; 1, or less where there are more ``workers`` than GPUs.
        max_restarts: Number of times that an actor is started again; -1 for no limit. One that dies
            once more leaves the pool; the others go on, and without any the pool gives up.
        cost: See `Pool`.

    Raises:
        InvalidSettings: a value is out of its range; Ray is not installed, or not at that address;
            this process is connected to another cluster;
            the cluster has no room for one actor; the evaluator cannot be pickled, or its
            answers change.
    """

    @validated
    def __init__(
        self,
        evaluator: Any,  # a ChildEvaluator
        address: str | None = None,
        workers: Positive | None = None,
        timeout: Timeout | None = None,
        num_cpus: Positive = 1,
        num_gpus: NonNegative | None = None,
        max_restarts: Annotated[int, Ge(-1), Le(LARGEST)] = -1,
        cost: CostOfArchitecture | None = None,
    ) -> None:
        require(address != "", "address: it is empty; write 'auto', 'local' or ray://host:port")
        super().__init__(evaluator, cost)
        self.timeout = timeout
        self._ray = _ray()
        with _connecting:
            self._connect(address)
        try:
            gpus = _gpus_for(evaluator, num_gpus, workers, self._sum_of("GPU"))
            room = self._room(num_cpus, gpus)
            self._evaluator = self._put(evaluator)
            if gpus and cuda_device(evaluator) is None:
                self.fingerprint = self._fingerprint_there(num_cpus, gpus)
        except BaseException:
            self._disconnect()
            raise
        options = {"num_cpus": num_cpus, "num_gpus": gpus, "max_restarts": max_restarts}
        actor = self._ray.remote(scheduling_strategy="SPREAD", **options)(_Evaluating)
        ready = ([self._evaluator], num_cpus, gpus > 0)
        self.shares_gpus = 0 < gpus < 1
        actors = [_Actor(self._ray, actor.remote(), ready, timeout) for _ in range(workers or room)]
        self.start(actors)

    def _connect(self, address: str | None) -> None:
        """Connect to the cluster, or take part in the connection that there is."""
        if self._ray.is_initialized():
            own = next(iter(_connections.values()), None)
            require(
                address in (None, "auto", own),
                f"address: this process is connected to {own or 'a Ray cluster'} already, and to "
                f"no second one; got {address!r}, give {own or 'auto'!r}",
            )
            if own is not None:
                _connections[self] = own
            return
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
        if address in (None, "local"):
            options["include_dashboard"] = False
        try:
            _knock(address or "local")
            self._ray.init(address=address or "local", **options)
        except Exception as error:  # Ray's own errors have no type in common
            self._ray.shutdown()  # what it had started
            where, why = address or "local", (str(error).splitlines() or [repr(error)])[0]
            raise InvalidSettings(
                f"address: Ray cannot start on this machine ({why}); use workers without it"
                if where == "local"
                else f"address: there is no Ray cluster at {where!r} ({why}); start one with "
                "`ray start --head`, or use 'local'"
            ) from error
        _connections.clear()  # of a connection that somebody else has ended
        _connections[self] = address or "local"

    def _disconnect(self) -> None:
        with _connecting:
            if _connections.pop(self, None) is not None and not _connections:
                self._ray.shutdown()

    def _room(self, num_cpus: int, num_gpus: float) -> int:
        """Return how many actors the cluster's machines hold when nothing else runs on them.

        Ray reports free room late: a pool made right after another was closed would be small.
        """
        nodes = self._resources()
        needs = [("CPU", num_cpus), ("GPU", num_gpus)]
        fit = [[node.get(kind, 0.0) / n for kind, n in needs if n > 0] for node in nodes]
        room: int = sum(math.floor(min(each) + 1e-9) for each in fit)
        cpus, gpus = map(self._sum_of, ("CPU", "GPU"))
        require(
            room > 0,
            f"num_cpus, num_gpus: no machine of the cluster has {num_cpus} CPU(s) and {num_gpus:g} "
            f"GPU(s) for an actor; there are {cpus:g} and {gpus:g} on {len(nodes)} machine(s)",
        )
        return room

    def _resources(self) -> list[dict[str, float]]:
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _sum_of(self, kind: str) -> float:
        return sum(node.get(kind, 0.0) for node in self._resources())

    def _fingerprint_there(self, num_cpus: int, gpus: float) -> str:
        """Return the evaluator's fingerprint on a GPU of the cluster, which this machine lacks."""
        ask = self._ray.remote(num_cpus=num_cpus, num_gpus=gpus)(_fingerprint)
        return str(self._ray.get(ask.remote([self._evaluator])))

    def _put(self, evaluator: ChildEvaluator) -> Any:
        try:
            return self._ray.put(evaluator)
        except TypeError as error:
            raise InvalidSettings(
                f"evaluator: {type(evaluator).__name__} cannot be sent to other machines: {error}"
            ) from error

    def pickled(self, architecture: Architecture) -> bytes:
        return bytes(self._ray.cloudpickle.dumps(architecture))

    def suspicious(self, deaths: Sequence[str]) -> int:
        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        return sum(machine in alive for machine in deaths)

    def close(self) -> None:
        super().close()
        self._disconnect()


def _ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise InvalidSettings(
            "Ray is not installed here; install it with `pip install 'nas-gym[ray]'`"
        ) from error


def _knock(address: str) -> None:
    """Raise `OSError` if nothing listens at ``host:port``: Ray would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and not (host and port.isdecimal()):
        raise ValueError("expected host:port")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _gpus_for(
    evaluator: ChildEvaluator, num_gpus: float | None, workers: int | None, in_cluster: float
) -> float:
    """Return the number of GPUs of an actor, in a cluster with ``in_cluster`` of them."""
    device = getattr(evaluator, "device", None)
    asked = str(getattr(evaluator, "device_name", device))
    if num_gpus is not None:
        fits = device is None or asked == "auto" or asked.startswith("cuda") == (num_gpus > 0)
        require(fits, f"num_gpus: {num_gpus:g} do not go with an evaluator whose device is {asked}")
        return num_gpus
    if not (asked.startswith("cuda") or (asked == "auto" and in_cluster > 0)):
        return 0.0
    on_each = math.ceil((workers or 1) / max(1.0, in_cluster))
    return math.floor(1e4 / on_each) / 1e4  # as precisely as Ray counts


class _Actor(Worker):
    """One actor; Ray starts it again when it dies."""

    def __init__(self, ray: Any, actor: Any, ready: tuple[Any, ...], timeout: float | None) -> None:
        self._ray, self._actor, self._ready, self._timeout = ray, actor, ready, timeout
        self._machine = ""
        self._deadline = math.inf

    def begin(self) -> Future[Place]:
        ready = self._actor.ready.options(max_task_retries=-1).remote(*self._ready).future()
        return converted(ready, self._never_ready, self._began)

    def _began(self, place: Place) -> None:
        self._machine = place.name.partition(" ")[0]

    def _never_ready(self, error: BaseException) -> BaseException:
        """Return what Ray's exception means for the actor; Ray asks again while it restarts."""
        if not isinstance(error, self._ray.exceptions.ActorDiedError):
            return error
        reason = str(error).splitlines()[-1]  # the lines before are the actor's names
        return WorkerGone(
            f"Ray starts its actor no more ({reason}); if its children end it, a larger "
            "max_restarts helps, or -1 for no limit"
        )

    def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
        if (timeout := time_out_of(child, self._timeout)) is not None:
            self._deadline = time.monotonic() + timeout
        asked = (child.pickled, child.repeats, child.epochs, limit)
        answer = self._actor.evaluate.remote(*asked).future()
        return converted(answer, self._lost, self._finished)

    def _finished(self, _: Answer) -> None:
        self._deadline = math.inf

    def _lost(self, error: BaseException) -> BaseException:
        """Return what Ray's exception means for the child."""
        too_late, self._deadline = self._deadline < 0, math.inf
        errors = self._ray.exceptions
        if too_late:
            return timed_out(self._timeout)
        if type(error) is errors.OutOfMemoryError:
            return WorkerLost(f"Ray ended it, short of memory: {error}", True, "out_of_memory")
        if issubclass(type(error), errors.RayTaskError):  # the actor lives
            return error
        return WorkerLost(f"its actor died: {error}", None, machine=self._machine)

    def check(self) -> None:
        """End an actor whose child's time is over, once."""
        if 0 <= self._deadline < time.monotonic():
            self._deadline = -1.0
            self.replace()

    def replace(self) -> None:
        self._ray.kill(self._actor, no_restart=False)

    def end(self) -> None:
        self._ray.kill(self._actor)


class _Evaluating:
    """The class of an actor."""

    evaluator: ChildEvaluator

    def ready(self, evaluator: list[Any], threads: int, has_gpu: bool) -> Place:
        """Get an actor ready, which has lost everything when it is restarted; return its place.

        The evaluator is one reference, in a list so that Ray does not follow it.
        """
        ray = importlib.import_module("ray")
        if not has_gpu:
            os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray leaves it as it is
        self.evaluator = made_ready(threads, lambda: ray.get(evaluator[0]))
        return place_of(self.evaluator, str(ray.get_runtime_context().get_node_id()))

    def evaluate(self, *asked: Any) -> Answer:
        return answer_for(self.evaluator, *asked)


def _fingerprint(evaluator: list[Any]) -> str:
    """Return the fingerprint of an evaluator that is loaded here."""
    return str(importlib.import_module("ray").get(evaluator[0]).fingerprint)
