"""Scatter plots: every point is there, and those on the front stand out."""

from __future__ import annotations

import numpy as np
import pytest

from nas_gym.rendering.canvas import FAINT, WIDTH, colour
from nas_gym.rendering.scatter import HEIGHT, axis_start, scatter


def having(picture: np.ndarray, shade: str) -> np.ndarray:
    """Return which pixels have a colour, (H, W) bool."""
    rgb = [int(shade[start : start + 2], 16) for start in (1, 3, 5)]
    return np.asarray((picture == rgb).all(axis=-1))


def has_colour(picture: np.ndarray, shade: str) -> int:
    """Return how many pixels have a colour."""
    return int(having(picture, shade).sum())


@pytest.mark.parametrize("dimensions", [2, 3])
def test_there_is_a_panel_for_each_cost(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    values, names = rng.random((20, dimensions)), ["accuracy", "parameters", "latency"][:dimensions]
    picture = np.asarray(scatter(values, names, np.arange(20) < 5))
    assert picture.shape == (HEIGHT * (dimensions - 1), WIDTH, 3)
    for panel in range(dimensions - 1):
        part = picture[HEIGHT * panel : HEIGHT * (panel + 1)]
        assert has_colour(part, colour(1)) > 5 * 8
        assert has_colour(part, FAINT) > 15
    none = np.asarray(scatter(values, names, np.zeros(20, dtype=np.bool_)))
    assert has_colour(none, colour(1)) == 0


def test_one_point_is_drawn_too() -> None:
    one = np.array([[0.5, 3.0]])
    picture = np.asarray(scatter(one, ["accuracy", "parameters"], np.array([True])))
    assert has_colour(picture, colour(1)) > 5


def test_the_worst_few_do_not_squeeze_the_others() -> None:
    good = np.linspace(0.90, 0.94, 39)
    assert axis_start(np.append(good, 0.1)) == 0.90
    assert axis_start(np.append(good, 0.88)) == 0.88  # takes less than half
    assert axis_start(np.append(good, [0.1] * 4)) == 0.1  # too many to leave out
    assert axis_start(np.array([0.5, 0.5])) == 0.5
    values = np.stack([np.append(good, 0.1), np.arange(40.0)], axis=1)
    marked, spread = values[:, 0] > 0.92, []
    for without_few in (False, True):
        picture = np.asarray(scatter(values, ["accuracy", "parameters"], marked, without_few))
        rows = np.flatnonzero(having(picture, colour(1)).any(axis=1))
        spread.append(int(np.ptp(rows)))
    assert spread[1] > 5 * spread[0]
