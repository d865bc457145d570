"""Drawings of mobile networks."""

from __future__ import annotations

from typing import Any

import pytest

from nas_gym import published
from nas_gym.families.mobile import drawing


def test_stem_and_head_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[tuple[str, int, int]] = []
    monkeypatch.setattr(drawing, "draw_column", lambda drawn, *_: rows.extend(drawn))
    network: Any = published("ProxylessNAS-CPU")
    drawing.draw(network, lambda width, height: pytest.fail("no canvas is needed"))
    assert (rows[0][0], rows[-1][0]) == ("stem, 40 filters", "head, 1432 features")
    assert len(rows) == drawing._MOST_ROWS
