"""The numbers of the rules by which `nas-gym auto` chooses; `docs/train.md` states the rules."""

from __future__ import annotations

from typing import Any

SEARCH, FINAL = 0.25, 0.6
"""Shares of the time: of the search with its finalists, and of the final training at least, which
has all that the others leave."""
FINALISTS = 0.2
"""Share of the search's time for further trainings of its best children."""
CHILDREN, CHILD_EPOCHS = (15, 40), (3, 12)
"""Number of children of the fewest epochs from which on a search pays, and that a larger network
must leave time for; and the fewest and the most epochs of a child."""
FINAL_EPOCHS = (50, 300)
"""Epochs of the final training that a larger network must leave time for, and the most epochs."""
PADDING, PADDING_SHORT = 8, 16
"""The part of the height, 1 in so many, by which images are padded for random crops; and that of
children and of a final training of fewer epochs, which a strong augmentation would only delay."""
BATCH_ON_CPU = 32
"""Images a step on a CPU, where a small step costs little more an image, and there are more."""
SIZES = (32, 48, 64, 96, 128)
"""Heights and widths to which image files are scaled."""
LARGE = 96
"""Height from which images are large: there mobile networks halve it early."""
SLOWER = 1.25
"""Factor by which a training beside others, with its validation, is slower than bare steps."""
WORKERS_FROM = 300.0
"""Seconds from which on starting a process for each core pays."""
LEAST_END, END, MOST_END = 15.0, 0.02, 0.5
"""The time for report and ONNX: the least seconds and the least share of all, more on a machine
that is busy, up to the last share."""
ONNX = 8.0
"""Processor seconds of the export to ONNX; where there is less time, there is none."""

Sizes = tuple[dict[str, Any], ...]
SMALL_SPACE = "nas_gym/NASBench201-v0"
LARGE_SPACE = "nas_gym/MnasNet-v0"
SKELETONS: dict[str, Sizes] = {
    SMALL_SPACE: tuple(
        {"cells": cells, "filters": filters}
        for cells, filters in ((1, 8), (1, 16), (2, 16), (3, 16), (3, 32), (5, 32), (5, 64))
    ),
    LARGE_SPACE: tuple(
        {"width": width, "head_filters": head, "divisor": 8, "halvings": 5}
        for width, head in ((0.25, 320), (0.5, 640), (0.75, 960), (1.0, 1280))
    ),
}
"""Settings of networks by search space, the smallest first."""
KNOWN = {SMALL_SPACE: "NAS-Bench-201-ResNet", LARGE_SPACE: "MobileNetV2"}
"""Published architecture of each search space that is the first child, and the only one where there
is no time for a search: that has to find a better one."""
