"""`draw` and `write`: an architecture, or a part of it, as a picture and as text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from PIL import Image

from nas_gym.architecture import Architecture
from nas_gym.errors import counted
from nas_gym.family import family_of
from nas_gym.rendering.canvas import MARGIN, WIDTH, Canvas, fitted
from nas_gym.search_spaces.base import Choices, DecisionsSketch, SearchSpace

NewCanvas = Callable[[int, int], Canvas]
"""Makes the canvas of a picture, of a width and a height in pixels."""

MOST_PIXELS = 2**23
_MOST_LINES = 800


def draw(subject: SearchSpace | Architecture, choices: Choices | None = None) -> Image.Image:
    """Return the picture of an architecture, or of the part that ``choices``, (t,), have decided.

    Every picture of one search space has the same size, `picture_size`. An architecture whose
    picture would have more than 8 million pixels is drawn as text.
    """
    return drawn(subject, choices, Canvas).finished()


def write(subject: SearchSpace | Architecture, choices: Choices | None = None) -> str:
    """Return an architecture, or the part that ``choices``, (t,), have decided, as lines."""
    text = _drawing_of(subject).write(_sketch_of(subject, choices))
    if choices is None or not isinstance(subject, SearchSpace):
        return text
    total = len(subject.decisions)
    head = f"{subject.name}: {len(choices)} of {counted(total, 'decision')}"
    if len(choices) < total:
        head += f", next: {subject.decisions[len(choices)].name}"
    return f"{head}\n{text}"


def picture_size(search_space: SearchSpace) -> tuple[int, int]:
    """Return the width and the height in pixels of every picture of this search space."""
    return draw(search_space, np.zeros(0, dtype=np.int64)).size


def drawn(
    subject: SearchSpace | Architecture, choices: Choices | None, new_canvas: NewCanvas
) -> Canvas:
    """Return the canvas on which a subject is drawn: by its family, or as text if too large."""
    drawing, sketch = _drawing_of(subject), _sketch_of(subject, choices)

    def bounded(width: int, height: int) -> Canvas:
        if width * height > MOST_PIXELS:
            raise _TooLargeError
        return new_canvas(width, height)

    try:
        return drawing.draw(sketch, bounded)
    except _TooLargeError:
        lines = len(subject.decisions) if isinstance(subject, SearchSpace) else 1
        return draw_text(drawing.write(sketch), new_canvas, lines)


class _TooLargeError(Exception):
    """A picture would have more than `MOST_PIXELS`."""


def _sketch_of(subject: SearchSpace | Architecture, choices: Choices | None) -> object:
    if isinstance(subject, SearchSpace):
        return subject.sketch(np.zeros(0, dtype=np.int64) if choices is None else choices)
    return subject.sketch()


class Drawing(Protocol):
    """The drawing of a family's sketches as texts and pictures; a module serves as one."""

    def write(self, sketch: Any) -> str:
        """Return a sketch as lines of text."""

    def draw(self, sketch: Any, new_canvas: NewCanvas) -> Canvas:
        """Draw a sketch on a new canvas, and return it."""


class TextDrawing:
    """The drawing of families without one: the decisions as text."""

    def write(self, sketch: Any) -> str:
        """Return one line a decision; any other sketch as Python writes it."""
        if not isinstance(sketch, DecisionsSketch):
            return textwrap.fill(str(sketch), 80)
        lines = (f"{name}: {label}" for name, label in sketch.made)
        return "\n".join(f"  {' '.join(line.split())}" for line in lines)

    def draw(self, sketch: Any, new_canvas: NewCanvas) -> Canvas:
        """Draw the text on a canvas."""
        most = sketch.num_decisions if isinstance(sketch, DecisionsSketch) else 1
        return draw_text(self.write(sketch), new_canvas, most)


def _drawing_of(subject: SearchSpace | Architecture) -> Drawing:
    kind = subject.architecture_type if isinstance(subject, SearchSpace) else type(subject)
    family = family_of(kind)
    drawing: Drawing | None = None if family is None else family.part("drawing")
    return drawing or TextDrawing()


def draw_text(text: str, new_canvas: NewCanvas, most_lines: int = 1) -> Canvas:
    """Draw lines of text on a canvas with room for ``most_lines``; of very many, the last ones."""
    lines = text.splitlines()[-_MOST_LINES:]
    rows = min(max(most_lines, len(lines)), _MOST_LINES)
    canvas = new_canvas(WIDTH, 2 * MARGIN + 16 * rows)
    for number, line in enumerate(lines):
        place = (MARGIN, MARGIN + 16 * number + 8)
        canvas.text(place, *fitted(line, WIDTH - 2 * MARGIN), anchor="lm")
    return canvas
