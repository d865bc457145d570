"""Seeds that follow from a run's seed, and random numbers that follow from a seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nas_gym.architecture import Architecture
from nas_gym.training.devices import threads_for


def seed_from(text: str) -> int:
    """Return a seed in [0, 2**63) that follows from a text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def child_seed(seed: int, architecture: Architecture, repeat: int = 0) -> int:
    """Return a child's own seed, in [0, 2**63); it follows from run and architecture alone.

    Args:
        seed: The run's.
        architecture: The child.
        repeat: Number of the training, where the same child is trained several times on purpose.
    """
    return seed_from(f"{seed}/{architecture.key}" + (f"/{repeat}" if repeat else ""))


@contextmanager
def isolated(seed: int, device: torch.device, height: int) -> Iterator[None]:
    """Start torch's global generators from a seed within it, with threads for these images.

    Afterwards, generators and threads are as they were before.

    Args:
        seed: Of the generators.
        device: The device of the training.
        height: Of the images, in pixels.
    """
    cuda = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(cuda), threads_for(device, height):
        torch.manual_seed(seed)
        yield
