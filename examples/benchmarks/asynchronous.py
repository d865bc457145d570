"""Does a policy learn as fast from 450 workers as in lock-step? A cluster on a fake clock.

    python examples/benchmarks/asynchronous.py --seeds 20 --episodes 6000 [--workers 450] \
        [--agent nasnet] [--problem landscape,nasbench201] [--results FILE]

Each child takes a lognormal time of mean ``--child-seconds`` and sigma ``--tail`` (with 1, one in a
hundred takes more than six times the mean), whatever it is worth. Nothing waits: the clock goes on
to the next child that ends, and by the processor's seconds in which the agent drew and learned. The
same agent with the same settings designs 20 architectures in lock-step. It is compared: the number
of children that were begun until the mean reward of the last 100 of them has reached ``--goal``,
those under way among them; the same of children that have ended, the late ones among them; and the
share of the workers' time in which they train, until the last child is handed out. Finished
searches are kept in ``--results``, and not repeated.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))
from examples.benchmarks.landscape import Landscape
from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.drivers.driver import make_driver
from nas_agents.runs.callbacks import Callback, Child
from nas_agents.runs.recorder import Recorder
from nas_agents.runs.run_folder import RunFolder
from nas_agents.runs.settings import SearchSettings
from nas_gym import Architecture, Evaluation, Evaluator, NASEnv, NASNetSearchSpace
from nas_gym.families.nasbench201.table import nasbench201_table

LOCK_STEP = 20
"""Architectures of an update, and of a batch in lock-step, as NASNet's controller had them."""
LAST = 100
"""Number of children whose mean reward has to reach the goal."""
GOALS = {"landscape": 0.8, "nasbench201": 0.83}


class Cluster:
    """W workers on a fake clock, around an evaluator that costs nothing.

    Args:
        evaluator: Makes the evaluations.
        workers: W.
        mean, sigma: Of a child's lognormal seconds.
        seed: Of these.
        controller: Let the clock go on by the processor's seconds that the search takes itself.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        workers: int,
        mean: float = 600.0,
        sigma: float = 1.0,
        seed: int = 0,
        controller: bool = True,
    ) -> None:
        self.evaluator, self.workers = evaluator, workers
        self.rng = np.random.default_rng(seed)
        self.mean, self.sigma, self.controller = mean, sigma, controller
        self.clock, self.busy, self.handed_out, self.busy_then = 0.0, 0.0, 0.0, 0.0
        self.number = self.keys = 0
        self.accuracies: list[float] = []
        """Of all children, in the order in which they began."""
        self.running: list[tuple[float, int, Future[Evaluation], Evaluation]] = []
        self._used = time.process_time()

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Evaluate without the workers."""
        return self.evaluator.evaluate(architectures)

    def network_key(self, architecture: Architecture) -> str:
        """Return another key each time, so that nothing that is asked for again is remembered."""
        self.keys += 1
        return str(self.keys)

    def evaluated(self, architecture: Architecture) -> Evaluation:
        """Return the result of a child."""
        return self.evaluator.evaluate([architecture])[0]

    def submit(self, architecture: Architecture) -> Future[Evaluation]:
        """Begin a child; at most W are under way."""
        assert len(self.running) < self.workers
        self._tick()
        evaluation = self.evaluated(architecture)
        self.accuracies.append(evaluation.accuracy)
        seconds = self.mean * self.rng.lognormal(-(self.sigma**2) / 2, self.sigma)
        future: Future[Evaluation] = Future()
        self.number += 1
        heapq.heappush(self.running, (self.clock + seconds, self.number, future, evaluation))
        self.handed_out, self.busy_then = self.clock, self.busy
        return future

    def advance(self) -> None:
        """Let the next child end."""
        self._tick()
        end, _, future, evaluation = self.running[0]
        self._go_on_to(max(end, self.clock))
        heapq.heappop(self.running)
        future.set_result(evaluation)

    def _tick(self) -> None:
        """Count the processor's seconds since the last call."""
        now = time.process_time()
        if self.controller:
            self._go_on_to(self.clock + now - self._used)
        self._used = now

    def _go_on_to(self, clock: float) -> None:
        """Children that have ended, and wait for the search, leave their workers idle."""
        before, self.clock = self.clock, clock
        self.busy += sum(max(0.0, min(end, clock) - before) for end, *_ in self.running)

    @property
    def busy_share(self) -> float:
        """The workers' share of time in training, until the last child was handed out."""
        return self.busy_then / (self.workers * self.handed_out) if self.handed_out else 1.0


class Ended(SimpleQueue[Any]):
    """The queue of children that ended, whose reader advances a cluster's clock."""

    cluster: Cluster

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        while self.empty():
            self.cluster.advance()
        return super().get(block, timeout)


class Rewards(Callback):
    """Appends each child's reward to a list."""

    def __init__(self, rewards: list[float]) -> None:
        self.rewards = rewards

    def on_child(self, child: Child) -> None:
        self.rewards.append(child.reward)


