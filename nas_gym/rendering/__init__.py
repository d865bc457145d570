"""Texts and pictures of an architecture, or of as much of it as is decided.

Here are the canvas, the layout of cells, and the window; a family's own drawing is in its folder.
"""

from nas_gym.rendering.drawing import draw, picture_size, write
from nas_gym.rendering.layout import overlaps
from nas_gym.rendering.window import Window

__all__ = ["Window", "draw", "overlaps", "picture_size", "write"]
