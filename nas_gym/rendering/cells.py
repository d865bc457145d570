"""Cells as in the NASNet paper's figure 4 (Zoph et al. 2018).

The inputs are at the bottom; above them the blocks, each of two operations and a combination; the
concatenation at the top. All lines that leave one hidden state share a colour.
"""

from __future__ import annotations

import textwrap

from nas_gym.rendering.canvas import INK, MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas
from nas_gym.search_spaces.cells import ADD, CELL_INPUTS, CONCATENATE, CellSketch, CellsSketch

SHORT_LABELS = {
    "identity": "identity",
    "1x3 then 3x1 convolution": "1x3\n3x1",
    "1x7 then 7x1 convolution": "1x7\n7x1",
    "3x3 dilated convolution": "dilated\n3x3",
    "3x3 average pooling": "avg\n3x3",
    **{f"{size} max pooling": f"max\n{size}" for size in ("3x3", "5x5", "7x7")},
    **{f"{size} convolution": f"conv\n{size}" for size in ("1x1", "3x3")},
    "3x3 depthwise-separable conv": "sep\n3x3",
    "5x5 depthwise-seperable conv": "sep\n5x5",
    "7x7 depthwise-separable conv": "sep\n7x7",
    "separable_conv_3x3": "sep\n3x3",
    "separable_conv_5x5": "sep\n5x5",
    "average_pooling": "avg\n3x3",
    "max_pooling": "max\n3x3",
}
"""The texts of operations' boxes: NASNet's labels, then ENAS's; others are wrapped."""
_JOINTS = {ADD: "+", CONCATENATE: "|"}
_COMBINES = {ADD: "+", CONCATENATE: "concat"}

_TITLE = 30
_LINE = 8  # characters of a line in an operation's box
_BOX = (52, 34)
_GAP = 4
_LANE = 12
_COMBINE = 20
_BLOCK = _BOX[1] + 10 + _COMBINE
_LINES = 48  # between two rows
_ROW = _BLOCK + _LINES
_INPUT = (64, 30)
_OUTPUT = 28


def write(sketch: CellsSketch) -> str:
    """Return the sketch as lines of text."""
    lines = []
    name = sketch.cell_type.state_name
    for cell in sketch.cells:
        lines.append(f"{cell.name} cell")
        for number, block in enumerate(cell.blocks, start=CELL_INPUTS):
            halves = [f"{label} of {name(hidden)}" for hidden, label in block.inputs]
            joint = _JOINTS.get(block.combine, block.combine)
            lines.append(f"  {name(number)} = {f' {joint} '.join(halves)}")
        if cell.concat is not None:
            states = ", ".join(name(state) for state in cell.concat)
            lines.append(f"  output = concatenation of {states}")
    return "\n".join(lines)


def draw(sketch: CellsSketch, new_canvas: NewCanvas) -> Canvas:
    """Draw each cell in a strip of its own."""
    rows = [sketch.most_blocks if sketch.fixed else len(_levels(c)[0]) for c in sketch.cells]
    heights = [_cell_height(number) for number in rows]
    width = 2 * MARGIN + sketch.most_blocks * 2 * (_BOX[0] + _GAP)
    canvas = new_canvas(max(WIDTH, width), sum(heights))
    for place, cell in enumerate(sketch.cells):
        _CellDrawing(canvas, cell, top=sum(heights[:place])).draw()
    return canvas


