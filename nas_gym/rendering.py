"""An architecture, or as much of it as is decided, as text and as a picture.

The picture of a cell is the paper's figure (Zoph et al. 2018, figure 4): the inputs at the bottom;
above them the blocks, each of two operations and a combination; the concatenation at the top. All
lines that leave one hidden state share a colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, singledispatch
from itertools import combinations
from typing import Any

import numpy as np
from gymnasium.error import DependencyNotInstalled
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from nas_gym.architecture import Architecture
from nas_gym.search_spaces.base import Choices, DecisionsSketch, SearchSpace
from nas_gym.search_spaces.cells import (
    ADD,
    CELL_INPUTS,
    CellSketch,
    CellsSketch,
)
from nas_gym.search_spaces.nasbench import GraphSketch

SHORT_LABELS = {
    "identity": "identity",
    "1x3 then 3x1 convolution": "1x3\n3x1",
    "1x7 then 7x1 convolution": "1x7\n7x1",
    "3x3 dilated convolution": "dilated\n3x3",
    "3x3 average pooling": "avg\n3x3",
    "3x3 max pooling": "max\n3x3",
    "5x5 max pooling": "max\n5x5",
    "7x7 max pooling": "max\n7x7",
    "1x1 convolution": "conv\n1x1",
    "3x3 convolution": "conv\n3x3",
    "3x3 depthwise-separable conv": "sep\n3x3",
    "5x5 depthwise-seperable conv": "sep\n5x5",
    "7x7 depthwise-separable conv": "sep\n7x7",
}
"""What is written into an operation's box."""

WIDTH = 600
"""A picture's width in pixels, for cells of up to five blocks."""
_SCALE = 2  # drawn larger, then reduced: smooth lines
_MARGIN = 12
_TITLE = 30
_BOX = (52, 34)
_GAP = 4
_LANE = 12
_COMBINE = 20
_BLOCK = _BOX[1] + 10 + _COMBINE
_LINES = 48  # between two rows
_ROW = _BLOCK + _LINES
_INPUT = (64, 30)
_OUTPUT = 28
_INK, _PAPER, _FILL, _FAINT = "#222222", "#ffffff", "#f4f1e8", "#8a8a8a"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a4fb5", "#4d4d4d")


def draw(subject: SearchSpace | Architecture, choices: Choices | None = None) -> Image.Image:
    """The picture of an architecture, or of what ``choices``, (t,), have decided of one.

    Every picture of one search space has the same size, `picture_size`.
    """
    return _draw(_sketch(subject, choices))


def write(subject: SearchSpace | Architecture, choices: Choices | None = None) -> str:
    """An architecture, or what ``choices``, (t,), have decided of one, as lines of text."""
    text = _write(_sketch(subject, choices))
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


def _sketch(subject: SearchSpace | Architecture, choices: Choices | None) -> object:
    if isinstance(subject, SearchSpace):
        return subject.sketch(np.zeros(0, dtype=np.int64) if choices is None else choices)
    return subject.sketch()


@singledispatch
def _write(sketch: Any) -> str:
    return str(sketch)


@_write.register
def _(sketch: DecisionsSketch) -> str:
    return "\n".join(f"  {name}: {label}" for name, label in sketch.made)


@_write.register
def _(sketch: CellsSketch) -> str:
    lines = []
    for cell in sketch.cells:
        lines.append(f"{cell.name} cell")
        for number, block in enumerate(cell.blocks, start=CELL_INPUTS):
            halves = [f"{label} of {_state_name(hidden)}" for hidden, label in block.inputs]
            joint = " + " if block.combine == ADD else " | "
            lines.append(f"  {_state_name(number)} = {joint.join(halves)}")
        if cell.concat is not None:
            states = ", ".join(_state_name(state) for state in cell.concat)
            lines.append(f"  output = concatenation of {states}")
    return "\n".join(lines)


