"""Recurrent cells of ENAS as trees: node 0 below, h(t) above, one row a node.

The first node that takes another one stands in its column, any further one in a column of its own.
"""

from __future__ import annotations

from nas_gym.families.enas_recurrent.search_space import NodesSketch
from nas_gym.rendering.canvas import MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas

_ROW, _HALF_HEIGHT, _WIDEST, _LEAST_PITCH = 44, 12, 130, 58


def write(sketch: NodesSketch) -> str:
    """Return the sketch as lines of text."""
    lines = ["  s0 = tanh of x(t) and h(t-1)"]
    for number, (source, label) in enumerate(sketch.nodes, start=1):
        lines.append(f"  s{number} = {label or '?'} of s{source}")
    return "\n".join([*lines, f"  h(t) = mean of s1 to s{sketch.num_nodes}"])


def draw(sketch: NodesSketch, new_canvas: NewCanvas) -> Canvas:
    """Draw the sketch on a new canvas, as wide as the most columns need."""
    width = max(WIDTH, 2 * MARGIN + _LEAST_PITCH * sketch.num_nodes)
    canvas = new_canvas(width, 2 * MARGIN + _ROW * (sketch.num_nodes + 2) + 2 * _HALF_HEIGHT)
    columns = _columns(sketch)
    pitch = (width - 2 * MARGIN) / (max(columns) + 1)
    half = min(_WIDEST, pitch - 10) / 2

    def place(number: int) -> tuple[float, float]:
        return MARGIN + pitch * (columns[number] + 0.5), _height(canvas, number + 1)

    _wide_box(canvas, 0, "x(t), h(t-1)")
    _wide_box(canvas, sketch.num_nodes + 2, f"h(t) = mean of nodes 1 to {sketch.num_nodes}")
    x, y = place(0)
    canvas.rise((x, y + _ROW - _HALF_HEIGHT), (x, y + _HALF_HEIGHT), colour(0), arrow=True)
    for number, (source, _) in enumerate(sketch.nodes, start=1):
        _connect(canvas, place(source), place(number), colour(source))
    for number, label in enumerate(["tanh", *(label or "?" for _, label in sketch.nodes)]):
        x, y = place(number)
        box = (x - half, y - _HALF_HEIGHT, x + half, y + _HALF_HEIGHT)
        canvas.box(box, f"{number}: {label}", colour(number))
    return canvas


def _height(canvas: Canvas, row: int) -> float:
    return canvas.height - MARGIN - _HALF_HEIGHT - _ROW * row


def _wide_box(canvas: Canvas, row: int, text: str) -> None:
    y = _height(canvas, row)
    canvas.box((MARGIN, y - _HALF_HEIGHT, canvas.width - MARGIN, y + _HALF_HEIGHT), text)


def _columns(sketch: NodesSketch) -> list[int]:
    """Return the column of each node, from node 0 on.

    Nothing else stands between a node and the one that takes it in the same column.
    """
    columns, continued = [0], set()
    for source, _ in sketch.nodes:
        columns.append(max(columns) + 1 if source in continued else columns[source])
        continued.add(source)
    return columns


def _connect(
    canvas: Canvas, start: tuple[float, float], end: tuple[float, float], ink: str
) -> None:
    """Draw a line from a box to one above it: in the gap over the first box, then upwards."""
    (x0, y0), (x1, y1) = (start[0], start[1] - _HALF_HEIGHT), (end[0], end[1] + _HALF_HEIGHT)
    gap = _ROW - 2 * _HALF_HEIGHT
    turned = (x1, y0 - gap / 2)
    if x0 != x1:
        canvas.curve(((x0, y0), (x0, y0 - gap / 2), (x0, y0 - gap / 2), turned), ink)
        x0, y0 = turned
    canvas.rise((x0, y0), (x1, y1), ink, arrow=True)
