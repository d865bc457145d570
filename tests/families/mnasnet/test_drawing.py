"""Texts and pictures of mobile networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import MnasNetSearchSpace, published
from nas_gym.rendering import overlaps, write
from nas_gym.rendering.layout import layout
from tests.helpers import sequences

SEARCH_SPACE = MnasNetSearchSpace()


def test_text_of_mnasnet_a1() -> None:
    assert write(published("MnasNet-A1")).splitlines() == [
        "  stem: conv (k3x3), 32 filters, stride 2",
        "  block 1: dconv (k3x3), no skip, 16 filters, x 1",
        "  block 2: MBConv6 (k3x3), identity residual, 24 filters, stride 2, x 2",
        "  block 3: MBConv3 (k5x5), SE 0.25, identity residual, 40 filters, stride 2, x 3",
        "  block 4: MBConv6 (k3x3), identity residual, 80 filters, stride 2, x 4",
        "  block 5: MBConv6 (k3x3), SE 0.25, identity residual, 112 filters, x 2",
        "  block 6: MBConv6 (k5x5), SE 0.25, identity residual, 160 filters, stride 2, x 3",
        "  block 7: MBConv6 (k3x3), identity residual, 320 filters, x 1",
        "  head: conv (k1x1), pooling, FC",
    ]


def test_text_grows_by_a_decision_at_a_time() -> None:
    choices = np.array([2, 1, 1, 0, 0, 2, 3])
    lines = [write(SEARCH_SPACE, choices[:step]).splitlines()[2:] for step in range(8)]
    assert lines == [
        [],
        ["  block 1: MBConv3"],
        ["  block 1: MBConv3 (k5x5)"],
        ["  block 1: MBConv3 (k5x5), SE 0.25"],
        ["  block 1: MBConv3 (k5x5), SE 0.25, pooling"],
        ["  block 1: MBConv3 (k5x5), SE 0.25, pooling, 12 filters"],
        ["  block 1: MBConv3 (k5x5), SE 0.25, pooling, 12 filters, left out"],
        [
            "  block 1: MBConv3 (k5x5), SE 0.25, pooling, 12 filters, left out",
            "  block 2: MBConv6",
        ],
    ]


def test_a_picture_names_every_choice() -> None:
    texts = [text for text, _ in layout(published("MnasNet-A1")).texts]
    assert texts.count("identity") == 6
    assert "MBConv3 (k5x5), SE 0.25" in texts
    assert {"x 1", "x 2", "x 3", "x 4", "112 filters", "160 filters, stride 2"} <= set(texts)
    assert len(layout(published("MnasNet-A1")).boxes) == 1 + 7 + 2


def test_a_block_that_is_left_out_has_no_box() -> None:
    choices = SEARCH_SPACE.encode(published("MobileNetV2"))
    choices[5] = 2
    canvas = layout(SEARCH_SPACE, choices)
    assert len(canvas.boxes) == 1 + 6 + 2
    assert "left out" in [text for text, _ in canvas.texts]


@given(data=st.data(), choices=sequences(SEARCH_SPACE))
def test_nothing_overlaps_at_any_step(
    data: st.DataObject, choices: np.ndarray[Any, np.dtype[np.int64]]
) -> None:
    assert overlaps(SEARCH_SPACE, choices[: data.draw(st.integers(0, 42))]) == []
    assert overlaps(SEARCH_SPACE.decode(choices)) == []
