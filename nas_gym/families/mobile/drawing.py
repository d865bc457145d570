"""Mobile networks as a column of layers; the images enter at the bottom."""

from __future__ import annotations

from nas_gym.families.mobile.architecture import MBConv, MobileArchitecture
from nas_gym.rendering.canvas import FAINT, MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas

_PITCH, _HEIGHT, _NARROW, _WIDE = 26, 20, 90, 300
_MOST_ROWS = 23
"""A stem and 22 layers: as many as a network of either search space has."""


def write(sketch: MobileArchitecture) -> str:
    """Write the layers as lines of text."""
    size = f" for images of {sketch.resolution} pixels" if sketch.resolution else ""
    lines = [f"  stem: 3x3 convolution, {sketch.stem} filters, stride 2{size}"]
    for number, block in enumerate(sketch.blocks, start=1):
        lines.append(f"  layer {number}: {_text(block)}")
    return "\n".join([*lines, f"  head: {sketch.head} features"])


def _text(block: MBConv | None) -> str:
    if block is None:
        return "zero"
    stride = ", stride 2" if block.stride == 2 else ""
    return f"{block.kernel}x{block.kernel} MBConv{block.expansion}, {block.filters} filters{stride}"


def draw(sketch: MobileArchitecture, new_canvas: NewCanvas) -> Canvas:
    """Draw a box for each layer: its width says the expansion, its colour the kernel."""
    rows = [(f"stem, {sketch.stem} filters", 1, FAINT)]
    for block in sketch.blocks:
        ratio, kernel = (0, 0) if block is None else (block.expansion, block.kernel)
        rows.append((_text(block), ratio, colour(kernel // 2) if block else FAINT))
    canvas = new_canvas(WIDTH, 2 * MARGIN + _PITCH * max(_MOST_ROWS, len(rows)))
    for row, (text, ratio, ink) in enumerate(rows):
        y = canvas.height - MARGIN - _PITCH * (row + 0.5)
        half = (_NARROW + min(1.0, ratio / 6) * (_WIDE - _NARROW)) / 2
        if row:
            canvas.line((WIDTH / 2, y + _HEIGHT / 2), (WIDTH / 2, y + _PITCH - _HEIGHT / 2), FAINT)
        inside = (WIDTH / 2 - half, y - _HEIGHT / 2, WIDTH / 2 + half, y + _HEIGHT / 2)
        canvas.box(inside, "", ink)
        canvas.text((WIDTH / 2, y), text, 10)
    return canvas
