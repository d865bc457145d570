"""Graphs with an operation in every vertex: NAS-Bench-101's cells."""

from __future__ import annotations

from functools import cache

from nas_gym.families.nasbench101.architecture import Edge, VerticesSketch
from nas_gym.rendering.canvas import FAINT, MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas

_PITCH, _HALF_WIDTH, _HALF_HEIGHT = 62, 64, 14
_LANE = 25
"""Between a box and the lanes beside it, and between one lane and the next."""


def write(sketch: VerticesSketch) -> str:
    """Return the sketch as lines of text."""
    last = len(sketch.labels) - 1
    lines = []
    for vertex in range(1, last + 1):
        sources = [source for source, target in sketch.edges if target == vertex]
        if vertex < last:
            added = " + ".join(map(str, sources)) or "nothing"
            unused = "" if vertex in sketch.used else " (unused)"
            lines.append(f"  vertex {vertex} = {sketch.labels[vertex]} of {added}{unused}")
    joined = ", ".join(str(source) for source in sources if source) or "nothing"
    lines.append(f"  output = concatenation of {joined}{' + 0' if 0 in sources else ''}")
    return "\n".join(lines)


def draw(sketch: VerticesSketch, new_canvas: NewCanvas) -> Canvas:
    """Draw vertices one above the other; an edge that passes vertices has a lane beside them."""
    vertices = len(sketch.labels)
    canvas = new_canvas(WIDTH, 2 * (MARGIN + _HALF_HEIGHT) + _PITCH * (vertices - 1))
    centre = WIDTH / 2
    heights = [canvas.height - MARGIN - _HALF_HEIGHT - _PITCH * v for v in range(vertices)]
    for vertex, (label, y) in enumerate(zip(sketch.labels, heights, strict=True)):
        box = (centre - _HALF_WIDTH, y - _HALF_HEIGHT, centre + _HALF_WIDTH, y + _HALF_HEIGHT)
        canvas.box(box, f"{vertex}: {label}", colour(vertex) if vertex in sketch.used else FAINT)
    for source, target in sketch.edges:
        ink = colour(source) if {source, target} <= sketch.used else FAINT
        bottom, top = heights[source], heights[target]
        if target == source + 1:
            start, end = (centre, bottom - _HALF_HEIGHT), (centre, top + _HALF_HEIGHT)
            canvas.rise(start, end, ink, arrow=True)
            continue
        lane = _lanes(vertices)[source, target]
        edge = centre + (_HALF_WIDTH if lane > 0 else -_HALF_WIDTH)
        x = edge + lane * _LANE
        leave, arrive = bottom - _HALF_HEIGHT / 2, top + _HALF_HEIGHT / 2
        middle = (x, (leave + arrive) / 2)
        canvas.curve(((edge, leave), (x, leave), (x, leave), middle), ink)
        canvas.curve((middle, (x, arrive), (x, arrive), (edge, arrive)), ink, arrow=True)
    return canvas


@cache
def _lanes(vertices: int) -> dict[Edge, int]:
    """Return the lane of every edge that passes vertices: 1, 2, ... right, -1, -2, ... left.

    Short edges are near the boxes, and edges that pass the same place are in different lanes.
    """
    lanes: dict[Edge, int] = {}
    for length in range(2, vertices):
        for source in range(vertices - length):
            target = source + length
            taken = {lane for (s, t), lane in lanes.items() if s < target and source < t}
            free = (side * reach for reach in range(1, vertices**2) for side in (1, -1))
            lanes[source, target] = next(lane for lane in free if lane not in taken)
    return lanes
