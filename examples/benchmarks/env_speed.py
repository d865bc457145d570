"""How fast are the environments? Prints ratios against Gymnasium's CartPole-v1 in the same run.

    python examples/benchmarks/env_speed.py

1. One environment through `gym.make`, and 16 and 1,024 of them through `gym.make_vec`, against
   CartPole-v1 through the same (its own vector environment): steps per second under random
   actions. NAS-Bench-201's 6 decisions are answered from its recorded table, whose lookup and
   budget are part of the time; NASNet's 50, and two conditional search spaces (13 decisions of
   one's own, NAS-Bench-101's 26), by an evaluator that costs nothing. An
   environment's first steps, in which most networks are new to it, are a line of their own.
2. 1,024 environments of each recorded id against as many CartPoles.
3. Once-for-All's surrogate, 1,024 networks at a time: networks per second by its arrays alone, from
   sequences of choices to rewards with the budget, and in the vector environment as a whole, whose
   46 decisions are a step each.
4. MaskablePPO on NAS-Bench-201 through `nas_gym.sb3`: the environment's share of the time.

It needs nasbench201_cifar10.npz and ofa_mbv3_w12.npz in NAS_GYM_DATA. The sides take turns, since
machines are noisy; the median of the rounds' ratios is what counts.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import statistics
import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import VecEnv

import nas_gym
from nas_gym import (
    CustomArchitecture,
    CustomSearchSpace,
    Decision,
    Evaluation,
    NASEnv,
    NASVectorEnv,
    RecordedEvaluator,
    SearchSpace,
)
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.sb3 import NASVecEnv

ROUNDS = 5
RECORDED: tuple[tuple[str, dict[str, Any]], ...] = (
    ("nas_gym/TinyBench-v0", {}),
    *(
        ("nas_gym/NASBench201-Recorded-v0", {"dataset": dataset})
        for dataset in ("cifar10", "cifar100", "ImageNet16-120")
    ),
    ("nas_gym/OFA-v0", {"evaluator": "surrogate"}),
)
"""Environments that look their children up, or compute them."""


class Free:
    """An evaluator that costs nothing: all networks are worth the same."""

    def __init__(self, search_space: SearchSpace) -> None:
        self.search_space = search_space
        self.columns = {
            "accuracy": np.array([0.5]),
            "seconds": np.array([0.0]),
            "status": np.array(["ok"]),
        }

    def rows(self, choices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row 0 for each of N sequences, (N, T)."""
        return np.zeros(len(choices), dtype=np.int64)

    def evaluation(self, row: int) -> Evaluation:
        """Return the one record."""
        return Evaluation("ok", 0.5, (0.5,), seconds=0.0, seed=0, fingerprint="free")

    def evaluate(self, architectures: Any) -> list[Evaluation]:
        """Return the one record for each."""
        return [self.evaluation(0) for _ in architectures]


DEPTHS = ("1", "2", "3", "4")


class Layers(CustomArchitecture, kind="benchmark-layers"):
    """One to four layers; of a layer that is not there, nothing is to be decided."""

    decisions = (
        Decision("depth", DEPTHS),
        *(
            Decision(f"layer_{number}/{name}", choices, when={"depth": DEPTHS[number - 1 :]})
            for number in (1, 2, 3, 4)
            for name, choices in (
                ("filters", ("8", "16", "32", "64")),
                ("kernel", ("1", "3", "5", "7", "9")),
                ("skip", ("no", "yes")),
            )
        ),
    )


def register(name: str, evaluator: RecordedEvaluator) -> None:
    """Register an environment of this program."""

    def single(**arguments: Any) -> NASEnv:
        return NASEnv(evaluator.search_space, evaluator, **arguments)

    def vector(num_envs: int, **arguments: Any) -> NASVectorEnv:
        return NASVectorEnv(evaluator.search_space, evaluator, num_envs, **arguments)

    options = {"order_enforce": False, "disable_env_checker": True}  # as nas_gym's own have them
    gym.register(name, single, vector_entry_point=vector, **options)  # type: ignore[arg-type]


def single_speed(env: gym.Env[Any, Any], least: float) -> float:
    """Return steps per second of one environment, measured for ``least`` seconds."""
    number = int(env.action_space.n)  # type: ignore[attr-defined]
    parts = np.random.default_rng(0).integers(number, size=(500, 1_000)).tolist()
    env.reset(seed=0)
    steps, started = 0, time.perf_counter()
    for actions in cycle(parts):
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        steps += len(actions)
        if time.perf_counter() - started > least:
            break
    return steps / (time.perf_counter() - started)


def vector_speed(env: VectorEnv[Any, Any, Any], least: float) -> float:
    """Return steps per second of a vector environment, all of its environments together."""
    number = int(env.single_action_space.n)  # type: ignore[attr-defined]
    parts = np.random.default_rng(0).integers(number, size=(20, 100, env.num_envs))
    env.reset(seed=0)
    steps, started = 0, time.perf_counter()
    for actions in cycle(parts):
        for batch in actions:
            env.step(batch)
        steps += actions.size
        if time.perf_counter() - started > least:
            break
    return steps / (time.perf_counter() - started)


def compare(title: str, ours: Callable[[], float], baseline: Callable[[], float]) -> None:
    """Print the ratio of two speeds that are measured in turns."""
    rounds = [(ours(), baseline()) for _ in range(ROUNDS)]
    ratios = [mine / theirs for mine, theirs in rounds]
    mine, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(
        f"{title:42} {mine:12,.0f} {theirs:12,.0f}   "
        f"{statistics.median(ratios):5.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        flush=True,
    )


