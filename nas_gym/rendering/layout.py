"""The places of a picture's texts and boxes, found without drawing a pixel."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import combinations, product

from PIL import Image, ImageDraw

from nas_gym.architecture import Architecture
from nas_gym.rendering.canvas import FAINT, Canvas, Point, font
from nas_gym.rendering.drawing import drawn
from nas_gym.search_spaces.base import Choices, SearchSpace

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels of the finished picture."""


class LayoutCanvas(Canvas):
    """A canvas that draws nothing, and remembers the places of all texts and boxes."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.texts: list[tuple[str, Box]] = []
        self.boxes: list[Box] = []
        self.falls: list[Point] = []
        """The ends of lines that should rise and do not."""

    def finished(self) -> Image.Image:
        """Return an empty picture."""
        return Image.new("RGB", (self.width, self.height))

    def text(self, at: Point, text: str, size: int = 12, anchor: str = "mm") -> None:
        if text:
            x0, y0, x1, y1 = _extent(text, size, anchor)
            self.texts.append((text, (at[0] + x0, at[1] + y0, at[0] + x1, at[1] + y1)))

    def box(
        self, box: tuple[float, ...], text: str, outline: str = FAINT, radius: float = 5
    ) -> None:
        x0, y0, x1, y1 = box
        self.boxes.append((x0, y0, x1, y1))
        self.label(box, text)

    def line(self, start: Point, end: Point, colour: str) -> None:
        pass

    def rise(self, start: Point, end: Point, colour: str, arrow: bool = False) -> None:
        if end[1] > start[1]:
            self.falls.append(end)

    def curve(self, controls: Sequence[Point], colour: str, arrow: bool = False) -> None:
        pass


@lru_cache(maxsize=10_000)
def _extent(text: str, size: int, anchor: str) -> Box:
    pen = ImageDraw.Draw(Image.new("L", (1, 1)))
    corners = pen.multiline_textbbox((0, 0), text, font(2 * size), anchor, 3, "center")
    x0, y0, x1, y1 = (corner / 2 for corner in corners)
    return x0, y0, x1, y1


def layout(subject: SearchSpace | Architecture, choices: Choices | None = None) -> LayoutCanvas:
    """Return where everything would lie in the picture that `nas_gym.rendering.draw` draws."""
    canvas = drawn(subject, choices, LayoutCanvas)
    assert isinstance(canvas, LayoutCanvas)
    return canvas


def overlaps(subject: SearchSpace | Architecture, choices: Choices | None = None) -> list[str]:
    """Return the faults of a picture's layout, one line each; none if all is well.

    Texts and boxes lie within the picture, no two boxes overlap, no two texts do, and a text lies
    inside a box or outside it; lines that should rise do.
    """
    canvas = layout(subject, choices)
    picture = (0.0, 0.0, float(canvas.width), float(canvas.height))
    outside = [(text, place) for text, place in canvas.texts if not _within(place, picture)]
    faults = [f"{text!r} sticks out of the picture at {place}" for text, place in outside]
    boxes = [box for box in canvas.boxes if not _within(box, picture)]
    faults += [f"a box sticks out of the picture at {box}" for box in boxes]
    faults += [f"a line goes downwards to {end}" for end in canvas.falls]
    for (text, place), (other, other_place) in combinations(canvas.texts, 2):
        if _overlap(place, other_place):
            faults.append(f"{text!r} and {other!r} overlap at {place}")
    for box, other_box in combinations(canvas.boxes, 2):
        if _overlap(box, other_box):
            faults.append(f"boxes overlap at {box} and {other_box}")
    for (text, place), box in product(canvas.texts, canvas.boxes):
        if _overlap(place, box) and not _within(place, box):
            faults.append(f"{text!r} crosses the border of the box at {box}")
    return faults


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _within(box: Box, outer: Box) -> bool:
    return outer[0] <= box[0] and outer[1] <= box[1] and box[2] <= outer[2] and box[3] <= outer[3]
