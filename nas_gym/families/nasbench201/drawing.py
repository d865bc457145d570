"""Graphs of numbered nodes with an operation on every edge: NAS-Bench-201's cells."""

from __future__ import annotations

from collections.abc import Sequence

from nas_gym.families.nasbench201.search_space import EDGES, NODES
from nas_gym.rendering.canvas import MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas


def write(operations: Sequence[str]) -> str:
    """Return the operations decided, in the order of `EDGES`, as lines of text."""
    lines = []
    for target in range(1, NODES):
        brought = zip(EDGES, operations, strict=False)
        terms = [f"{op} of {s}" for (s, to), op in brought if to == target and op != "none"]
        lines.append(f"  node {target} = {' + '.join(terms) or 'nothing'}")
    return "\n".join(lines)


def draw(operations: Sequence[str], new_canvas: NewCanvas) -> Canvas:
    """Draw nodes one above the other; an edge that passes nodes has a lane beside them."""
    pitch, radius = 100, 15
    canvas = new_canvas(WIDTH, 2 * MARGIN + 2 * radius + pitch * (NODES - 1))
    centre = WIDTH / 2
    heights = [canvas.height - MARGIN - radius - pitch * n for n in range(NODES)]
    names = {0: "in", NODES - 1: "out"}
    for node, y in enumerate(heights):
        box = (centre - radius, y - radius, centre + radius, y + radius)
        canvas.box(box, names.get(node, str(node)), colour(node), radius)
    lanes = iter((side, centre + 115 * side * reach) for reach in (1, 2) for side in (-1, 1))
    labels = dict(zip(EDGES, operations, strict=False))
    for source, target in sorted(EDGES, key=lambda edge: (edge[1] - edge[0], edge)):
        side, x = (0, centre) if target == source + 1 else next(lanes)
        label = labels.get((source, target), "none")
        if label == "none":
            continue
        bottom, top, ink = heights[source], heights[target], colour(source)
        middle = (bottom + top) / 2
        if side:
            edge = centre + side * radius
            canvas.curve(((edge, bottom), (x, bottom), (x, bottom), (x, middle)), ink)
            canvas.curve(((x, middle), (x, top), (x, top), (edge, top)), ink, arrow=True)
        else:
            canvas.rise((x, bottom - radius), (x, top + radius), ink, arrow=True)
        canvas.box((x - 47, middle - 12, x + 47, middle + 12), label)
    return canvas
