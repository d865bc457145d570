"""Seeds that follow from a run's seed, and random numbers that follow from a seed alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

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


def random_states(device: torch.device) -> list[Tensor]:
    """Return the states of torch's global generators, the CPU's and that of another device."""
    states = [torch.get_rng_state()]
    if device.type != "cpu":
        states.append(torch.get_device_module(device).get_rng_state(device))
    return states


def set_random_states(device: torch.device, states: Sequence[Tensor]) -> None:
    """Restore states of `random_states`."""
    torch.set_rng_state(states[0])
    if device.type != "cpu":
        torch.get_device_module(device).set_rng_state(states[1], device)


def set_seed(seed: int, device: torch.device) -> None:
    """Seed torch's global generators, the CPU's and that of another device.

    Other devices keep theirs, which `torch.manual_seed` would seed too: an agent may draw there.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        state = torch.Generator(device).manual_seed(seed).get_state()
        torch.get_device_module(device).set_rng_state(state, device)


def global_generator(device: torch.device) -> torch.Generator:
    """Return a generator that goes on as torch's global one of a device would."""
    generator = torch.Generator(device)
    generator.set_state(random_states(device)[-1])
    return generator


@contextmanager
def isolated(seed: int, device: torch.device, one_thread: bool) -> Iterator[None]:
    """Start torch's global generators from a seed within it; restore them afterwards.

    With ``one_thread``, a CPU computes by one: threads that wait for each other after every short
    operation lose more than they gain, and lose much when another process wants their core.
    """
    alone = one_thread and device.type == "cpu"
    before = random_states(device)
    try:
        with cpu_threads(1 if alone else torch.get_num_threads()):
            set_seed(seed, device)
            yield
    finally:
        set_random_states(device, before)
