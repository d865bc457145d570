"""Chains of layers with skip connections, as NAS designs them (Zoph & Le 2017).

The image is at the bottom, the classifier at the top. A layer that takes the one below has an
arrow from it; all else goes by lanes on both sides of the chain. A lane has the colour of the
layer that it comes from, and bends off to each layer that takes it.
"""

from __future__ import annotations

from nas_gym.rendering.canvas import FAINT, MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas
from nas_gym.search_spaces.chains import ChainSketch

_BOX = (246, 24)
_ROW = 48
_LANES = (9, 24)  # the least and the most from one lane to the next
_FIRST_LANE = 20  # from the boxes to the first lane
_BEND = 9  # the radius
_PORT = 5  # from a box's middle up to where a lane leaves it, and down to where inputs enter


def write(sketch: ChainSketch) -> str:
    """Return the sketch as lines of text."""
    lines = []
    for number, layer in enumerate(sketch.layers, start=1):
        inputs = f" of {_names(layer.inputs)}" if layer.decided or layer.inputs else ""
        lines.append(f"  layer {number}: {layer.label}{inputs}")
    if sketch.loose_ends is not None:
        lines.append(f"  classifier of {_names(sketch.loose_ends)}")
    return "\n".join(lines)


def _names(layers: tuple[int, ...]) -> str:
    if not layers:
        return "the image"
    return f"layer{'s' if len(layers) > 1 else ''} {', '.join(map(str, layers))}"


def draw(sketch: ChainSketch, new_canvas: NewCanvas) -> Canvas:
    """Draw the sketch on a new canvas."""
    steps = max(1, (sketch.most_layers - 1) // 2)  # between the lanes of one side
    least = _BOX[0] + 2 * (_FIRST_LANE + MARGIN)
    width = max(WIDTH, least + 2 * steps * _LANES[0])
    height = 2 * MARGIN + _BOX[1] + (sketch.most_layers + 1) * _ROW
    canvas = new_canvas(width, height)
    rows = [(), *(layer.inputs or ((0,) if layer.decided else ()) for layer in sketch.layers)]
    if sketch.loose_ends is not None:
        rows.append(sketch.loose_ends)
    drawing = _ChainDrawing(canvas, rows, min(_LANES[1], (width - least) / (2 * steps)))
    drawing.draw_box(0, "image")
    for number, layer in enumerate(sketch.layers, start=1):
        drawing.draw_box(number, layer.label, str(number))
    if sketch.loose_ends is not None:
        drawing.draw_box(len(rows) - 1, "classifier")
    drawing.draw_connections()
    return canvas


class _ChainDrawing:
    """The drawing of boxes one above the other, and of the lines from rows below.

    ``rows`` are the rows that each row takes, from the image's, row 0, upwards; ``pitch`` is in
    pixels from one lane to the next.
    """

    def __init__(self, canvas: Canvas, rows: list[tuple[int, ...]], pitch: float) -> None:
        self.canvas, self.rows, self.pitch, self.lanes = canvas, rows, pitch, _lanes(rows)

    def _middle(self, row: int) -> float:
        return self.canvas.height - MARGIN - _BOX[1] / 2 - row * _ROW

    def _edge(self, side: int) -> float:
        """Return the place where the boxes end, on the left (-1) or on the right (1)."""
        return self.canvas.width / 2 + side * _BOX[0] / 2

    def _lane(self, source: int) -> tuple[int, float]:
        """Return the side of the chain where a row's lane lies, and the lane's x."""
        lane = self.lanes[source]
        side = -1 if lane % 2 else 1
        return side, self._edge(side) + side * (_FIRST_LANE + lane // 2 * self.pitch)

    def draw_box(self, row: int, label: str, number: str = "") -> None:
        middle, half = self._middle(row), _BOX[1] / 2
        box = (self._edge(-1), middle - half, self._edge(1), middle + half)
        self.canvas.box(box, label, colour(row))
        self.canvas.text((box[0] + 8, middle), number, anchor="lm")

    def draw_connections(self) -> None:
        for source in self.lanes:
            self._draw_lane(source)
        for row, taken in enumerate(self.rows):
            if row - 1 in taken:
                x, half = self.canvas.width / 2, _BOX[1] / 2
                start, end = (x, self._middle(row - 1) - half), (x, self._middle(row) + half)
                self.canvas.rise(start, end, colour(row - 1), arrow=True)
            self._draw_inputs(row, [source for source in taken if source < row - 1])

    def _draw_lane(self, source: int) -> None:
        """Draw a lane from the side of a box outwards, and up to the last row that takes it."""
        side, x = self._lane(source)
        users = [row for row, taken in enumerate(self.rows) if source in taken and row > source + 1]
        y, ink = self._middle(source) - _PORT, colour(source)
        self.canvas.line((self._edge(side), y), (x - side * _BEND, y), ink)
        self.canvas.bend((x - side * _BEND, y), (x, y), (x, y - _BEND), ink)
        self.canvas.line((x, y - _BEND), (x, self._middle(users[-1]) + _PORT + _BEND), ink)

    def _draw_inputs(self, row: int, sources: list[int]) -> None:
        """Draw the bends from lanes towards a box, on each side into one line with an arrow."""
        y = self._middle(row) + _PORT
        for side in (-1, 1):
            lanes = [(*self._lane(source), source) for source in sources]
            places = [(x, source) for on, x, source in lanes if on == side]
            for x, source in places:
                self.canvas.bend((x, y + _BEND), (x, y), (x - side * _BEND, y), colour(source))
            if places:
                start = side * (max(side * x for x, _ in places) - _BEND)
                edge = self._edge(side)
                middle = ((start + edge) / 2, y)
                ink = FAINT if len(places) > 1 else colour(places[0][1])
                self.canvas.curve(((start, y), middle, middle, (edge, y)), ink, arrow=True)


def _lanes(rows: list[tuple[int, ...]]) -> dict[int, int]:
    """Return a lane for each row that one further up than the next takes; as few as possible."""
    last_use = {s: row for row, taken in enumerate(rows) for s in taken if s < row - 1}
    lanes: dict[int, int] = {}
    free_from: list[int] = []  # of each lane, the row from which on it is free
    for source in sorted(last_use):
        free = [lane for lane, row in enumerate(free_from) if row < source]
        lane = free[0] if free else len(free_from)
        lanes[source] = lane
        free_from[lane : lane + 1] = [last_use[source]]
    return lanes
