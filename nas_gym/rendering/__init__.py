"""An architecture, or as much of it as is decided, as text and as a picture; a file a family.

Importing this package registers every family's drawing.
"""

from nas_gym.rendering import (  # noqa: F401 (registers them)
    cells,
    chain,
    graphs,
    macro,
    mobile,
    vertices,
)
from nas_gym.rendering.base import draw, picture_size, write
from nas_gym.rendering.layout import overlaps
from nas_gym.rendering.window import Window

__all__ = ["Window", "draw", "overlaps", "picture_size", "write"]
