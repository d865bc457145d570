"""The window, with SDL's driver that has no screen."""

import numpy as np
import pytest

from nas_gym.rendering import Window

pygame = pytest.importorskip("pygame")


@pytest.fixture(autouse=True)
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")


def shown() -> np.ndarray:
    return np.asarray(pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1))


def test_a_picture_that_exceeds_the_screen_is_scaled_down() -> None:
    window = Window((1968, 984), frames_per_second=1000)
    picture = np.zeros((984, 1968, 3), dtype=np.uint8)
    picture[492:, 984:] = 200
    window.show(picture)
    width, height = pygame.display.get_desktop_sizes()[0]
    seen = shown()
    assert seen.shape[0] < height
    assert seen.shape[1] < width
    assert seen.shape[1] == pytest.approx(2 * seen.shape[0], abs=2)
    assert seen[10, 10].tolist() == seen[-10, 10].tolist() == [0, 0, 0]
    assert seen[-10, -10].tolist() == pytest.approx([200, 200, 200], abs=3)
    window.close()


def test_pictures_follow_the_size_of_the_window() -> None:
    window = Window((100, 50), frames_per_second=1000)
    assert pygame.display.get_surface().get_flags() & pygame.RESIZABLE
    picture = np.full((50, 100, 3), 7, dtype=np.uint8)
    window.show(picture)
    np.testing.assert_array_equal(shown(), picture)
    pygame.display.set_mode((200, 200), pygame.RESIZABLE)  # as a user drags it
    window.show(picture)
    assert shown()[:100].tolist() == [[[7, 7, 7]] * 200] * 100
    assert shown()[100:].tolist() == [[[255, 255, 255]] * 200] * 100
    window.close()
