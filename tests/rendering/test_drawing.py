"""Texts and pictures of any architecture, and of episodes on their way to one."""

import numpy as np
import pytest

from nas_gym import (
    CustomArchitecture,
    CustomSearchSpace,
    Decision,
    NASNetSearchSpace,
    NASSearchSpace,
    SearchSpace,
    published,
)
from nas_gym.architecture import published_architectures
from nas_gym.rendering import draw, overlaps, picture_size, write
from nas_gym.rendering.canvas import fitted
from nas_gym.rendering.drawing import MOST_PIXELS
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
    assert 0.003 < (picture < 128).any(axis=2).mean() < 0.5
    assert (picture[[0, -1]] == 255).all()


@pytest.mark.parametrize("name", published_architectures())
def test_published_architectures_are_laid_out_well(name: str) -> None:
    assert len(layout(published(name)).texts) >= (1 if name in ("LSTM", "GRU") else 4)
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


class Wordy(CustomArchitecture, kind="test-wordy"):
    """Labels and names that no line has room for."""

    decisions = (
        Decision("a name " * 40, ("a label " * 40, "x" * 10**6)),
        Decision("lines", ("one\ntwo", "three")),
    )


@pytest.mark.parametrize("choices", [[0, 0], [1, 1]])
def test_decisions_without_a_drawing_stay_inside_the_picture(choices: list[int]) -> None:
    search_space = CustomSearchSpace(Wordy)
    made = np.array(choices)
    assert overlaps(search_space, made) == []
    assert layout(search_space, made).width == 600
    assert len(write(search_space, made).splitlines()) == 3
    assert overlaps(search_space.decode(choices)) == []
    assert overlaps(LayersArchitecture(tuple("a width " * 20 for _ in range(20)))) == []


@pytest.mark.parametrize("text", ["max", "a long label", "a label of very many words", "x" * 10**6])
def test_labels_stay_inside_their_boxes(text: str) -> None:
    canvas = LayoutCanvas(200, 100)
    canvas.box((20, 20, 90, 50), text)
    [(written, place)] = canvas.texts
    assert place[0] >= 20
    assert place[2] <= 90
    assert written.startswith(text[:5].removesuffix("..."))
    assert (fitted(text, 68) == (text, 12)) == (len(text) < 13)


@pytest.mark.parametrize("search_space", [NASNetSearchSpace(60), NASSearchSpace(200)])
def test_a_picture_that_would_be_too_large_is_text(search_space: SearchSpace) -> None:
    width, height = picture_size(search_space)
    assert width * height <= MOST_PIXELS
    choices = search_space.sample(np.random.default_rng(0))
    assert draw(search_space, choices).size == (width, height)
    drawn = draw(search_space.decode(choices))
    assert drawn.width * drawn.height <= MOST_PIXELS
