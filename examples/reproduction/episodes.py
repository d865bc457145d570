"""Random episodes in every environment: nothing fails, and everything comes back as it went in.

    python examples/reproduction/episodes.py --episodes 100000

Each episode takes random actions, invalid ones among them. Its architecture must decode, encode
back to the same choices, survive JSON, and have a picture in which nothing overlaps (laid out, not
painted). Of a sample, the network is built with the environment's default settings and run forward
and backward on images of 8 and of 32 pixels; the picture is painted, and so laid out is every frame
of the episode.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import click
import numpy as np
import torch
from torch.nn import functional as F
from tqdm import trange

from nas_agents.cli.terminal.output import print_table
from nas_gym import Architecture, Evaluation, NASEnv, SearchSpace, registered_families
from nas_gym.envs import environment_type
from nas_gym.networks import ImageShape, NetworkSettings, build_network
from nas_gym.rendering import draw, overlaps, write
from nas_gym.search_spaces import Choices

RECORD = Evaluation("ok", 0.5, (0.5,), seconds=0.0, seed=0, fingerprint="free")
SHAPES = (ImageShape(1, 8, 8, 10), ImageShape(3, 32, 32, 10))


class FreeEvaluator:
    """Gives every architecture the same record, at no cost."""

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """One record for each."""
        return [RECORD] * len(architectures)


def play(env: NASEnv, rng: np.random.Generator) -> Choices:
    """Return the choices of one episode of random actions."""
    observation, _ = env.reset()
    for action in rng.integers(env.search_space.num_actions, size=env.decisions):
        observation, _, terminated, _, _ = env.step(action)
    assert terminated
    return observation.astype(np.int64) - 1


def check(search_space: SearchSpace, choices: Choices) -> Architecture:
    """Return the architecture of an episode after every check that needs no network."""
    architecture = search_space.decode(choices)
    np.testing.assert_array_equal(search_space.encode(architecture), choices)
    assert Architecture.from_json(architecture.to_json()) == architecture
    assert overlaps(architecture) == []
    assert write(architecture)
    return architecture


def run_network(architecture: Architecture, settings: NetworkSettings | None) -> None:
    """Build the network and run it forward and backward."""
    for shape in SHAPES:
        network = build_network(architecture, shape, settings)
        images = torch.randn(2, shape.channels, shape.height, shape.width)
        outputs = network(images)
        logits = outputs if isinstance(outputs, torch.Tensor) else outputs[0]
        assert logits.shape == (2, shape.classes)
        F.cross_entropy(logits, torch.tensor([0, 1])).backward()
        gradients = [p.grad for p in network.parameters() if p.grad is not None]
        assert gradients
        assert all(torch.isfinite(gradient).all() for gradient in gradients)


def paint(search_space: SearchSpace, choices: Choices) -> None:
    """Paints the picture, and checks the layout of every frame on the way to it."""
    assert np.asarray(draw(search_space, choices)).min() < 128
    for step in range(len(choices) + 1):
        assert overlaps(search_space, choices[:step]) == []


@click.command()
@click.option("--episodes", default=1_000, help="Episodes in each environment.")
@click.option("--networks", default=200, help="Networks built in each environment.")
@click.option("--only", default="", help="Environments whose id has this in it.")
@click.option("--seed", default=0)
def main(episodes: int, networks: int, only: str, seed: int) -> None:
    """Play, check, and print a line for each environment."""
    rows = []
    for env_id in [n for each in registered_families() for n in each.environments if only in n]:
        env_class = environment_type(env_id)
        env = NASEnv(env_class.default_search_space(), FreeEvaluator())
        settings = None  # of a recorded benchmark's environment: the family's own
        if "trained" in env_class.evaluators:
            settings = env_class.split_arguments({})[1].network
        started = time.perf_counter()
        rng = np.random.default_rng(seed)
        keys = set()
        for number in trange(episodes, desc=env_id, leave=False, disable=None):
            choices = play(env, rng)
            search_space = env.search_space.stage(number)
            architecture = check(search_space, choices)
            keys.add(architecture.key)
            if number < networks:
                run_network(architecture, settings)
                paint(search_space, choices)
        seconds = f"{time.perf_counter() - started:.0f}"
        built = min(networks, episodes)
        rows.append((env_id, f"{episodes:,}", f"{len(keys):,}", built, seconds))
    print_table(("environment", "episodes", "different networks", "built", "seconds"), rows)


if __name__ == "__main__":
    main()