def _state_name(state: int) -> str:
    return ("h_i", "h_{i-1}")[state] if state < CELL_INPUTS else f"block_{state - 1}"


@singledispatch
def _draw(sketch: Any) -> Image.Image:
    return _draw_text(_write(sketch))


@_draw.register
def _(sketch: DecisionsSketch) -> Image.Image:
    return _draw_text(_write(sketch), sketch.decisions)


@_draw.register
def _(sketch: CellsSketch) -> Image.Image:
    """Each cell in a strip of its own."""
    heights = []
    for cell in sketch.cells:
        rows = sketch.most_blocks if sketch.fixed else len(_levels(cell)[0])
        heights.append(_cell_height(rows))
    block = 2 * (_BOX[0] + _GAP)
    canvas = _Canvas(max(WIDTH, 2 * _MARGIN + sketch.most_blocks * block), sum(heights))
    for place, cell in enumerate(sketch.cells):
        _CellDrawing(canvas, cell, top=sum(heights[:place])).draw()
    return canvas.finished()


@_write.register
def _(sketch: GraphSketch) -> str:
    lines = []
    for target in range(1, sketch.nodes):
        terms = [f"{label} of {source}" for source, to, label in sketch.edges if to == target]
        lines.append(f"  node {target} = {' + '.join(terms) or 'nothing'}")
    return "\n".join(lines)


@_draw.register
def _(sketch: GraphSketch) -> Image.Image:
    """Nodes one above the other; an edge that passes nodes has a lane beside them."""
    pitch, radius = 100, 15
    canvas = _Canvas(WIDTH, 2 * _MARGIN + 2 * radius + pitch * (sketch.nodes - 1))
    centre = WIDTH / 2
    heights = [canvas.height - _MARGIN - radius - pitch * n for n in range(sketch.nodes)]
    names = {0: "in", sketch.nodes - 1: "out"}
    for node, y in enumerate(heights):
        box = (centre - radius, y - radius, centre + radius, y + radius)
        canvas.box(box, names.get(node, str(node)), _colour(node), radius)
    lanes = iter((side, centre + 115 * side * reach) for reach in (1, 2) for side in (-1, 1))
    for source, target in sorted(
        combinations(range(sketch.nodes), 2), key=lambda edge: (edge[1] - edge[0], edge)
    ):
        side, x = (0, centre) if target == source + 1 else next(lanes)
        bottom, top = heights[source], heights[target]
        middle = (bottom + top) / 2
        for label in [e[2] for e in sketch.edges if e[:2] == (source, target)]:
            colour = _colour(source)
            if side:
                start, end = (centre + side * radius, bottom), (centre + side * radius, top)
                corner = (x, middle)
                canvas.curve((start, (x, bottom), (x, bottom), corner), colour)
                canvas.curve((corner, (x, top), (x, top), end), colour, arrow=True)
            else:
                canvas.rise((x, bottom - radius), (x, top + radius), colour, arrow=True)
            canvas.box((x - 47, middle - 12, x + 47, middle + 12), label)
    return canvas.finished()


def _draw_text(text: str, most_lines: int = 1) -> Image.Image:
    lines = text.splitlines()
    canvas = _Canvas(WIDTH, 2 * _MARGIN + 16 * max(most_lines, len(lines)))
    for number, line in enumerate(lines):
        canvas.text((_MARGIN, _MARGIN + 16 * number + 8), line, anchor="lm")
    return canvas.finished()


def _cell_height(rows: int) -> int:
    return 2 * _MARGIN + _TITLE + _OUTPUT + _LINES + rows * _ROW + _INPUT[1]


