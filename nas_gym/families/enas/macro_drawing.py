"""ENAS's macro networks: a column of layers, from the stem at the bottom to the classifier.

Every output that skips has a lane of its own, from the height where it leaves its layer to the last
layer that takes it; outputs 0, 2, 4, ... go up on the left, the others on the right, the oldest
outermost; two that share a colour are on either side. A bar across the picture is a reduction,
through which all lanes pass.
"""

from __future__ import annotations

from nas_gym.families.enas.macro_search_space import MacroSketch, pooled_after
from nas_gym.rendering.canvas import FAINT, INK, MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas

_BOX = (170, 30)
_ROW = 46
_BAR = 18
_LANE = (9, 18)  # the narrowest, the widest
_BEND = 12  # at most
_LEAVES, _ARRIVES = 4, (10, 26)  # heights at a box's side, from its top


def write(sketch: MacroSketch) -> str:
    """Return the sketch as lines of text."""
    lines = []
    for number, layer in enumerate(sketch.layers, start=1):
        line = f"  layer_{number} = {layer.operation} of {_output_name(number - 1)}"
        if layer.skips:
            line += f"; skips from {', '.join(map(_output_name, layer.skips))}"
        lines.append(line)
        if number in pooled_after(sketch.depth):
            lines.append("  reduction of every output to half its size")
    return "\n".join(lines)


def _output_name(output: int) -> str:
    return f"layer_{output}" if output else "stem"


def draw(sketch: MacroSketch, new_canvas: NewCanvas) -> Canvas:
    """Draw the sketch on a new canvas."""
    lanes = (sketch.depth + 1) // 2
    width = max(WIDTH, 2 * MARGIN + _BOX[0] + 2 * _LANE[0] * (lanes + 1))
    rows = sketch.depth + 1 + len(pooled_after(sketch.depth))
    drawing = _MacroDrawing(new_canvas(width, 2 * MARGIN + _BOX[1] + rows * _ROW), sketch)
    drawing.draw_chain()
    for output in range(sketch.depth):
        takers = [n for n, layer in enumerate(sketch.layers, 1) if output in layer.skips]
        if takers:
            drawing.draw_lane(output, takers)
    return drawing.canvas


class _MacroDrawing:
    """The drawing of the column, then of the chain up through it, then of the lanes beside it."""

    def __init__(self, canvas: Canvas, sketch: MacroSketch) -> None:
        self.canvas, self.sketch = canvas, sketch
        self.centre = canvas.width / 2
        room = (canvas.width - 2 * MARGIN - _BOX[0]) / 2
        self.lanes = (sketch.depth + 1) // 2
        self.pitch = min(_LANE[1], room / (self.lanes + 1))
        self.bend = min(_BEND, 0.8 * self.pitch)

    def draw_chain(self) -> None:
        layers, depth = self.sketch.layers, self.sketch.depth
        for after in pooled_after(depth):
            bottom = self._top(after) - (_ROW - _BOX[1])
            bar = (MARGIN, bottom - _BAR, self.canvas.width - MARGIN, bottom)
            self.canvas.box(bar, "reduction of every output to half its size", radius=3)
        self._draw_box(0, "stem: 3x3 convolution")
        self._draw_box(depth + 1, "classifier")
        for number, layer in enumerate(layers, start=1):
            self._draw_box(number, f"{number}   {layer.operation}")
        for number in range(len(layers) + (len(layers) == depth)):
            start = (self.centre, self._top(number))
            end = (self.centre, self._top(number + 1) + _BOX[1])
            self.canvas.rise(start, end, INK, arrow=True)

    def _top(self, number: int) -> float:
        """Return the upper edge of a layer's box; 0 is the stem, L + 1 the classifier."""
        bars = sum(after < number for after in pooled_after(self.sketch.depth))
        return self.canvas.height - MARGIN - _BOX[1] - (number + bars) * _ROW

    def _draw_box(self, number: int, text: str) -> None:
        top, half = self._top(number), _BOX[0] / 2
        box = (self.centre - half, top, self.centre + half, top + _BOX[1])
        skips = number < self.sketch.depth - 1
        self.canvas.box(box, text, colour(number // 2) if skips else FAINT)

    def draw_lane(self, output: int, takers: list[int]) -> None:
        side, ink = -1 if output % 2 == 0 else 1, colour(output // 2)
        edge = self.centre + side * _BOX[0] / 2
        x = edge + side * self.pitch * (self.lanes - output // 2)
        turn = x - side * self.bend
        leaves = self._top(output) + _LEAVES
        self.canvas.bend((turn, leaves), (x, leaves), (x, leaves - self.bend), ink)
        self.canvas.line((edge, leaves), (turn, leaves), ink)
        for taker in takers:
            y = self._arrival(output, taker)
            self.canvas.bend((x, y + self.bend), (x, y), (turn, y), ink)
            self.canvas.line((turn, y), (edge, y), ink)
        self.canvas.line((x, leaves - self.bend), (x, y + self.bend), ink)

    def _arrival(self, output: int, taker: int) -> float:
        """Return the height at which a skip arrives: older ones higher, so fewer lines cross."""
        skips = self.sketch.layers[taker - 1].skips
        same_side = [skip for skip in skips if skip % 2 == output % 2]
        first, last = _ARRIVES
        place = (same_side.index(output) + 0.5) / len(same_side)
        return self._top(taker) + first + (last - first) * place
