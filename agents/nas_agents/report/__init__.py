"""The report of a search: one HTML page with figures, written at its end and on demand.

It shows what a run folder holds; nothing that is named there is imported, called or downloaded.
"""

from __future__ import annotations

import importlib.util
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from nas_agents.report.worst_images import worst_images
from nas_agents.runs.callbacks import Callback
from nas_agents.runs.reading import REPORT, WORST_IMAGES, InvalidRunFolder, has_run
from nas_agents.runs.summary import SearchResult
from nas_gym.data.dataset import Dataset
from nas_gym.errors import NASGymError, require
from nas_gym.outside.files import replacing
from nas_gym.training.tasks.task import Data

__all__ = ["Report", "write_report"]

MISSING = "report: Bokeh draws it; pip install 'nas-gym[report]'"


def write_report(runs: Sequence[Path], file: Path) -> None:
    """Write the report of one run, or of several beside each other, to an HTML file.

    Raises:
        InvalidSettings: no run is given, or the extra ``report`` is not installed.
        InvalidRunFolder: a folder holds no run, or a broken one; or the file cannot be written.
    """
    require(bool(runs), "runs: name at least one run folder")
    require(importlib.util.find_spec("bokeh") is not None, MISSING)
    from nas_agents.report.children import read_runs  # noqa: PLC0415  # an extra
    from nas_agents.report.page import report_of  # noqa: PLC0415

    _write(file, report_of(read_runs(runs)))


def _write(file: Path, text: str) -> None:
    """Write a file as a whole."""
    try:
        with replacing(file) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InvalidRunFolder(f"report: {file} cannot be written ({error.strerror})") from error


class Report(Callback):
    """Writes ``report.html`` in the run folder at the end of a search, if it can."""

    file: Path | None = None
    """The report, once it is written."""
    said = ""
    """A line on where it is, or why there is none."""

    dataset: Data | None = None

    def on_dataset(self, dataset: Data) -> None:
        self.dataset = dataset

    def on_end(self, result: SearchResult) -> None:
        if not has_run(result.run):
            return
        if result.stopped_by == "interrupted":  # whoever interrupts does not want to wait
            self.said = f"no report yet: nas-gym report {shlex.quote(str(result.run))} writes it"
            return
        try:
            if result.final is not None and isinstance(self.dataset, Dataset):
                worst = worst_images(result.final, self.dataset)
                _write(result.run / WORST_IMAGES, json.dumps(worst))
            write_report([result.run], result.run / REPORT)
            self.file = result.run / REPORT
            self.said = f"report: {self.file}"
        except NASGymError as error:  # the search is done, and its result is what counts
            self.said = f"no report: {error}"