def _levels(cell: CellSketch) -> tuple[list[list[int]], dict[int, int], dict[int, int]]:
    """Rows of blocks by their distance from the inputs; each state's level, and its last user's.

    The inputs are at level 0, the blocks of the first row at level 1, and the concatenation above
    the last row.
    """
    level = {0: 0, 1: 0}
    last_use = {0: 0, 1: 0}
    for state, block in enumerate(cell.blocks, start=CELL_INPUTS):
        level[state] = last_use[state] = 1 + max(level[block.hidden1], level[block.hidden2])
        for hidden, _ in block.inputs:
            last_use[hidden] = max(last_use[hidden], level[state])
    highest = max(level.values())
    for state in cell.concat or ():
        last_use[state] = highest + 1
    rows = [[s for s in level if level[s] == row] for row in range(1, highest + 1)]
    return rows, level, last_use


class _CellDrawing:
    """Draws one cell, row by row from the inputs upwards.

    A line that passes a row on its way up has a lane of its own there, so none runs through a box.
    """

    def __init__(self, canvas: _Canvas, cell: CellSketch, top: int) -> None:
        self.canvas, self.cell, self.top = canvas, cell, top
        self.rows, self.level, self.last_use = _levels(cell)
        self.floor = top + _cell_height(len(self.rows)) - _MARGIN
        self.ends: dict[int, tuple[float, float]] = {}
        """How far up the line of each state has been drawn."""

    def draw(self) -> None:
        self.canvas.text((_MARGIN, self.top + _MARGIN + 8), f"{self.cell.name} cell", 15, "lm")
        for state, x in enumerate((self.canvas.width * 0.3, self.canvas.width * 0.7)):
            roof = self.floor - _INPUT[1]
            box = (x - _INPUT[0] / 2, roof, x + _INPUT[0] / 2, self.floor)
            self.canvas.box(box, "", outline=_colour(state))
            self.canvas.subscripted((x, (roof + self.floor) / 2), "h", ("i", "i-1")[state])
            self.ends[state] = (x, roof)
        for number, row in enumerate(self.rows, start=1):
            self._draw_row(number, row)
        if self.cell.concat is not None:
            self._draw_concatenation(self.cell.concat)

    def _draw_row(self, number: int, row: list[int]) -> None:
        base = self.floor - _INPUT[1] - _LINES - (number - 1) * _ROW
        lanes = [s for s in self.ends if self.level[s] < number < self.last_use[s]]
        items = sorted([*row, *lanes], key=self._pull)
        widths = [_LANE if item in lanes else 2 * _BOX[0] + _GAP for item in items]
        spare = (self.canvas.width - 2 * _MARGIN - sum(widths)) / len(items)
        x = float(_MARGIN)
        placed = {}
        for item, width in zip(items, widths, strict=True):
            placed[item] = x + (spare + width) / 2
            x += spare + width
        outputs = {state: self._draw_block(state, placed[state], base) for state in row}
        roof = base - _BLOCK
        for state in lanes:
            self.canvas.rise(self.ends[state], (placed[state], base), _colour(state))
            self.canvas.line((placed[state], base), (placed[state], roof), _colour(state))
            outputs[state] = (placed[state], roof)
        self.ends.update(outputs)

    def _pull(self, state: int) -> float:
        """Where from left to right a lane comes from, or a block's two inputs on average."""
        if state in self.ends:
            return self.ends[state][0]
        block = self.cell.blocks[state - CELL_INPUTS]
        return (self.ends[block.hidden1][0] + self.ends[block.hidden2][0]) / 2

    def _draw_block(self, state: int, centre: float, base: float) -> tuple[float, float]:
        """Draws two operations and their combination upon ``base``; gives where its line starts."""
        block = self.cell.blocks[state - CELL_INPUTS]
        width, height = _BOX
        middle = base - _BLOCK + _COMBINE / 2
        halves = sorted(block.inputs, key=lambda half: self.ends[half[0]][0])
        for side, (hidden, label) in zip((-1, 1), halves, strict=True):
            x = centre + side * (width + _GAP) / 2
            self.canvas.line((x, base - height), (centre, middle), _INK)
            self.canvas.box(
                (x - width / 2, base - height, x + width / 2, base), SHORT_LABELS[label]
            )
            self.canvas.rise(self.ends[hidden], (x, base), _colour(hidden), arrow=True)
        wide = _COMBINE / 2 if block.combine == ADD else 1.25 * _COMBINE
        box = (centre - wide, base - _BLOCK, centre + wide, base - _BLOCK + _COMBINE)
        self.canvas.box(
            box, "+" if block.combine == ADD else "concat", _colour(state), _COMBINE / 2
        )
        return centre, base - _BLOCK

    def _draw_concatenation(self, concat: tuple[int, ...]) -> None:
        roof = self.top + _MARGIN + _TITLE
        box = (self.canvas.width * 0.3, roof, self.canvas.width * 0.7, roof + _OUTPUT)
        self.canvas.box(box, "concatenation")
        ordered = sorted(concat, key=lambda state: self.ends[state][0])
        for place, state in enumerate(ordered, start=1):
            x = box[0] + (box[2] - box[0]) * place / (len(ordered) + 1)
            self.canvas.rise(self.ends[state], (x, box[3]), _colour(state), arrow=True)


