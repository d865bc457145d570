"""Settings that hold for every test."""

import os
import tempfile

from hypothesis import settings

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
_cache = tempfile.TemporaryDirectory(prefix="nas_gym-")  # of decoded images; removed at the end
os.environ["NAS_GYM_CACHE"] = _cache.name
_logs = tempfile.TemporaryDirectory(prefix="nas_gym-")  # the folder of Stable-Baselines3's loggers
os.environ["SB3_LOGDIR"] = _logs.name

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tests")
