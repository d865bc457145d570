"""`draw` and `write`: an architecture, or a part of it, as a picture and as text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np
from PIL import Image

from nas_gym.architecture import Architecture
from nas_gym.family import family_of
from nas_gym.rendering.canvas import MARGIN, WIDTH, Canvas
from nas_gym.search_spaces.base import Choices, DecisionsSketch, SearchSpace

NewCanvas: TypeAlias = Callable[[int, int], Canvas]
"""Makes the canvas of a picture, of a width and a height in pixels."""


def draw(subject: SearchSpace | Architecture, choices: Choices | None = None) -> Image.Image:
    """The picture of an architecture, or of what ``choices``, (t,), have decided of one.

    Every picture of one search space has the same size, `picture_size`.
    """
    return drawing_of(subject).draw(sketch_of(subject, choices), Canvas).finished()


def write(subject: SearchSpace | Architecture, choices: Choices | None = None) -> str:
    """An architecture, or what ``choices``, (t,), have decided of one, as lines of text."""
    text = drawing_of(subject).write(sketch_of(subject, choices))
    if choices is None or not isinstance(subject, SearchSpace):
        return text
    total = len(subject.decisions)
    head = f"{subject.name}: {len(choices)} of {total} decisions"
    if len(choices) < total:
        head += f", next: {subject.decisions[len(choices)].name}"
    return f"{head}\n{text}"


def picture_size(search_space: SearchSpace) -> tuple[int, int]:
    """Width and height in pixels of every picture of this search space."""
    return draw(search_space, np.zeros(0, dtype=np.int64)).size


def sketch_of(subject: SearchSpace | Architecture, choices: Choices | None) -> object:
    """The sketch of an architecture, or of what ``choices`` have decided of one."""
    if isinstance(subject, SearchSpace):
        return subject.sketch(np.zeros(0, dtype=np.int64) if choices is None else choices)
    return subject.sketch()


class Drawing(Protocol):
    """How a family's sketches become texts and pictures; a module serves as one."""

    def write(self, sketch: Any) -> str:
        """A sketch as lines of text."""

    def draw(self, sketch: Any, new_canvas: NewCanvas) -> Canvas:
        """A sketch on a new canvas."""


class TextDrawing:
    """The drawing of what has none of its own: the decisions as text."""

    def write(self, sketch: Any) -> str:
        """One line a decision; any other sketch as Python writes it."""
        if not isinstance(sketch, DecisionsSketch):
            return str(sketch)
        return "\n".join(f"  {name}: {label}" for name, label in sketch.made)

    def draw(self, sketch: Any, new_canvas: NewCanvas) -> Canvas:
        """The text on a canvas."""
        most = sketch.decisions if isinstance(sketch, DecisionsSketch) else 1
        return draw_text(self.write(sketch), new_canvas, most)


def drawing_of(subject: SearchSpace | Architecture) -> Drawing:
    """The drawing of a subject's family."""
    kind = subject.architecture_type if isinstance(subject, SearchSpace) else type(subject)
    family = family_of(kind)
    drawing: Drawing | None = None if family is None else family.part("drawing")
    return drawing or TextDrawing()


def draw_text(text: str, new_canvas: NewCanvas, most_lines: int = 1) -> Canvas:
    """Lines of text on a canvas with room for ``most_lines``."""
    lines = text.splitlines()
    canvas = new_canvas(WIDTH, 2 * MARGIN + 16 * max(most_lines, len(lines)))
    for number, line in enumerate(lines):
        canvas.text((MARGIN, MARGIN + 16 * number + 8), line, anchor="lm")
    return canvas
