"""Sphinx's settings; `make docs` builds the site in `build/site`.

Sphinx is what Gymnasium, Stable-Baselines3 and PyTorch use. Material for MkDocs ended its
maintenance in November 2026, and its successor, Zensical, is at 0.1.
"""

from __future__ import annotations

import logging
import os
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

BUILD = Path(__file__).parents[1] / "build"
sys.path.insert(0, str(Path(__file__).parent / "scripts"))

import environment_pages
import house
from sphinx.application import Sphinx

import nas_gym

Lines = list[str]

project = "nas_gym"
author = "The nas_gym developers"
version = release = nas_gym.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
]
exclude_patterns = ["scripts"]
html_theme = "furo"
html_title = f"nas_gym {release}"
html_show_copyright = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(BUILD / "notebooks")
nb_execution_raise_on_error = True
nb_execution_timeout = 600
os.environ["IPYTHONDIR"] = str(BUILD / "ipython")  # no profile of whoever builds
KERNEL = BUILD / "ipython" / "profile_default" / "ipython_kernel_config.py"
KERNEL.parent.mkdir(parents=True, exist_ok=True)
KERNEL.write_text("get_config().IPKernelApp.log_level = 40  # its transport is of this machine\n")
logging.getLogger("traitlets").setLevel(logging.WARNING)

default_role = "py:obj"  # `Name` in a docstring is a link where there is something of that name
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
linkcheck_ignore = [".*OWNER/.*"]  # of a repository without an address yet
python_maximum_signature_line_length = 80
napoleon_numpy_docstring = False


def as_list_tables(app: Sphinx, *about: Any) -> None:
    """Replace each table of a docstring, which is Markdown, by reStructuredText's list-table."""
    lines: Lines = about[-1]
    made: Lines = []
    text = [line for line in lines if not line.lstrip().startswith("|-")]
    for is_row, group in groupby(text, lambda line: line.lstrip().startswith("| ")):
        rows = list(group)
        if is_row:
            indent = rows[0][: len(rows[0]) - len(rows[0].lstrip())]
            made += ["", f"{indent}.. list-table::", f"{indent}   :header-rows: 1", ""]
            for row in rows:
                first, *others = (cell.strip() for cell in row.strip().strip("|").split(" | "))
                made += [f"{indent}   * - {first}", *(f"{indent}     - {cell}" for cell in others)]
            made.append("")
        else:
            made += rows
    lines[:] = made


def setup(app: Sphinx) -> None:
    """Write the pages of the environments and two pictures before the sources are read."""
    app.connect("autodoc-process-docstring", as_list_tables)
    for module in (environment_pages, house):
        app.connect("builder-inited", lambda app, module=module: module.write(Path(app.srcdir)))
