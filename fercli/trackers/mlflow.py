"""MLflow, through its client: an SQLite file, or a server named by a tracking URI."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from fercli.environment import default_environment
from fercli.errors import UsageError
from fercli.trackers.base import PROJECT, Position, Status, TrackedRun

_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # By default a call to a server that is away is repeated for many minutes, during which the training would wait.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}
"""Set during calls of MLflow only, unless the user has set them."""
_STATUS = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
_PARAMETER_LENGTH = 500
"""Maximum length of parameters in older servers; longer values are cut."""


with default_environment(_ENVIRONMENT):
    import mlflow
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException

KNOWN_BY = "learning_rate"
"""The metric by which the last epoch is found: its history has a step for each."""


class MlflowTracker:
    """Writes parameters, metrics, tags and artifacts of one run in the experiment `fercli`.

    Args:
        where: A tracking URI, or an SQLite file; by default that of MLFLOW_TRACKING_URI, else MLflow's own default,
            `mlflow.db` in the current folder.
    """

    def __init__(self, where: str | None = None) -> None:
        self.artifacts: str | None = None
        if where is not None and "://" not in where:
            file = Path(where).expanduser().absolute()
            if file.is_dir():
                raise UsageError(
                    f"--track mlflow: {where} is a folder; name an SQLite file in it, as in {where}/mlflow.db"
                )
            where, self.artifacts = f"sqlite:///{file}", (file.parent / "mlruns").as_uri()
        self.uri = where or mlflow.get_tracking_uri()
        # It reports each migration of a new SQLite file.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.WARNING)

    def begin(self, run: TrackedRun, position: Position | None) -> Position:
        """Create a run with its parameters, or set that of an earlier call to running."""
        with default_environment(_ENVIRONMENT):
            self.client = mlflow.MlflowClient(self.uri)
            found = None if position is None else self._find(position.id)
            if found is None:
                return self._create(run)
            self.id = found.info.run_id
            self.was_finished = found.info.status == "FINISHED"
            if not self.was_finished:
                self.client.update_run(self.id, status="RUNNING")
            history = self.client.get_metric_history(self.id, KNOWN_BY)
            self.epoch = max((metric.step for metric in history), default=0)
            return Position(self.id, self.epoch)

    def log_epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """Write an epoch's metrics in one transaction."""
        with default_environment(_ENVIRONMENT):
            now = int(time.time() * 1000)
            self.client.log_batch(self.id, [Metric(name, value, now, epoch) for name, value in metrics.items()])
        self.epoch = epoch

    def log_summary(self, metrics: Mapping[str, float]) -> None:
        """Write the final metrics, except those that the run already has."""
        with default_environment(_ENVIRONMENT):
            known = self.client.get_run(self.id).data.metrics
            now = int(time.time() * 1000)
            new = {name: value for name, value in metrics.items() if known.get(name) != value}
            self.client.log_batch(self.id, [Metric(name, value, now, self.epoch) for name, value in new.items()])

    def log_picture(self, name: str, png: bytes) -> None:
        """Write a picture as an artifact."""
        folder, _, file = f"{name}.png".rpartition("/")
        # The client's own way needs Pillow images, and re-encodes.
        with default_environment(_ENVIRONMENT), TemporaryDirectory() as tmp:
            path = Path(tmp, file)
            path.write_bytes(png)
            self.client.log_artifact(self.id, str(path), folder or None)

    def log_text(self, name: str, markdown: str) -> None:
        """Write a text as an artifact; the card is also the run's description."""
        with default_environment(_ENVIRONMENT):
            self.client.log_text(self.id, markdown, f"{name}.md")
            if name == "card":
                self.client.set_tag(self.id, "mlflow.note.content", markdown)

    def end(self, status: Status) -> None:
        """Set the status; a finished run keeps its own, and its end."""
        with default_environment(_ENVIRONMENT):
            if not self.was_finished:
                self.client.set_terminated(self.id, _STATUS[status])

    def _find(self, run_id: str) -> mlflow.entities.Run | None:
        """Return the run of an earlier call; None if this store does not have it."""
        try:
            return self.client.get_run(run_id)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        return None

    def _create(self, run: TrackedRun) -> Position:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or PROJECT
        experiment = self.client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else self.client.create_experiment(name, self.artifacts)
        self.id = self.client.create_run(number, run_name=run.name).info.run_id
        self.was_finished, self.epoch = False, 0
        params = [Param(key, str(value)[:_PARAMETER_LENGTH]) for key, value in run.config.items()]
        self.client.log_batch(self.id, params=params, tags=[RunTag("fercli.lineage", run.lineage[:5000])])
        return Position(self.id)
