"""Settings that hold for every test."""

import os

from hypothesis import settings

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

settings.register_profile("tests", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("tests")
