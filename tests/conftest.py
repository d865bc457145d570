"""Settings that hold for every test."""

import os
import random
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
_cache = tempfile.TemporaryDirectory(prefix="nas_gym-")  # of decoded images; removed at the end
os.environ["NAS_GYM_CACHE"] = _cache.name
_logs = tempfile.TemporaryDirectory(prefix="nas_gym-")  # the folder of Stable-Baselines3's loggers
os.environ["SB3_LOGDIR"] = _logs.name

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tests")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed the global generators, so that a test without a seed of its own cannot fail by chance.

    Of PyTorch, which this does not import: before it is imported, its generator has a fixed seed.
    """
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (Stable-Baselines3's own generator)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.manual_seed(0)
