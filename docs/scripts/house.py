"""Draw the two pictures of `docs/how_it_works.md` as SVG; `docs/conf.py` runs it."""

from __future__ import annotations

from html import escape
from pathlib import Path

HOUSE = (
    (("nas_agents", "cli · bench · search · catalogue · controllers · strategies"),),
    (("families", "nas · nasnet · enas · mnasnet · mobile · nasbench101 · nasbench201 · ..."),),
    (("envs", "pages, composition"), ("sb3", "VecEnv"), ("wrappers", "")),
    (("vector_env", "N in lock-step"), ("env", "one episode"), ("rewards", "of records")),
    (("tables", "recorded"), ("store", "SQLite, PostgreSQL"), ("workers", "processes, Ray")),
    (("weight_sharing", "supernets"), ("models", "folders, exports"), ("training", "children")),
    (("evaluation", "record, memory"), ("data", "sets, splits"), ("rendering", "drawings")),
    (("networks", "modules, costs"), ("search_spaces", "decisions, masks")),
    (("architecture · family · settings · errors", "no torch"),),
)
EPISODE = (
    ("agent", "any library"),
    ("environment", "prefix, mask"),
    ("search space", "decode"),
    ("memory", "seen before?"),
    ("evaluator", "train or look up"),
)
ARROWS = ("action", "T choices", "architecture", "if new")


def write(docs: Path) -> None:
    """Write `house.svg` and `episode.svg`."""
    (docs / "house.svg").write_text(_house(), encoding="utf-8")
    (docs / "episode.svg").write_text(_episode(), encoding="utf-8")


def _house() -> str:
    width, height, gap = 760, 46, 8
    parts = []
    for row, rooms in enumerate(HOUSE):
        each = (width - gap * (len(rooms) - 1)) / len(rooms)
        for column, (name, about) in enumerate(rooms):
            parts.append(
                _box(column * (each + gap), row * (height + gap), each, height, name, about)
            )
    return _svg(width, len(HOUSE) * (height + gap), parts)


def _episode() -> str:
    width, height, gap = 116, 52, 70
    parts = []
    for number, (name, about) in enumerate(EPISODE):
        left = number * (width + gap)
        parts.append(_box(left, 30, width, height, name, about))
        if number < len(ARROWS):
            parts += _arrows(left + width, gap, ARROWS[number])
    total = len(EPISODE) * (width + gap) - gap
    back = "observation, reward, mask; at the end the evaluation"
    parts.append(
        f'<path d="M{total - width / 2} 84 V116 H{width / 2} V90" class="arrow" '
        'marker-end="url(#head)"/>'
        f'<text x="{total / 2}" y="109" class="small">{back}</text>'
    )
    return _svg(total, 126, parts)


def _arrows(left: float, gap: float, label: str) -> list[str]:
    return [
        f'<path d="M{left + 2} 56 H{left + gap - 6}" class="arrow" marker-end="url(#head)"/>',
        f'<text x="{left + gap / 2}" y="48" class="small">{escape(label)}</text>',
    ]


def _box(left: float, top: float, width: float, height: float, name: str, about: str) -> str:
    middle = left + width / 2
    return (
        f'<rect x="{left + 1:.1f}" y="{top + 1}" width="{width - 2:.1f}" height="{height - 2}" '
        f'rx="6"/><text x="{middle:.1f}" y="{top + height / 2 - (3 if about else -4)}" '
        f'class="name">{escape(name)}</text>'
        f'<text x="{middle:.1f}" y="{top + height / 2 + 14}" class="small">{escape(about)}</text>'
    )


def _svg(width: float, height: float, parts: list[str]) -> str:
    style = (
        "rect{fill:#eef3fb;stroke:#5b7db1}text{font-family:sans-serif;text-anchor:middle;"
        "fill:#1d2b44}.name{font-size:14px;font-weight:600}.small{font-size:11px}"
        ".arrow{fill:none;stroke:#5b7db1;stroke-width:1.5}#head path{fill:#5b7db1}"
    )
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z"/></marker>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-2 -2 {width + 4} {height + 4}" '
        f'width="{width + 4}"><rect x="-2" y="-2" width="{width + 4}" height="{height + 4}" '
        f'style="fill:white;stroke:none"/><style>{style}</style><defs>{head}</defs>'
        + "".join(parts)
        + "</svg>\n"
    )
