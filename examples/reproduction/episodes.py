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
from typing import Annotated

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch.nn import functional as F

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


def main(
    episodes: Annotated[int, typer.Option(help="Episodes in each environment.")] = 1_000,
    networks: Annotated[int, typer.Option(help="Networks built in each environment.")] = 200,
    only: Annotated[str, typer.Option(help="Environments whose id has this in it.")] = "",
    seed: int = 0,
) -> None:
    """Play, check, and print a line for each environment."""
    table = Table("environment", "episodes", "different networks", "built", "seconds", box=None)
    for env_id in [n for each in registered_families() for n in each.environments if only in n]:
        env_class = environment_type(env_id)
        env = NASEnv(env_class.default_search_space(), FreeEvaluator())
        settings = None  # of a recorded benchmark's environment: the family's own
        if "trained" in env_class.evaluators:
            settings = env_class.split_arguments({})[1].network
        started = time.perf_counter()
        rng = np.random.default_rng(seed)
        keys = set()
        for number in track(range(episodes), env_id, transient=True, console=Console(stderr=True)):
            choices = play(env, rng)
            search_space = env.search_space.stage(number)
            architecture = check(search_space, choices)
            keys.add(architecture.key)
            if number < networks:
                run_network(architecture, settings)
                paint(search_space, choices)
        seconds = f"{time.perf_counter() - started:.0f}"
        built = str(min(networks, episodes))
        table.add_row(env_id, f"{episodes:,}", f"{len(keys):,}", built, seconds)
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
