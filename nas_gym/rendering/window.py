"""A window on the screen, for ``render_mode="human"``."""

from __future__ import annotations

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray


class Window:
    """A window that shows pictures, for ``render_mode="human"``.

    Raises:
        DependencyNotInstalled: pygame is missing.
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
        self._screen = pygame.display.set_mode(size)
        pygame.display.set_caption("nas_gym")
        self._clock = pygame.time.Clock()

    def show(self, picture: NDArray[np.uint8]) -> None:
        """Shows a picture, (H, W, 3), for one frame."""
        surface = self._pygame.surfarray.make_surface(picture.swapaxes(0, 1))
        self._screen.blit(surface, (0, 0))
        self._pygame.event.pump()
        self._pygame.display.flip()
        self._clock.tick(self._frames_per_second)

    def close(self) -> None:
        """Closes the window."""
        self._pygame.display.quit()
