"""Compress a ResNet to half its multiply-adds: an agent beside uniform cuts and random ones.

    python examples/reproduction/compression.py             # five networks, 200 evaluations each
    python examples/reproduction/compression.py --seeds 1 --episodes 20

Each seed has a ResNet of its own, trained on digits with a split of its own, over whose layers an
episode walks as AMC's does (He et al. 2018, https://arxiv.org/abs/1802.03494). PPO and random
actions have the same number of evaluations, on the validation split; uniform cuts keep the same
share of every layer, the largest that fits. The best network of each is tested once, as it is and
after five epochs of training.
"""

from __future__ import annotations

from typing import Any

import click
import gymnasium as gym
import numpy as np
import torch
from gymnasium.wrappers import RescaleAction
from scipy import stats
from stable_baselines3 import PPO

import nas_gym  # registers the environments
from nas_gym.families.compression.env import CompressionEnv

KEEP, FINETUNE_EPOCHS = 0.5, 5
Kept = tuple[int, ...]


def make(seed: int, **arguments: Any) -> CompressionEnv:
    """Return the environment of a seed's network and split."""
    arguments |= {"device": "cpu", "keep": KEEP, "split_seed": seed, "training_seed": seed}
    env = gym.make("nas_gym/Compression-v0", **arguments)
    assert isinstance(env.unwrapped, CompressionEnv)
    return env.unwrapped


def best(env: CompressionEnv) -> Kept:
    """Return the channels of the best episode."""
    assert env.best is not None
    return env.best[0]


def learned(env: CompressionEnv, episodes: int, seed: int) -> Kept:
    """Return the best channels of PPO's episodes.

    Settings were chosen on a network and a split with the seed 100, between DDPG, TD3, SAC and PPO.
    """
    steps = 5 * len(env.plan.groups)  # five episodes an update
    PPO(
        "MlpPolicy",
        RescaleAction(env, np.float32(-1), np.float32(1)),
        n_steps=steps,
        batch_size=steps,
        learning_rate=3e-3,
        gamma=1.0,
        gae_lambda=1.0,
        policy_kwargs={"log_std_init": -0.7},
        seed=seed,
        device="cpu",
    ).learn(episodes * len(env.plan.groups))
    return best(env)


def drawn(env: CompressionEnv, episodes: int, seed: int) -> Kept:
    """Return the best channels of random actions, within the same budget."""
    env.action_space.seed(seed)
    for _ in range(episodes):
        env.reset()
        terminated = False
        while not terminated:
            _, _, terminated, _, _ = env.step(env.action_space.sample())
    return best(env)


def uniform(env: CompressionEnv, episodes: int, seed: int) -> Kept:
    """Return the largest channels of equal shares that are within the budget."""
    for share in np.linspace(1, 0, 1001):
        kept = tuple(max(1, round(share * group.channels)) for group in env.plan.groups)
        if env.plan.multiply_adds(kept) <= KEEP * env.plan.total:
            break
    return kept


def whole(env: CompressionEnv, episodes: int, seed: int) -> Kept:
    """Return all channels: the original network, whose multiply-adds are twice the budget."""
    return tuple(env.plan.full.tolist())


METHODS = {"PPO": learned, "random": drawn, "uniform": uniform, "whole": whole}
COLUMNS = ("validation", "test", "test, trained", "multiply-adds")


def accuracies(seed: int, episodes: int) -> dict[str, list[float]]:
    """Return the row of each method for one seed."""
    rows = {}
    finetuned = make(seed, finetune_epochs=FINETUNE_EPOCHS).compressor
    for name, method in METHODS.items():
        env = make(seed)
        kept = method(env, episodes, seed)
        model = env.compressed(kept)
        tested = env.compressor.test_accuracy(model)
        trained = finetuned.test_accuracy(finetuned.model(kept))
        validation = model.facts.metrics["validation"]["accuracy"]
        share = env.plan.multiply_adds(kept) / env.plan.total
        rows[name] = [validation, tested, trained, share]
    return rows


@click.command()
@click.option("--seeds", default=5, help="Number of networks.")
@click.option("--episodes", default=200, help="Evaluations of an agent and of random.")
def main(seeds: int, episodes: int) -> None:
    """Print a line for each seed and method, then means and 95% intervals of the differences."""
    torch.set_num_threads(1)
    results = []
    for seed in range(seeds):
        results.append(accuracies(seed, episodes))
        for name, row in results[-1].items():
            numbers = ", ".join(f"{c} {100 * n:.1f}%" for c, n in zip(COLUMNS, row, strict=True))
            print(f"seed {seed}, {name}: {numbers}", flush=True)
    for name in METHODS:
        of_method = np.array([each[name] for each in results])
        means = zip(COLUMNS, of_method.mean(axis=0), strict=True)
        print(f"{name}: " + ", ".join(f"{c} {100 * n:.1f}%" for c, n in means))
    for other in ("random", "uniform"):
        gains = np.array([np.subtract(each["PPO"], each[other])[:3] for each in results])
        half = stats.sem(gains) * stats.t.ppf(0.975, seeds - 1) if seeds > 1 else np.full(3, np.nan)
        pairs = zip(COLUMNS, gains.mean(axis=0), half, strict=False)
        says = ", ".join(f"{c} {100 * m:+.1f} +- {100 * h:.1f}" for c, m, h in pairs)
        print(f"PPO - {other}, points: {says}")


if __name__ == "__main__":
    print(f"nas_gym {nas_gym.__version__}, torch {torch.__version__}")
    main()
