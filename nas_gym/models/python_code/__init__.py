"""Writes a model as Python that a person can read, and that needs torch alone.

The network's blocks become classes; blocks that differ in sizes alone share one, whose arguments
are those sizes. A layer's line in ``__init__`` is its constructor; ``forward`` is what was traced.
"""

from nas_gym.models.python_code.module import write_python as write_python
