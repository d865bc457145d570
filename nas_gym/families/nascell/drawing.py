"""Recurrent cells as trees, the leaves below and h(t) above (Zoph & Le 2017, figures 5 and 8)."""

from __future__ import annotations

from nas_gym.families.nascell.search_space import TreeSketch, children_of
from nas_gym.rendering.canvas import INK, MARGIN, WIDTH, Canvas, Point, colour, fitted
from nas_gym.rendering.drawing import NewCanvas

_PITCH, _HALF_WIDTH, _HALF_HEIGHT = 72, 31, 24
_ROW, _INJECT = 148, 76  # from one level to the next, and to the cell inject above a node
_INPUTS, _OUTPUT = 34, 18  # from a leaf's middle down to its inputs, and from the root up to h(t)


def write(sketch: TreeSketch) -> str:
    """Return the sketch as lines of text."""
    lines, base = [], (len(sketch.nodes) + 1) // 2
    for number, (combination, activation) in enumerate(sketch.nodes):
        children = [f"a{child}" for child in children_of(number, base)] or ["W x", "U h"]
        inside = f"{combination}({', '.join(children)})"
        if number == sketch.indices[0]:
            inside = f"c(t) = {inside}"
        line = f"{activation}({inside})"
        if number == sketch.indices[1]:
            line = f"{sketch.inject[1]}({sketch.inject[0]}({line}, c(t-1)))"
        lines.append(f"  a{number} = {line}")
    return "\n".join([*lines, f"  h(t) = a{len(sketch.nodes) - 1}"])


def draw(sketch: TreeSketch, new_canvas: NewCanvas) -> Canvas:
    """Draw a box a node: its activation over its combination, between which c(t) is read."""
    base, last = (len(sketch.nodes) + 1) // 2, len(sketch.nodes) - 1
    above_root = _INJECT + _HALF_HEIGHT + _OUTPUT + 16
    height = 2 * MARGIN + above_root + _ROW * (base.bit_length() - 1) + _INPUTS + _HALF_HEIGHT / 2
    canvas = new_canvas(max(WIDTH, 2 * MARGIN + _PITCH * base), int(height))
    places = _places(base, canvas.width / 2, MARGIN + above_root)
    for number, (x, y) in enumerate(places):
        _draw_node(canvas, sketch, number, (x, y))
        top = y - _HALF_HEIGHT - (_INJECT if number == sketch.indices[1] else 0)
        end = (x, top - _OUTPUT)
        if number < last:
            above = places[base + number // 2]
            end = (above[0] + (6 if number % 2 else -6), above[1] + _HALF_HEIGHT)
        canvas.rise((x, top), end, colour(number), arrow=True)
        if number < base:
            canvas.text((x, y + _INPUTS), *fitted("x(t), h(t-1)", _PITCH - 4))
    canvas.text((end[0], end[1] - 8), "h(t)")
    return canvas


def _draw_node(canvas: Canvas, sketch: TreeSketch, number: int, place: Point) -> None:
    """Draw the box of a node, and above it that of the cell inject where c(t-1) is combined."""
    x, y = place
    combination, activation = sketch.nodes[number]
    tap = "\nc(t) =" if number == sketch.indices[0] else ""
    _box(canvas, place, f"{activation}{tap}\n{combination}", colour(number))
    if number == sketch.indices[1]:
        combination, activation = sketch.inject
        start, end = (x, y - _HALF_HEIGHT), (x, y - _INJECT + _HALF_HEIGHT)
        canvas.rise(start, end, colour(number), arrow=True)
        _box(canvas, (x, y - _INJECT), f"{activation}\n{combination}\nc(t-1)", INK)


def _places(base: int, middle: float, root: float) -> list[Point]:
    """Return the middle of each node's box: leaves side by side, others between their children."""
    left, lowest = middle - _PITCH * (base - 1) / 2, root + _ROW * (base.bit_length() - 1)
    places = [(left + _PITCH * leaf, lowest) for leaf in range(base)]
    for node in range(base, 2 * base - 1):
        one, other = (places[child] for child in children_of(node, base))
        places.append(((one[0] + other[0]) / 2, one[1] - _ROW))
    return places


def _box(canvas: Canvas, place: Point, text: str, ink: str) -> None:
    x, y = place
    box = (x - _HALF_WIDTH, y - _HALF_HEIGHT, x + _HALF_WIDTH, y + _HALF_HEIGHT)
    canvas.box(box, text, ink)
