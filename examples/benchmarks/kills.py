"""Searches whose processes are killed with SIGKILL at random moments.

    python examples/benchmarks/kills.py --kills 100 [--vary] [--agent ppo] [--folder DIR]

PPO designs networks of digits, four at a time, with two workers. Again and again, the search
itself, one of its workers, or a node of its Ray cluster is killed; a search that was killed is
resumed. Three things are counted:

- evaluations lost: they were in the store at some kill, and are not there as they were in the end;
- evaluations made twice: the training began although the evaluation was in the store;
- episodes that differ from those of a search without workers that nobody killed.

With ``--vary``, each resume has one or two threads, and the processor's instructions or
``ATEN_CPU_CAPABILITY=default``, at random: floats may differ then, and so may later episodes, which
are not compared. Every search has to go on all the same, and nothing may be lost or made twice.

Half of the kills are of searches with local workers, half of one on a Ray cluster of two nodes,
which the program starts here; it needs the extra ``ray``. A kill takes some five seconds on two
quiet cores, most of them for the start of the next process. With ``--folder``, the program can be
interrupted, and goes on there with the kills that are left.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timezone
from pathlib import Path
from typing import Any

import gymnasium as gym

from nas_gym import (
    Architecture,
    Evaluation,
    NASEnv,
    NASNetSearchSpace,
    Trainer,
    TrainingSettings,
    load_dataset,
)
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.store.rows import Record
from nas_gym.store.store import Store

HERE = Path(__file__).parent
ENV_ID = "kills/Logged-v0"
TOLD = ("episode", "architecture", "reward", "accuracy", "status", "cached")
"""Fields that are equal in equal searches: everything but times."""


class LoggedTrainer(Trainer):
    """Writes down when each training begins."""

    log = ""

    def evaluate_one(
        self, architecture: Architecture, repeat: int = 0, epochs: int | None = None
    ) -> Evaluation:
        with Path(self.log).open("a", encoding="utf-8") as log:
            log.write(f"{architecture.key} {time.time()}\n")
        return super().evaluate_one(architecture, repeat, epochs)


def make_env(log: str, training_seed: int = 0) -> NASEnv:
    """NASNet cells of two blocks, whose children take about 0.1 s on a core."""
    network = CellNetworkSettings(cells=1, filters=4)
    training = TrainingSettings(
        network, epochs=1, batch_size=64, seed=training_seed, data_fraction=0.3
    )
    trainer = LoggedTrainer(load_dataset("digits"), training, "cpu")
    trainer.log = log
    return NASEnv(NASNetSearchSpace(2), trainer)


gym.register(ENV_ID, entry_point="kills:make_env")


@dataclass
class Search:
    """A search that is killed, and resumed."""

    run: Path
    episodes: int
    options: list[str]
    vary: random.Random | None = None
    """Draws the threads and the instructions of each process, if they vary."""
    process: subprocess.Popen[bytes] | None = None
    known: dict[str, Record] = field(default_factory=dict)
    """Contents of the store at some kill, by key."""
    lost: int = 0
    done: Counter[str] = field(default_factory=Counter)
    """Number of kills of each kind."""

    def __post_init__(self) -> None:
        if self.state.exists():  # an earlier call of this program was interrupted
            state = json.loads(self.state.read_text(encoding="utf-8"))
            self.done, self.lost = Counter(state["done"]), state["lost"]
            self.look()

    @property
    def state(self) -> Path:
        """Where the counts are kept."""
        return self.run.with_suffix(".json")

    def count(self, kill: str) -> None:
        """Count a kill, and write the counts down."""
        self.done[kill] += 1
        print(f"{kill} killed after {self.recorded()} episodes", flush=True)
        counts = {"done": self.done, "lost": self.lost}
        self.state.write_text(json.dumps(counts), encoding="utf-8")

    def start(self) -> None:
        """Start or resume the search."""
        command = [
            *(sys.executable, "-m", "nas_agents.cli.main", "search", f"kills:{ENV_ID}", "--resume"),
            *("--run", str(self.run), "--episodes", str(self.episodes), "--envs", "4"),
            *("--set", f"log={self.log}", "--no-final", *self.options),
        ]
        with (self.run.parent / f"{self.run.name}.output").open("ab") as output:
            environment = {**os.environ, **self._drawn()}
            self.process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)

    def _drawn(self) -> dict[str, str]:
        if self.vary is None:
            return {}
        instructions = self.vary.choice([{}, {"ATEN_CPU_CAPABILITY": "default"}])
        return {"OMP_NUM_THREADS": self.vary.choice("12"), **instructions}

    @property
    def log(self) -> Path:
        """Where the beginnings of trainings are."""
        return self.run.with_suffix(".log")

    @property
    def running(self) -> bool:
        """Return True while the search runs."""
        return self.process is not None and self.process.poll() is None

    def recorded(self) -> int:
        """Return the number of recorded episodes."""
        with suppress(FileNotFoundError):
            return (self.run / "episodes.jsonl").read_bytes().count(b"\n")
        return 0

    def kill(self) -> None:
        """Kills the search, and resumes it."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.look()
        self.start()

    def look(self) -> None:
        """Remembers what is in the store; counts what was, and is not any more."""
        if not (self.run / "evaluations.db").exists():
            return
        with Store(self.run / "evaluations.db") as store:
            now = {record.key: record for record in store.records()}
        self.lost += sum(now.get(key) != record for key, record in self.known.items())
        self.known |= now

    def made_twice(self) -> int:
        """Return the number of trainings that began after their evaluation was in the store."""
        stored = {
            key: record.time.replace(tzinfo=timezone.utc).timestamp()
            for key, record in self.known.items()
        }
        begun = (line.split() for line in self.log.read_text(encoding="utf-8").splitlines())
        return sum(float(at) > stored.get(key, float("inf")) for key, at in begun)

    def told(self) -> list[dict[str, Any]]:
        """Return the episodes' records without times."""
        lines = (self.run / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
        return [{name: json.loads(line)[name] for name in TOLD} for line in lines]


def children_of(parents: set[int]) -> dict[int, str]:
    """Return the command lines of some processes' children, by their ids."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parent = int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
            if parent in parents:
                command = (stat.parent / "cmdline").read_bytes()
                found[int(stat.parent.name)] = command.replace(b"\0", b" ").decode()
    return found


def kill_search(search: Search, generator: random.Random) -> bool:
    """Kills the search, and resumes it."""
    search.kill()
    return True


def kill_worker(search: Search, generator: random.Random) -> bool:
    """Kills a local worker; they are the children of the search's process that forks them."""
    assert search.process is not None
    servers = children_of({search.process.pid}).items()
    return _kill_one(children_of({pid for pid, name in servers if "forkserver" in name}), generator)


class RayCluster:
    """A Ray cluster on this machine: a head without cores, and two nodes of one core each."""

    def __init__(self) -> None:
        cluster_utils = importlib.import_module("ray.cluster_utils")  # an extra
        head = {"num_cpus": 0, "include_dashboard": False}
        self.cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        self.nodes = [self.cluster.add_node(num_cpus=1) for _ in range(2)]

    def kill_node(self, search: Search, generator: random.Random) -> bool:
        """Kills a node, and starts another one."""
        node = self.nodes.pop(generator.randrange(2))
        self.cluster.remove_node(node, allow_graceful=False)
        self.nodes.append(self.cluster.add_node(num_cpus=1))
        return True

    def kill_actor(self, search: Search, generator: random.Random) -> bool:
        """Kills a worker; they are the children of the nodes' main processes."""
        raylets = {
            process.process.pid for node in self.nodes for process in node.all_processes["raylet"]
        }
        actors = children_of(raylets).items()
        return _kill_one({pid: name for pid, name in actors if "_Evaluating" in name}, generator)

    def shutdown(self) -> None:
        """End it."""
        self.cluster.shutdown()


def _kill_one(processes: dict[int, str], generator: random.Random) -> bool:
    """Kills one of some processes, if there is one."""
    with suppress(ProcessLookupError, IndexError):
        os.kill(generator.choice(sorted(processes)), signal.SIGKILL)
        return True
    return False


Kill = Callable[[Search, random.Random], bool]


def besiege(search: Search, kills: dict[str, tuple[int, Kill]], seed: int) -> None:
    """Kill in random order at random moments until all is done, and the search ends."""
    generator = random.Random(seed)
    order = [name for name, (number, _) in kills.items() for _ in range(number)]
    generator.shuffle(order)
    search.start()
    try:
        _kill_all(search, kills, order[search.done.total() :], generator)
        assert search.process is not None
        exit_code = search.process.wait()
    finally:  # Ctrl-C, or a terminated program, leaves no search behind
        if search.running:
            search.process.kill()  # type: ignore[union-attr]
    if exit_code != 0:
        output = (search.run.parent / f"{search.run.name}.output").read_text(encoding="utf-8")
        raise SystemExit(f"the search failed with exit code {exit_code}:\n{output[-3000:]}")
    search.look()


def _kill_all(
    search: Search,
    kills: dict[str, tuple[int, Kill]],
    order: list[str],
    generator: random.Random,
) -> None:
    for name in order:
        before = search.recorded()
        if generator.random() < 0.8:  # else at any moment, while it starts for instance
            while search.running and search.recorded() <= before:
                time.sleep(0.05)
        time.sleep(generator.uniform(0, 1.5))
        # There may be none to kill yet.
        while search.running and not kills[name][1](search, generator):
            time.sleep(0.05)
        if not search.running:
            break
        search.count(name)


def report(name: str, search: Search, expected: Search | None) -> bool:
    """Print the counts of a search; return True if all are as expected."""
    again, differ = search.made_twice(), 0
    kills = ", ".join(f"{number} x {what}" for what, number in sorted(search.done.items()))
    line = (
        f"{name}: {search.done.total()} kills ({kills}); {len(search.known)} evaluations, "
        f"{search.lost} lost, {again} made twice"
    )
    if expected is not None:
        told, wanted = search.told(), expected.told()
        differ = sum(a != b for a, b in zip(told, wanted, strict=False))
        differ += abs(len(told) - len(wanted))
        line += f"; {len(told)} episodes, {differ} differ"
    print(line, flush=True)
    return not (search.lost or again or differ)


def with_local_workers(search: Search, number: int, seed: int) -> None:
    """Kill a search and its workers."""
    search.options += ["--workers", "2"]
    kills: dict[str, tuple[int, Kill]] = {
        "search": (number - number // 2, kill_search),
        "worker": (number // 2, kill_worker),
    }
    besiege(search, kills, seed)


def with_ray(search: Search, number: int, seed: int) -> None:
    """Kill a search on a Ray cluster, its workers, and the cluster's nodes."""
    cluster = RayCluster()
    try:
        search.options += ["--ray", cluster.cluster.address, "--workers", "2"]
        each = number // 3
        kills: dict[str, tuple[int, Kill]] = {
            "search": (each, kill_search),
            "actor": (each, cluster.kill_actor),
            "node": (number - 2 * each, cluster.kill_node),
        }
        besiege(search, kills, seed)
    finally:
        cluster.shutdown()


POOLS = {"local": with_local_workers, "ray": with_ray}


def main() -> None:
    """Kill, and print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--episodes", type=int, help="children of each search; default: 15 a kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--pools", default="local,ray", help="what is killed, with commas")
    parser.add_argument("--agent", default="ppo")
    parser.add_argument("--vary", action="store_true", help="threads and instructions")
    parser.add_argument("--folder", help="where everything is kept; default: a temporary one")
    given = parser.parse_args()
    paths = [str(HERE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)  # so that every process finds this module
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    chosen = given.pools.split(",")
    each = given.kills // len(chosen)
    episodes, options = given.episodes or 15 * each, ["--agent", given.agent]
    temporary = tempfile.TemporaryDirectory() if given.folder is None else nullcontext(given.folder)
    with temporary as folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        expected, right = None, []
        if not given.vary:
            expected = Search(Path(folder) / "uninterrupted", episodes, options)
            besiege(expected, {}, given.seed)
        for name in chosen:
            vary = random.Random(given.seed) if given.vary else None
            search = Search(Path(folder) / name, episodes, [*options], vary)
            POOLS[name](search, each, given.seed)
            right.append(report(name, search, expected))
    if not all(right):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
