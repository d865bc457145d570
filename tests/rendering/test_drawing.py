"""Texts and pictures of any architecture, and of episodes on their way to one."""

import numpy as np
import pytest

from nas_gym import NASNetSearchSpace, SearchSpace, published
from nas_gym.architecture import published_architectures
from nas_gym.rendering import draw, overlaps, picture_size, write
from nas_gym.rendering.layout import LayoutCanvas, layout
from tests.helpers import LayersArchitecture, LayersSearchSpace


def test_text_of_any_search_space_lists_its_decisions() -> None:
    assert write(LayersSearchSpace(), np.array([1, 2])).splitlines() == [
        "Layers: 2 of 4 decisions, next: layer_2",
        "  depth: 2",
        "  layer_1: 16",
    ]


def test_any_architecture_has_a_text_and_a_picture() -> None:
    architecture = LayersArchitecture(("8", "16"))
    assert "16" in write(architecture)
    assert np.asarray(draw(architecture)).min() < 128


@pytest.mark.parametrize(
    "search_space",
    [NASNetSearchSpace(1), NASNetSearchSpace(2), NASNetSearchSpace(8), LayersSearchSpace()],
    ids=["1 block", "2 blocks", "8 blocks", "Layers"],
)
def test_pictures_have_one_size_throughout_an_episode(search_space: SearchSpace) -> None:
    choices = search_space.sample(np.random.default_rng(0))
    steps = range(0, len(choices) + 1, max(1, len(choices) // 8))
    sizes = {draw(search_space, choices[:step]).size for step in steps}
    assert sizes == {picture_size(search_space)}


@pytest.mark.parametrize("name", published_architectures())
def test_pictures_have_ink(name: str) -> None:
    picture = np.asarray(draw(published(name)))
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[1:] == (600, 3)
    assert 0.005 < (picture < 128).any(axis=2).mean() < 0.5
    assert (picture[[0, -1]] == 255).all()


@pytest.mark.parametrize("name", published_architectures())
def test_published_architectures_are_laid_out_well(name: str) -> None:
    assert len(layout(published(name)).texts) >= 4
    assert overlaps(published(name)) == []


def test_faults_of_a_layout_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = LayoutCanvas(100, 100)
    canvas.box((10, 10, 50, 30), "a")
    canvas.box((40, 20, 60, 40), "")
    canvas.text((50, 25), "crosses")
    canvas.text((52, 27), "over")
    canvas.text((99, 90), "out of the picture")
    canvas.rise((10, 40), (10, 50), "#000000")
    monkeypatch.setattr("nas_gym.rendering.layout.layout", lambda *_: canvas)
    found = "\n".join(overlaps(published("NASNet-A")))
    for fault in ("sticks out", "boxes overlap", "'crosses' and 'over'", "border", "downwards"):
        assert fault in found
