"""Mobile networks as a column of layers; the images enter at the bottom."""

from __future__ import annotations

from nas_gym.families.mobile.architecture import MBConv, MobileArchitecture
from nas_gym.rendering.canvas import Canvas
from nas_gym.rendering.column import draw_column
from nas_gym.rendering.drawing import NewCanvas

_MOST_ROWS = 24
"""A stem, 22 layers and a head: as many as a network of either search space has."""


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
    rows = [(f"stem, {sketch.stem} filters", 1, 0)]
    for block in sketch.blocks:
        ratio, kernel = (0, 0) if block is None else (block.expansion, block.kernel)
        rows.append((_text(block), ratio, kernel))
    rows.append((f"head, {sketch.head} features", 1, 0))
    return draw_column(rows, _MOST_ROWS, new_canvas)
