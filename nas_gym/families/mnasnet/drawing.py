"""Mobile networks as in the MnasNet paper's figure 7a (Tan et al. 2019): a column of blocks.

The images enter at the bottom. A box is a layer, the number beside it is the number of such layers
in a row, and the line around it is the layer's skip path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas_gym.families.mnasnet.search_space import CONV_OPS, NO_SKIP, MobileSketch
from nas_gym.rendering.canvas import FAINT, MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas

_CENTRE = WIDTH / 2
_BOX = (200, 30)
_PITCH = 58  # from one row to the next
_SKIP_GAP = 9  # between a box and where its skip path leaves and arrives
_SKIP_REACH = 145  # of the line around a box, from the centre
_BLOCK_LABEL, _LAYERS, _FILTERS = MARGIN, _CENTRE + 112, _CENTRE + 150  # where texts start
_STEM = {"conv_op": "conv", "kernel_size": 3}
_HEAD = ("conv (k1x1)", "pooling, FC")


def write(sketch: MobileSketch) -> str:
    """Write the sketch as lines of text."""
    lines = [f"  stem: {_layer(_STEM)}, {_filters(sketch.stem_filters, stride=2)}"]
    for number, block in enumerate(sketch.blocks, start=1):
        parts = [_layer(block)]
        parts += [block["skip_op"]] if "skip_op" in block else []
        parts += [_filters(block["filters"], block["stride"])] if "filters" in block else []
        if "layers" in block:
            parts.append(f"x {block['layers']}" if block["layers"] else "left out")
        lines.append(f"  block {number}: {', '.join(parts)}")
    if _is_complete(sketch):
        lines.append(f"  head: {', '.join(_HEAD)}")
    return "\n".join(lines)


def _layer(block: Mapping[str, Any]) -> str:
    """Return a layer as the paper writes it, "MBConv3 (k5x5), SE" for instance, with the ratio."""
    size = f" (k{block['kernel_size']}x{block['kernel_size']})" if "kernel_size" in block else ""
    excitation = f", SE {block['se_ratio']:g}" if block.get("se_ratio") else ""
    return f"{block['conv_op']}{size}{excitation}"


def _filters(filters: int, stride: int) -> str:
    return f"{filters} filters" + (", stride 2" if stride == 2 else "")


def _is_complete(sketch: MobileSketch) -> bool:
    return len(sketch.blocks) == sketch.most_blocks and "layers" in sketch.blocks[-1]


def draw(sketch: MobileSketch, new_canvas: NewCanvas) -> Canvas:
    """Draw the sketch on a new canvas."""
    rows = 1 + sketch.most_blocks + len(_HEAD)
    column = _Column(new_canvas(WIDTH, 2 * MARGIN + rows * _PITCH))
    column.add(_layer(_STEM), FAINT)
    column.beside(_FILTERS, _filters(sketch.stem_filters, stride=2))
    for number, block in enumerate(sketch.blocks, start=1):
        column.add_block(number, block)
    for text in _HEAD if _is_complete(sketch) else ():
        column.add(text, FAINT)
    return column.canvas


class _Column:
    """Draws rows, each above the one before."""

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.middle = canvas.height - MARGIN + _PITCH / 2
        """The height of the row drawn last."""
        self.end: float | None = None
        """The upper end of the network's line, as far as it has been drawn."""

    def add(self, text: str, outline: str) -> None:
        """Draw a box in a row of its own."""
        self.middle -= _PITCH
        width, height = _BOX
        base, roof = self.middle + height / 2, self.middle - height / 2
        if self.end is not None:
            self.canvas.rise((_CENTRE, self.end), (_CENTRE, base), FAINT, arrow=True)
        self.canvas.box((_CENTRE - width / 2, roof, _CENTRE + width / 2, base), text, outline)
        self.end = roof

    def add_block(self, number: int, block: Mapping[str, Any]) -> None:
        if block.get("layers") == 0:
            self.middle -= _PITCH
            self.beside(_FILTERS, "left out")
        else:
            ink = colour(CONV_OPS.index(block["conv_op"]))
            self.add(_layer(block), ink)
            if block.get("skip_op", NO_SKIP) != NO_SKIP:
                self._skip(block["skip_op"].split()[0], ink)
            if "filters" in block:
                self.beside(_FILTERS, _filters(block["filters"], block["stride"]))
            if "layers" in block:
                self.beside(_LAYERS, f"x {block['layers']}")
        self.beside(_BLOCK_LABEL, f"block {number}")

    def _skip(self, label: str, ink: str) -> None:
        """Draw the line around the box drawn last."""
        base, roof = (self.middle + side * (_BOX[1] / 2 + _SKIP_GAP) for side in (1, -1))
        reach = _CENTRE - _SKIP_REACH * 4 / 3  # a Bezier curve goes 3/4 of the way to its controls
        controls = ((_CENTRE, base), (reach, base), (reach, roof), (_CENTRE, roof))
        self.canvas.curve(controls, ink)
        self.canvas.text((_CENTRE - _SKIP_REACH - 6, self.middle), label, anchor="rm")

    def beside(self, x: float, text: str) -> None:
        """Write a text in the row drawn last, from ``x`` on."""
        self.canvas.text((x, self.middle), text, anchor="lm")
