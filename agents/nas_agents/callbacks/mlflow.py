"""MLflow (https://mlflow.org): settings, scalars, and the results as artifacts."""

from __future__ import annotations

import json
import re
from typing import Any

from nas_agents.callbacks.scalars import ScalarCallback, imported
from nas_agents.runs.callbacks import Start
from nas_agents.runs.progress import UNFINISHED
from nas_agents.runs.reading import BEST, SETTINGS, SUMMARY
from nas_agents.runs.summary import SearchResult
from nas_gym.errors import InvalidSettings

ARTIFACTS = (SETTINGS, SUMMARY, BEST, "best.png")
LONGEST = 500
"""Characters of a parameter's value."""


class MLflow(ScalarCallback):
    """Logs a search to MLflow, where ``MLFLOW_TRACKING_URI`` says (extra ``mlflow``).

    Inside ``with mlflow.start_run():`` it logs to that run, and otherwise to one of its own.

    Args:
        **run: Arguments of ``mlflow.start_run``; the run's name is the run folder's by default.
    """

    def __init__(self, **run: Any) -> None:
        self.run, self.mlflow = run, imported("mlflow")

    def on_start(self, start: Start) -> None:
        super().on_start(start)
        self.own = self.mlflow.active_run() is None
        try:
            if self.own:
                self.mlflow.start_run(**{"run_name": start.run.resolve().name, **self.run})
        except self.mlflow.exceptions.MlflowException as error:
            says = f"callback: MLflow does not start ({error}); is MLFLOW_TRACKING_URI right?"
            raise InvalidSettings(says) from error
        texts = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in start.settings.items()
        }
        self.mlflow.log_params({name: text[:LONGEST] for name, text in texts.items()})

    def write(self, scalars: dict[str, float], step: int) -> None:
        valid = {re.sub(r"[^-/\w.: ]", "_", name): value for name, value in scalars.items()}
        self.mlflow.log_metrics(valid, step=step)

    def on_failure(self, error: BaseException) -> None:
        if self.started and self.own:
            self.mlflow.end_run("FAILED")

    def on_end(self, result: SearchResult) -> None:
        super().on_end(result)
        if not self.started:
            return
        for name in ARTIFACTS:
            if (result.run / name).is_file():
                self.mlflow.log_artifact(str(result.run / name))
        if self.own:
            self.mlflow.end_run("KILLED" if result.stopped_by in UNFINISHED else "FINISHED")
