"""Recorded benchmarks, whose evaluations are looked up. No torch in look-ups.

A `Table` answers by row; ``built`` reads what `nas_gym.tables.recording` recorded here, families
read published benchmarks with ``published`` and ``importing``; ``columns`` checks files.
"""

from nas_gym.tables.built import built_table
from nas_gym.tables.columns import InvalidTable
from nas_gym.tables.index import ChoicesIndex
from nas_gym.tables.table import Table

__all__ = ["ChoicesIndex", "InvalidTable", "Table", "built_table"]