def _colour(state: int) -> str:
    return _COLOURS[state % len(_COLOURS)]


class _Canvas:
    """A picture in whose coordinates one unit is one pixel of the finished one."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * _SCALE, height * _SCALE), _PAPER)
        self._draw = ImageDraw.Draw(self._image)
        # Lines go below everything else, whenever they are drawn.
        self._above = Image.new("RGBA", self._image.size, (0, 0, 0, 0))
        self._draw_above = ImageDraw.Draw(self._above)

    def finished(self) -> Image.Image:
        self._image.paste(self._above, (0, 0), self._above)
        return self._image.reduce(_SCALE)

    def text(self, at: tuple[float, float], text: str, size: int = 12, anchor: str = "mm") -> None:
        self._draw_above.multiline_text(
            (at[0] * _SCALE, at[1] * _SCALE),
            text,
            _INK,
            _font(size * _SCALE),
            anchor,
            spacing=3,
            align="center",
        )

    def subscripted(self, at: tuple[float, float], text: str, subscript: str) -> None:
        x, y = at
        self.text((x - 3, y), text, 15, "rm")
        self.text((x - 2, y + 6), subscript, 11, "lm")

    def box(
        self, box: tuple[float, ...], text: str, outline: str = _FAINT, radius: float = 5
    ) -> None:
        self._draw_above.rounded_rectangle(
            _scaled(box), radius * _SCALE, _FILL, outline, width=int(1.5 * _SCALE)
        )
        self.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), text)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        self._draw.line([*_scaled(start), *_scaled(end)], colour, width=int(1.5 * _SCALE))

    def rise(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        colour: str,
        arrow: bool = False,
    ) -> None:
        """A curve that leaves ``start`` and arrives at ``end`` going upwards."""
        (x0, y0), (x1, y1) = start, end
        middle = (y0 + y1) / 2
        self.curve((start, (x0, middle), (x1, middle), end), colour, arrow)

    def curve(
        self, controls: Sequence[tuple[float, float]], colour: str, arrow: bool = False
    ) -> None:
        """The Bezier curve of four control points, with an arrow at its end if asked for."""
        t = np.linspace(0, 1, 33)[:, None]
        weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
        points = sum(w * np.array(point) for w, point in zip(weights, controls, strict=True))
        line = [_scaled(point) for point in np.asarray(points).tolist()]
        self._draw.line(line, colour, width=int(1.5 * _SCALE), joint="curve")
        if arrow:
            tip = np.array(controls[3])
            along = tip - np.array(controls[2])
            along = along / max(1e-9, float(np.hypot(*along)))
            across = np.array((-along[1], along[0]))
            corners = (tip, tip - 7 * along + 3.5 * across, tip - 7 * along - 3.5 * across)
            self._draw.polygon([_scaled(corner.tolist()) for corner in corners], colour)


def _scaled(numbers: Sequence[float]) -> tuple[float, ...]:
    return tuple(number * _SCALE for number in numbers)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


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
