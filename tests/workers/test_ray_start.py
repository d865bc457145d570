"""A Ray that does not start is one line, whatever Ray raises."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any
from unittest.mock import MagicMock

import pytest

from nas_gym.errors import InvalidSettings
from nas_gym.workers import on_ray
from tests.evaluation.scripted import ScriptedEvaluator


class BrokenRay:
    """Ray on a machine where it cannot start."""

    def __init__(self) -> None:
        self.ended = 0

    def is_initialized(self) -> bool:
        return False

    def init(self, **_: Any) -> None:
        raise Exception("The node timed out.\nMany more lines.")  # as Ray does

    def shutdown(self) -> None:
        self.ended += 1


@pytest.mark.parametrize(
    ("address", "says"),
    [
        (None, r"Ray cannot start on this machine \(The node timed out\.\); use workers without"),
        ("auto", r"no Ray cluster at 'auto' \(The node timed out\.\); start one with"),
    ],
)
def test_ray_that_does_not_start(
    address: str | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = BrokenRay()
    monkeypatch.setattr(on_ray, "_ray", lambda: ray)
    with pytest.raises(InvalidSettings, match=says):
        on_ray.RayWorkers(ScriptedEvaluator(), address)
    assert ray.ended == 1


class FakeRay(BrokenRay):
    """A cluster of one machine, whose actors are never ready."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def is_initialized(self) -> bool:
        return len(self.addresses) > self.ended

    def init(self, **options: Any) -> None:
        self.addresses.append(options["address"])

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "NodeID": "one", "Resources": {"CPU": 4.0}}]

    def put(self, value: object) -> object:
        return value

    def remote(self, **_: Any) -> Any:
        actor = MagicMock()
        actor.remote().ready.options().remote().future = Future
        return lambda _: actor

    def kill(self, *_: Any) -> None:
        """Nothing runs."""


def test_pools_of_a_process_share_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay()
    monkeypatch.setattr(on_ray, "_ray", lambda: ray)
    one = on_ray.RayWorkers(ScriptedEvaluator(), "local")
    for address in (None, "auto", "local"):
        on_ray.RayWorkers(ScriptedEvaluator(), address).close()
    with pytest.raises(InvalidSettings, match=r"connected to local already.* give 'local'"):
        on_ray.RayWorkers(ScriptedEvaluator(), "ray://elsewhere:1")
    two = on_ray.RayWorkers(ScriptedEvaluator(), "auto")
    one.close()
    assert ray.ended == 0
    two.close()
    assert (ray.addresses, ray.ended) == (["local"], 1)


def test_a_connection_of_ones_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = FakeRay()
    ray.init(address="mine")
    monkeypatch.setattr(on_ray, "_ray", lambda: ray)
    for address in (None, "auto"):
        on_ray.RayWorkers(ScriptedEvaluator(), address).close()
    with pytest.raises(InvalidSettings, match=r"connected to a Ray cluster already.* give 'auto'"):
        on_ray.RayWorkers(ScriptedEvaluator(), "local")
    assert ray.ended == 0


def test_an_actor_whose_time_is_over_is_ended_once() -> None:
    """Ray may take longer than a check's pause to say that it has, and to start it again."""
    ray = MagicMock()
    actor = on_ray._Actor(ray, MagicMock(), (), timeout=1e-9)
    actor.evaluate(MagicMock(), None)
    for _ in range(3):
        actor.check()
    assert ray.kill.call_count == 1


def test_an_empty_address_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="address: it is empty"):
        on_ray.RayWorkers(ScriptedEvaluator(), "")


@pytest.mark.parametrize("address", [":", "host:", ":6379", "ray://:1", "host:port"])
def test_a_malformed_address_is_refused_before_ray_sees_it(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(on_ray, "_ray", BrokenRay)
    with pytest.raises(InvalidSettings, match=r"no Ray cluster at .* \(expected host:port\)"):
        on_ray.RayWorkers(ScriptedEvaluator(), address)


@pytest.mark.parametrize(
    ("device_name", "workers", "gpus", "share"),
    [
        ("auto", 4, 0, 0.0),
        ("auto", None, 2, 1.0),
        ("auto", 2, 8, 1.0),
        ("cuda:1", 3, 1, 0.3333),
        ("cuda", 5, 2, 0.3333),
        ("cuda", None, 0, 1.0),
        ("cpu", 4, 2, 0.0),
    ],
)
def test_workers_share_the_clusters_gpus(
    device_name: str, workers: int | None, gpus: int, share: float
) -> None:
    evaluator: Any = ScriptedEvaluator()
    evaluator.device_name = device_name
    assert on_ray._gpus_for(evaluator, None, workers, gpus) == share


@pytest.mark.parametrize(("device_name", "given"), [("cpu", 1.0), ("cuda:1", 0.0)])
def test_a_share_of_gpus_for_another_device_is_refused(device_name: str, given: float) -> None:
    evaluator: Any = ScriptedEvaluator()
    evaluator.device_name = device_name
    with pytest.raises(InvalidSettings, match=f"num_gpus: {given:g} do not go .*{device_name}"):
        on_ray._gpus_for(evaluator, given, None, 4)
    evaluator.device_name = "auto"
    assert on_ray._gpus_for(evaluator, given, None, 4) == given