def compare_speeds(seconds: float) -> None:
    """Print the table of steps per second, each measured for ``seconds`` a round."""
    register("benchmark/NASBench201-v0", nasbench201_table())
    register("benchmark/NASNet-v0", Free(nas_gym.NASNetSearchSpace()))
    register("benchmark/Conditional-v0", Free(CustomSearchSpace(Layers)))
    register("benchmark/NASBench101-v0", Free(nas_gym.NASBench101SearchSpace()))
    print(f"{'steps per second':42} {'nas_gym':>12} {'CartPole-v1':>12}   ratio")
    cartpole, known = gym.make("CartPole-v1"), gym.make("benchmark/NASBench201-v0")
    compare(
        "one, NAS-Bench-201, first steps",
        lambda: single_speed(gym.make("benchmark/NASBench201-v0"), seconds),
        lambda: single_speed(cartpole, seconds),
    )
    for _ in range(5):
        warm_up(known)
    compare(
        "one, NAS-Bench-201",
        lambda: single_speed(known, seconds),
        lambda: single_speed(cartpole, seconds),
    )
    for num_envs in (16, 1024):
        baseline = gym.make_vec("CartPole-v1", num_envs, "vector_entry_point")
        for name in ("NASBench201", "NASNet", "Conditional", "NASBench101"):
            for mode in ("NextStep", "SameStep"):
                env = gym.make_vec(f"benchmark/{name}-v0", num_envs, autoreset_mode=mode)
                compare(
                    f"{num_envs:,}, {name}, {mode}",
                    lambda env=env: vector_speed(env, seconds),  # type: ignore[misc]
                    lambda baseline=baseline: vector_speed(baseline, seconds),  # type: ignore[misc]
                )


def compare_recorded(seconds: float) -> None:
    """Print the same of 1,024 environments of each recorded id."""
    baseline = gym.make_vec("CartPole-v1", 1024, "vector_entry_point")
    for env_id, arguments in RECORDED:
        env = gym.make_vec(env_id, 1024, **arguments)
        compare(
            f"{env_id.removeprefix('nas_gym/')} {arguments.get('dataset', '')}",
            lambda env=env: vector_speed(env, seconds),  # type: ignore[misc]
            lambda: vector_speed(baseline, seconds),
        )


def surrogate_speed(seconds: float, number: int = 1024) -> None:
    """Print how many networks a second the surrogate evaluates, each measured for ``seconds``."""
    rng, batches = np.random.default_rng(0), list[NDArray[np.int64]]()
    env: Any = gym.make_vec(
        "nas_gym/OFA-v0", number, evaluator="surrogate", autoreset_mode="SameStep"
    )
    env.reset()

    def play() -> None:
        for actions in rng.integers(env.single_action_space.n, size=(env.decisions, number)):
            env.step(actions)

    for _ in range(20):
        play()
        batches.append(env.finished.choices)
    drawn, evaluator, space = cycle(batches), env.memory.evaluator, env.search_space
    print(f"{'networks per second, ' + format(number, ',') + ' at a time':58} median of {ROUNDS}")
    for title, action in (
        ("the surrogate's arrays", lambda: evaluator.columns_of(next(drawn))),
        ("from choices to rewards", lambda: env.evaluate(space, next(drawn))),
        (f"{env.decisions} steps of the vector environment", play),
    ):
        rates = [number * repetitions(action, seconds) for _ in range(ROUNDS)]
        print(f"{title:48} {statistics.median(rates):12,.0f}", flush=True)


def repetitions(action: Callable[[], object], least: float) -> float:
    """Return how often a second an action can be repeated, measured for ``least`` seconds."""
    times, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < least:
        action()
        times += 1
    return times / passed


def warm_up(env: gym.Env[Any, Any]) -> None:
    """Plays random episodes."""
    rng = np.random.default_rng(1)
    for _ in range(10_000):
        env.reset()
        for action in rng.integers(5, size=6).tolist():
            env.step(action)


def share_of_environment(num_envs: int = 16, episodes: int = 4_000) -> None:
    """Print the environment's share of MaskablePPO's time."""
    table = nasbench201_table()
    vec_env: VecEnv = NASVecEnv(
        NASVectorEnv(table.search_space, table, num_envs, autoreset_mode="SameStep")
    )
    settings: dict[str, Any] = {"n_steps": 24, "batch_size": 192, "gamma": 1.0, "gae_lambda": 1.0}
    agent = MaskablePPO("MlpPolicy", vec_env, device="cpu", seed=0, **settings)
    profile = cProfile.Profile()
    profile.runcall(agent.learn, 6 * episodes)
    stats: dict[tuple[str, int, str], tuple[Any, ...]] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    total = max(cumulative for _, _, _, cumulative, _ in stats.values())
    ours = sum(
        cumulative
        for (file, _, function), (_, _, _, cumulative, _) in stats.items()
        if file.endswith("nas_gym/sb3/vec_env.py")
        and function in ("step_wait", "env_method", "reset")
    )
    print(
        f"MaskablePPO, {num_envs} environments, {episodes:,} episodes in {total:.1f} s (profiled): "
        f"the environment takes {ours / total:.1%}"
    )


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"gymnasium {gym.__version__}, numpy {np.__version__}, torch {torch.__version__}")
    compare_speeds(given.seconds)
    compare_recorded(given.seconds)
    surrogate_speed(given.seconds)
    share_of_environment()


if __name__ == "__main__":
    main()
