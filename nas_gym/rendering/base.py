"""`draw` and `write`: each family registers here how its sketch becomes a picture and a text."""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from nas_gym.architecture import Architecture
from nas_gym.rendering.canvas import MARGIN, WIDTH, Canvas
from nas_gym.search_spaces.base import Choices, DecisionsSketch, SearchSpace

NewCanvas: TypeAlias = Callable[[int, int], Canvas]
"""Makes the canvas of a picture, of a width and a height in pixels."""


def draw(subject: SearchSpace | Architecture, choices: Choices | None = None) -> Image.Image:
    """The picture of an architecture, or of what ``choices``, (t,), have decided of one.

    Every picture of one search space has the same size, `picture_size`.
    """
    return draw_sketch(sketch_of(subject, choices), Canvas).finished()


def write(subject: SearchSpace | Architecture, choices: Choices | None = None) -> str:
    """An architecture, or what ``choices``, (t,), have decided of one, as lines of text."""
    text = write_sketch(sketch_of(subject, choices))
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


@singledispatch
def write_sketch(sketch: Any) -> str:
    """A sketch as lines of text; a family registers its own for the type of its sketch."""
    return str(sketch)


@singledispatch
def draw_sketch(sketch: Any, new_canvas: NewCanvas) -> Canvas:
    """A sketch on a new canvas; a family registers its own for the type of its sketch."""
    return draw_text(write_sketch(sketch), new_canvas)


@write_sketch.register
def _(sketch: DecisionsSketch) -> str:
    return "\n".join(f"  {name}: {label}" for name, label in sketch.made)


@draw_sketch.register
def _(sketch: DecisionsSketch, new_canvas: NewCanvas) -> Canvas:
    return draw_text(write_sketch(sketch), new_canvas, sketch.decisions)


def draw_text(text: str, new_canvas: NewCanvas, most_lines: int = 1) -> Canvas:
    """Lines of text on a canvas with room for ``most_lines``."""
    lines = text.splitlines()
    canvas = new_canvas(WIDTH, 2 * MARGIN + 16 * max(most_lines, len(lines)))
    for number, line in enumerate(lines):
        canvas.text((MARGIN, MARGIN + 16 * number + 8), line, anchor="lm")
    return canvas
