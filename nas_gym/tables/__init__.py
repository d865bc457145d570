"""Recorded benchmarks, whose evaluations are looked up. No torch in look-ups.

A `Table` answers by row; ``built`` reads what `nas_gym.tables.recording` recorded here, families
read published benchmarks with ``published`` and ``importing``; ``columns`` checks files.
"""

from nas_gym.tables.built import built_table as built_table
from nas_gym.tables.columns import InvalidTable as InvalidTable
from nas_gym.tables.index import ChoicesIndex as ChoicesIndex
from nas_gym.tables.table import Table as Table
