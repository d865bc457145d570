"""`Window`: pictures on the screen."""

from __future__ import annotations

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray

_SHARE = 0.9  # of the screen's width and height, which a window takes at most; bars take the rest


class Window:
    """A window that shows pictures, for ``render_mode="human"``, at most so many in a second.

    ``size`` is the pictures' width and height in pixels. The window is no larger than the screen
    and can be resized; pictures are scaled to it.
    """

    def __init__(self, size: tuple[int, int], frames_per_second: int) -> None:
        try:
            import pygame  # noqa: PLC0415 (an extra)
        except ImportError as error:
            raise DependencyNotInstalled(
                'render_mode="human" needs pygame; run `pip install "nas-gym[human]"`'
            ) from error
        self._pygame = pygame
        self._frames_per_second = frames_per_second
        pygame.display.init()
        screen = pygame.display.get_desktop_sizes()[0]
        ratio = min(1.0, _ratio(size, (_SHARE * screen[0], _SHARE * screen[1])))
        # pygame.SCALED would need a renderer, and does not scale down.
        pygame.display.set_mode(_scaled(size, ratio), pygame.RESIZABLE)
        pygame.display.set_caption("nas_gym")
        self._clock = pygame.time.Clock()

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Show a picture, (H, W, 3), for one frame."""
        self._pygame.event.pump()
        window = self._pygame.display.get_surface()
        surface = self._pygame.surfarray.make_surface(picture.swapaxes(0, 1))
        size = _scaled(surface.get_size(), _ratio(surface.get_size(), window.get_size()))
        if size != surface.get_size():
            surface = self._pygame.transform.smoothscale(surface, size)
        window.fill((255, 255, 255))
        window.blit(surface, (0, 0))
        self._pygame.display.flip()
        self._clock.tick(self._frames_per_second)

    def close(self) -> None:
        """Close the window."""
        self._pygame.display.quit()


def _ratio(size: tuple[int, int], available: tuple[float, float]) -> float:
    """Return the factor by which a picture just fits into the available size."""
    return min(available[0] / size[0], available[1] / size[1])


def _scaled(size: tuple[int, int], ratio: float) -> tuple[int, int]:
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