def short_label(label: str) -> str:
    """Return the text of an operation's box, of two lines at most."""
    words = " ".join(label.replace("_", " ").split())
    return SHORT_LABELS.get(label) or "\n".join(
        textwrap.wrap(words, max(_LINE, len(words) // 2 + 4), max_lines=2, placeholder="...")
    )


def _cell_height(rows: int) -> int:
    return 2 * MARGIN + _TITLE + _OUTPUT + _LINES + rows * _ROW + _INPUT[1]


def _levels(cell: CellSketch) -> tuple[list[list[int]], dict[int, int], dict[int, int]]:
    """Return rows of blocks by distance from the inputs, each state's level, and its last user's.

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
    """The drawing of one cell, row by row from the inputs upwards.

    A line that passes a row on its way up has a lane of its own there, so none runs through a box.
    """

    def __init__(self, canvas: Canvas, cell: CellSketch, top: int) -> None:
        self.canvas, self.cell, self.top = canvas, cell, top
        self.rows, self.level, self.last_use = _levels(cell)
        self.floor = top + _cell_height(len(self.rows)) - MARGIN
        self.ends: dict[int, tuple[float, float]] = {}
        """The upper end of each state's line, as far as it has been drawn."""

    def draw(self) -> None:
        self.canvas.text((MARGIN, self.top + MARGIN + 8), f"{self.cell.name} cell", 15, "lm")
        for state, x in enumerate((self.canvas.width * 0.3, self.canvas.width * 0.7)):
            roof = self.floor - _INPUT[1]
            box = (x - _INPUT[0] / 2, roof, x + _INPUT[0] / 2, self.floor)
            self.canvas.box(box, "", outline=colour(state))
            middle = (roof + self.floor) / 2
            self.canvas.text((x - 3, middle), "h", 15, "rm")
            self.canvas.text((x - 2, middle + 6), ("i", "i-1")[state], 11, "lm")
            self.ends[state] = (x, roof)
        for number, row in enumerate(self.rows, start=1):
            self._draw_row(number, row)
        if self.cell.concat is not None:
            self._draw_concatenation(self.cell.concat)

    def _draw_row(self, number: int, row: list[int]) -> None:
        base = self.floor - _INPUT[1] - _LINES - (number - 1) * _ROW
        lanes = [s for s in self.ends if self.level[s] < number < self.last_use[s]]
        widths = dict.fromkeys(sorted([*row, *lanes], key=self._pull), 2 * _BOX[0] + _GAP)
        widths |= dict.fromkeys(lanes, _LANE)
        spare = (self.canvas.width - 2 * MARGIN - sum(widths.values())) / len(widths)
        placed, x = {}, float(MARGIN)
        for state, width in widths.items():
            placed[state] = x + (spare + width) / 2
            x += spare + width
        outputs = {state: self._draw_block(state, placed[state], base) for state in row}
        roof = base - _BLOCK
        for state in lanes:
            self.canvas.rise(self.ends[state], (placed[state], base), colour(state))
            self.canvas.line((placed[state], base), (placed[state], roof), colour(state))
            outputs[state] = (placed[state], roof)
        self.ends.update(outputs)

    def _pull(self, state: int) -> float:
        """Return the place of a lane's lower end, or the mean of a block's two inputs."""
        if state in self.ends:
            return self.ends[state][0]
        block = self.cell.blocks[state - CELL_INPUTS]
        return (self.ends[block.hidden1][0] + self.ends[block.hidden2][0]) / 2

    def _draw_block(self, state: int, centre: float, base: float) -> tuple[float, float]:
        """Draw two operations and their combination upon ``base``; return where its line starts."""
        block = self.cell.blocks[state - CELL_INPUTS]
        width, height = _BOX
        middle = base - _BLOCK + _COMBINE / 2
        halves = sorted(block.inputs, key=lambda half: self.ends[half[0]][0])
        for side, (hidden, label) in zip((-1, 1), halves, strict=True):
            x = centre + side * (width + _GAP) / 2
            self.canvas.line((x, base - height), (centre, middle), INK)
            box = (x - width / 2, base - height, x + width / 2, base)
            self.canvas.box(box, short_label(label))
            self.canvas.rise(self.ends[hidden], (x, base), colour(hidden), arrow=True)
        wide, roof = _COMBINE / 2 if block.combine == ADD else 1.25 * _COMBINE, base - _BLOCK
        text = _COMBINES.get(block.combine, block.combine)
        box = (centre - wide, roof, centre + wide, roof + _COMBINE)
        self.canvas.box(box, text, colour(state), _COMBINE / 2)
        return centre, roof

    def _draw_concatenation(self, concat: tuple[int, ...]) -> None:
        roof = self.top + MARGIN + _TITLE
        box = (self.canvas.width * 0.3, roof, self.canvas.width * 0.7, roof + _OUTPUT)
        self.canvas.box(box, "concatenation")
        ordered = sorted(concat, key=lambda state: self.ends[state][0])
        for place, state in enumerate(ordered, start=1):
            x = box[0] + (box[2] - box[0]) * place / (len(ordered) + 1)
            self.canvas.rise(self.ends[state], (x, box[3]), colour(state), arrow=True)
