"""Seeds that follow from a run's seed, and random numbers that follow from a seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nas_gym.architecture import Architecture
from nas_gym.networks.devices import cpu_threads


def seed_from(text: str) -> int:
    """Return a seed in [0, 2**63) that follows from a text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def child_seed(seed: int, architecture: Architecture, repeat: int = 0) -> int:
    """Return a child's own seed, in [0, 2**63), which follows from a run's seed and the child.

    ``repeat`` numbers trainings where the same child is trained several times on purpose.
    """
    return seed_from(f"{seed}/{architecture.key}" + (f"/{repeat}" if repeat else ""))


def global_generator(device: torch.device) -> torch.Generator:
    """Return a generator that goes on as torch's global one of a device would."""
    if device.type == "cpu":
        state = torch.get_rng_state()
    else:
        state = getattr(torch, device.type).get_rng_state(device)
    generator = torch.Generator(device)
    generator.set_state(state)
    return generator


@contextmanager
def isolated(seed: int, device: torch.device, one_thread: bool) -> Iterator[None]:
    """Start torch's global generators from a seed within it; restore them afterwards.

    With ``one_thread``, a CPU computes by one: threads that wait for each other after every short
    operation lose more than they gain, and lose much when another process wants their core.
    """
    cuda = [device.index or 0] if device.type == "cuda" else []
    alone = one_thread and device.type == "cpu"
    threads = cpu_threads(1 if alone else torch.get_num_threads())
    with torch.random.fork_rng(cuda), threads:
        torch.manual_seed(seed)
        yield
