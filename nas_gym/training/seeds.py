"""Seeds that follow from a run's seed, and random numbers that follow from a seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nas_gym.architecture import Architecture
from nas_gym.networks.devices import cpu_threads
from nas_gym.training.devices import SMALL_IMAGES_BELOW


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
    """Start torch's global generators from a seed within it; restore them afterwards.

    Images of a small height, in pixels, are computed by one thread on a CPU: threads that wait for
    each other after every short operation lose more than they gain, and lose much when another
    process wants their core.
    """
    cuda = [device.index or 0] if device.type == "cuda" else []
    one_thread = device.type == "cpu" and height < SMALL_IMAGES_BELOW
    threads = cpu_threads(1 if one_thread else torch.get_num_threads())
    with torch.random.fork_rng(cuda), threads:
        torch.manual_seed(seed)
        yield
