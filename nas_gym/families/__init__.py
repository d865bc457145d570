"""The families of architectures: one folder each, with all that belongs to it and to it alone.

A family's folder has its search space, its network, its drawing, its environment, and what else is
its own: published architectures, tables, supernets. Its ``__init__`` declares `FAMILIES`, and
`BUILT_IN` below is the one list in which a new family is entered.
"""

from __future__ import annotations

import importlib

from nas_gym.family import Family, register_family

BUILT_IN = (
    "nas",
    "nasnet",
    "enas",
    "mnasnet",
    "mobile",
    "tunas",
    "nasbench101",
    "nasbench201",
    "nascell",
    "enas_recurrent",
    "gated",
    "compression",
)
"""The folders of the families, in the order in which users see them."""


def register_built_in() -> None:
    """Make the families of this package known."""
    for name in BUILT_IN:
        declared: tuple[Family, ...] = importlib.import_module(f"{__name__}.{name}").FAMILIES
        for family in declared:
            register_family(family)