def environment(problem: str, seed: int) -> NASEnv:
    """Return one of the two problems."""
    if problem == "landscape":
        landscape = Landscape(NASNetSearchSpace(), seed)
        return NASEnv(landscape.search_space, landscape)
    table = nasbench201_table(epochs=12)
    return NASEnv(table.search_space, table)


def searched(
    env: NASEnv, agent_name: str, episodes: int, seed: int, cluster: Cluster | None
) -> list[float]:
    """Return the rewards of a search, in lock-step or on a cluster, as its children end."""
    agent, plan = find_agent(agent_name), Plan(env.decisions, episodes, LOCK_STEP)
    around = env if cluster is None else NASEnv(env.search_space, cluster, env.reward)
    settings = SearchSettings("an id", agent_name, episodes=episodes, seed=seed)
    rewards: list[float] = []
    with TemporaryDirectory() as folder:
        run = RunFolder(Path(folder) / "run")
        made_with = agent.arguments(plan)
        driver: Any = make_driver(agent, cluster is not None, around, plan, made_with, seed)
        if cluster is not None:
            driver.ended = Ended()
            driver.ended.cluster = cluster
        driver.run(Recorder(run, settings, Rewards(rewards), {}))
        run.close()
    return rewards


def reached(rewards: Sequence[float], goal: float) -> int | None:
    """Return the number of children until the last 100 are worth the goal on average."""
    means = np.convolve(rewards, np.ones(LAST) / LAST, "valid")
    return int(np.argmax(means >= goal)) + LAST if (means >= goal).any() else None


def main() -> None:
    """Search, and print the comparison."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=6000)
    parser.add_argument("--workers", type=int, default=450)
    parser.add_argument("--agent", default="nasnet")
    parser.add_argument("--problem", default="landscape,nasbench201")
    parser.add_argument("--child-seconds", type=float, default=600.0)
    parser.add_argument("--tail", type=float, default=1.0)
    parser.add_argument("--goal", type=float, help="default: " + str(GOALS))
    parser.add_argument("--results", type=Path, default=Path("asynchronous.jsonl"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    for problem in given.problem.split(","):
        goal = given.goal or GOALS[problem]
        found: dict[str, list[dict[str, Any]]] = {"lock-step": [], "asynchronous": []}
        for seed in range(given.first_seed, given.first_seed + given.seeds):
            for mode, rows in found.items():
                rows.append(result(problem, mode, seed, given))
            print_comparison(problem, goal, found)


def result(problem: str, mode: str, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """Return the result of a search, from the file of results if it is there."""
    workers = given.workers if mode == "asynchronous" else 1
    of = [
        problem,
        mode,
        given.agent,
        given.episodes,
        workers,
        given.child_seconds,
        given.tail,
        seed,
    ]
    lines = given.results.read_text().splitlines() if given.results.exists() else []
    for line in map(json.loads, lines):
        if line["of"] == of:
            return dict(line)
    env = environment(problem, seed)
    cluster = None
    if mode == "asynchronous":
        cluster = Cluster(env.memory.evaluator, workers, given.child_seconds, given.tail, seed=seed)
    ended = searched(env, given.agent, given.episodes, seed, cluster)
    begun = ended if cluster is None else cluster.accuracies
    line = {"of": of, "busy": None if cluster is None else cluster.busy_share}
    line |= {"begun": np.round(begun, 5).tolist(), "ended": np.round(ended, 5).tolist()}
    with given.results.open("a") as file:
        file.write(json.dumps(line) + "\n")
    return line


def print_comparison(problem: str, goal: float, found: dict[str, list[dict[str, Any]]]) -> None:
    """Print means over the seeds so far, and the ratios with their standard errors."""
    number = len(found["lock-step"])
    busy = np.mean([each["busy"] for each in found["asynchronous"]])
    print(f"{problem}, {number} seeds: busy {busy:.1%}")
    for order in ("begun", "ended"):
        rows = {mode: [each[order] for each in lines] for mode, lines in found.items()}
        last = {mode: np.mean([each[-LAST:] for each in rewards]) for mode, rewards in rows.items()}
        counts = [[reached(each, goal) for each in rewards] for rewards in rows.values()]
        pairs = [pair for pair in zip(*counts, strict=True) if None not in pair]
        text = ", ".join(f"{mode} {mean:.4f}" for mode, mean in last.items())
        text = f"  as {order}: last {LAST} {text}; {goal} reached by both in {len(pairs)}"
        print(text + (_ratio(pairs) if pairs else ""), flush=True)


def _ratio(pairs: Sequence[Any]) -> str:
    before, now = np.array(pairs, dtype=float).T
    logs = np.log(now / before)
    error = logs.std(ddof=1) / np.sqrt(len(logs)) if len(logs) > 1 else float("nan")
    text = f", after {before.mean():.0f} and {now.mean():.0f} children"
    return f"{text}: ratio {np.exp(logs.mean()):.3f} (log's standard error {error:.3f})"


if __name__ == "__main__":
    main()
