"""Graphs of numbered nodes with an operation on every edge: NAS-Bench-201's cells."""

from __future__ import annotations

from itertools import combinations

from nas_gym.families.nasbench201.search_space import GraphSketch
from nas_gym.rendering.canvas import MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas


def write(sketch: GraphSketch) -> str:
    """Write the sketch as lines of text."""
    lines = []
    for target in range(1, sketch.nodes):
        terms = [f"{label} of {source}" for source, to, label in sketch.edges if to == target]
        lines.append(f"  node {target} = {' + '.join(terms) or 'nothing'}")
    return "\n".join(lines)


def draw(sketch: GraphSketch, new_canvas: NewCanvas) -> Canvas:
    """Nodes one above the other; an edge that passes nodes has a lane beside them."""
    pitch, radius = 100, 15
    canvas = new_canvas(WIDTH, 2 * MARGIN + 2 * radius + pitch * (sketch.nodes - 1))
    centre = WIDTH / 2
    heights = [canvas.height - MARGIN - radius - pitch * n for n in range(sketch.nodes)]
    names = {0: "in", sketch.nodes - 1: "out"}
    for node, y in enumerate(heights):
        box = (centre - radius, y - radius, centre + radius, y + radius)
        canvas.box(box, names.get(node, str(node)), colour(node), radius)
    lanes = iter((side, centre + 115 * side * reach) for reach in (1, 2) for side in (-1, 1))
    for source, target in sorted(
        combinations(range(sketch.nodes), 2), key=lambda edge: (edge[1] - edge[0], edge)
    ):
        side, x = (0, centre) if target == source + 1 else next(lanes)
        bottom, top = heights[source], heights[target]
        middle = (bottom + top) / 2
        for label in [e[2] for e in sketch.edges if e[:2] == (source, target)]:
            ink = colour(source)
            if side:
                start, end = (centre + side * radius, bottom), (centre + side * radius, top)
                corner = (x, middle)
                canvas.curve((start, (x, bottom), (x, bottom), corner), ink)
                canvas.curve((corner, (x, top), (x, top), end), ink, arrow=True)
            else:
                canvas.rise((x, bottom - radius), (x, top + radius), ink, arrow=True)
            canvas.box((x - 47, middle - 12, x + 47, middle + 12), label)
    return canvas
