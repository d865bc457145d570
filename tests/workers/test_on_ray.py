"""Ray actors: the same results as in one process, whatever happens to them and their machines.

One cluster of two nodes serves all tests; it is real, and takes some seconds to start.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym.data.dataset import resplit
from nas_gym.data.loading import load_dataset
from nas_gym.errors import InvalidSettings
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.networks.devices import cpu_threads
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer
from nas_gym.workers import verdicts
from nas_gym.workers.on_ray import RayWorkers
from nas_gym.workers.protocol import WorkersFailed
from tests.evaluation.scripted import Script, ScriptedEvaluator, Unreadable, describe_all

ray = pytest.importorskip("ray")
SMALL: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
BUSY = {  # the other tests run beside it
    "health_check_failure_threshold": 50,  # a machine that is slow is not dead
    "worker_niceness": 0,
}
HEAD: dict[str, Any] = {**SMALL, "include_dashboard": False, "_system_config": BUSY}
pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=HEAD)
    cluster.add_node(**SMALL)
    yield cluster
    ray.shutdown()
    cluster.shutdown()  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    network = NASBench201Settings(cells=1, filters=4)
    dataset = resplit(load_dataset("digits"), 128, 100, 100)
    return Trainer(dataset, TrainingSettings(network, epochs=2, batch_size=32), "cpu")


@pytest.fixture
def pool(cluster: Any, trainer: Trainer) -> Iterator[RayWorkers]:
    evaluator = ScriptedEvaluator(trainer=trainer)
    with RayWorkers(evaluator, cluster.address) as pool:
        yield pool


def test_children_are_the_bare_trainers_to_the_bit(pool: RayWorkers, trainer: Trainer) -> None:
    search_space, rng = NASBench201SearchSpace(), np.random.default_rng(0)
    architectures = [search_space.decode(search_space.sample(rng)) for _ in range(3)]
    with cpu_threads(1):
        expected = trainer.evaluate(architectures)
    made = pool.evaluate(architectures)
    assert [replace(e, seconds=0.0) for e in made] == [replace(e, seconds=0.0) for e in expected]
    assert {evaluation.status for evaluation in made} == {"ok"}


def test_there_are_as_many_as_the_machines_hold(pool: RayWorkers) -> None:
    assert pool.workers == 2
    said = [(threads, shared) for _, threads, _, shared in describe_all(pool)]
    assert said == [("1", "True")] * 2
    with RayWorkers(ScriptedEvaluator()) as another:  # whose actors wait
        assert another.workers == 2


def test_whatever_a_child_does_becomes_a_status(
    cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "ATTEMPTS", 2)
    scripts = {
        Script("raise", "enough"): ("crashed", "SystemExit: enough"),
        Script("exit", "3"): ("crashed", None),
        Script("allocate"): ("out_of_memory", "MemoryError: "),
        Script("sleep", "60"): ("timed_out", "its time-out of 5.0 s passed"),
        Script("describe"): ("ok", None),
    }
    with RayWorkers(ScriptedEvaluator(), cluster.address, timeout=5.0) as pool:
        made = pool.evaluate(list(scripts))
    for evaluation, (status, message) in zip(made, scripts.values(), strict=True):
        assert evaluation.status == status
        assert message in (None, evaluation.message)
    assert "its actor died" in made[1].message
    assert made[1].message.endswith("(2 times)")
    assert made[3].seconds >= 5.0


def test_an_actor_that_is_gone_for_good_leaves_the_others_to_go_on(
    cluster: Any, tmp_path: Path
) -> None:
    once = Script("kill_once", str(tmp_path / "killed"))
    with RayWorkers(ScriptedEvaluator(), cluster.address, workers=2, max_restarts=0) as pool:
        made = pool.evaluate([Script("describe"), once, *[Script("describe")] * 3])
        assert [evaluation.status for evaluation in made] == ["ok"] * 5
        assert made[1].message == "survived"
        with pytest.raises(WorkersFailed, match=r"^workers: none is left.*dead.* max_restarts"):
            pool.evaluate([Script("exit", "3"), Script("describe")])


def test_a_batch_outlives_a_machine(cluster: Any, pool: RayWorkers) -> None:
    describe_all(pool)
    futures = [pool.submit(Script("sleep", "0.5"), repeat) for repeat in range(5)]
    futures[0].result(timeout=300)
    cluster.remove_node(sorted(cluster.worker_nodes, key=str)[0], allow_graceful=False)
    made = [future.result(timeout=300) for future in futures]
    assert [(e.status, e.seed) for e in made] == [("ok", repeat) for repeat in range(5)]


def test_an_evaluator_that_cannot_be_loaded_is_one_error(cluster: Any) -> None:
    with (
        RayWorkers(Unreadable(), cluster.address) as broken,
        pytest.raises(WorkersFailed, match=r"cannot load.*OSError.*is gone"),
    ):
        broken.evaluate([Script("describe")])


class Automatic(ScriptedEvaluator):
    """Its device is the best of the machine where it is: a GPU that no program knows."""

    device_name = "auto"

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES")
        self.fingerprint = f"scripted on GPU {gpus}" if gpus else "scripted"


def test_a_head_without_a_gpu_has_children_trained_on_the_clusters(cluster: Any) -> None:
    node = cluster.add_node(**SMALL, num_gpus=1)
    try:
        with RayWorkers(Automatic(), cluster.address) as pool:
            assert (pool.workers, pool.shares_gpus) == (1, False)
            assert pool.fingerprint == "scripted on GPU 0"
            [made] = pool.evaluate([Script("describe")])
            assert (made.fingerprint, made.message.split()[2]) == (pool.fingerprint, "0")
            [failed] = pool.evaluate([Script("raise", "enough")])
            assert (failed.status, failed.fingerprint) == ("crashed", pool.fingerprint)
        with RayWorkers(Automatic(), cluster.address, workers=1, num_gpus=0) as pool:
            [made] = pool.evaluate([Script("describe")])
            assert pool.fingerprint == made.fingerprint == "scripted"
    finally:
        cluster.remove_node(node)


def test_what_cannot_be_is_refused(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = ScriptedEvaluator()
    with pytest.raises(InvalidSettings, match=r"num_gpus: 1 do not go with .* device is cpu"):
        RayWorkers(evaluator, cluster.address, num_gpus=1)
    evaluator.device = torch.device("cuda")
    with pytest.raises(InvalidSettings, match=r"no machine of the cluster has .* 1 GPU\(s\)"):
        RayWorkers(evaluator, cluster.address)
    with pytest.raises(InvalidSettings, match=r"no Ray cluster at 'ray://127.0.0.1:1' .*refused"):
        RayWorkers(ScriptedEvaluator(), "ray://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InvalidSettings, match=r"pip install 'nas-gym\[ray\]'"):
        RayWorkers(evaluator)


def test_a_policy_keeps_the_actors_busy(cluster: Any, tmp_path: Path) -> None:
    tiny = {"dataset": "digits", "cells": 1, "filters": 2, "epochs": 1, "data_fraction": 0.1}
    settings = SearchSettings(
        *("nas_gym/NASBench201-v0", "nasnet"),
        episodes=8,
        env_arguments=tiny,
        agent_arguments={"n_steps": 12, "batch_size": 12},
        ray=cluster.address,
        workers=2,
        final=False,
        finalists=0,
    )
    result = search(settings, tmp_path / "run")
    assert (result.stopped_by, result.progress.statuses) == ("episodes", {"ok": 8})
    lines = (tmp_path / "run/episodes.jsonl").read_text().splitlines()
    under_way = [json.loads(line)["proposals"] - n for n, line in enumerate(lines)]
    assert under_way == [2] * 7 + [1]
