"""The table of trackers. To add one: a file here, a line in `TRACKERS`, and its extra in pyproject.toml.

Installed packages add trackers through entry points in the group `fercli.trackers`, and a call can name one as
`module:attribute`: a function or class that takes the destination, a text or None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from fercli.errors import FerError, UsageError
from fercli.registry import Registry, resolve
from fercli.sanitize import hide_passwords
from fercli.trackers.base import Tracker


@dataclass(frozen=True, kw_only=True)
class TrackerSpec:
    """The specification of a tracker.

    Attributes:
        build: `module:attribute` of a function or class that returns a `Tracker`; called with the destination.
        name: Its name for `--track`.
        title: The name of its library, for messages.
        where: What its destination is, for the help.
        extra: The extra of fercli that installs its library; empty for plugins.
    """

    build: Any
    name: str = ""
    title: str = ""
    where: str = ""
    extra: str = ""


TRACKERS: tuple[TrackerSpec, ...] = (
    TrackerSpec(
        name="tensorboard",
        title="TensorBoard",
        build="fercli.trackers.tensorboard:TensorBoardTracker",
        where="a folder, by default ./tensorboard",
        extra="tensorboard",
    ),
    TrackerSpec(
        name="mlflow",
        title="MLflow",
        build="fercli.trackers.mlflow:MlflowTracker",
        where="a tracking URI or an SQLite file, by default MLFLOW_TRACKING_URI or ./mlflow.db",
        extra="mlflow",
    ),
    TrackerSpec(
        name="wandb",
        title="Weights & Biases",
        build="fercli.trackers.wandb:WandbTracker",
        where="a folder, by default WANDB_DIR or the current one; offline unless WANDB_MODE=online",
        extra="wandb",
    ),
)
"""fercli's own trackers."""


def _plugin_spec(name: str, given: Any) -> TrackerSpec:
    if isinstance(given, TrackerSpec):
        return replace(given, name=name)
    if not callable(given):
        raise TypeError(f"expected a TrackerSpec or a function that returns a tracker, not {type(given).__name__}")
    return TrackerSpec(name=name, title=name, build=given)


REGISTRY = Registry("tracker", "fercli.trackers", {spec.name: spec for spec in TRACKERS}, _plugin_spec)


@dataclass(frozen=True)
class Target:
    """A tracker and its destination, as written in `--track NAME[=WHERE]`."""

    name: str
    where: str | None = None


def parse_targets(texts: Iterable[str]) -> tuple[Target, ...]:
    """Parse the values of `--track`.

    Raises:
        UsageError: there is no such tracker, one is named twice, or a destination is empty or contains a password.
    """
    found: dict[str, Target] = {}
    for text in texts:
        name, equals, where = text.partition("=")
        name, where = name.strip(), where.strip()
        REGISTRY.find(name, from_call=True)
        if equals and not where:
            raise UsageError(f"track: '{text}' names no destination; write {name}=WHERE, or only {name}")
        if hide_passwords(where) != where or re.search(r"://[^/\s@]+@", where):
            raise UsageError(
                f"track: the address of {name} contains a user name or a password, which would be recorded; pass them "
                "in the environment (MLflow: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD)"
            )
        if name in found:
            raise UsageError(f"track: {name} is given twice; keep one")
        found[name] = Target(name, where or None)
    return tuple(found.values())


def create_tracker(target: Target) -> Tracker:
    """Create a tracker; its library is imported here.

    Raises:
        UsageError: the destination is of the wrong kind.
        FerError: its library is not installed.
    """
    spec = REGISTRY.find(target.name, from_call=True)
    try:
        tracker: Tracker = resolve(spec.build)(target.where)
    except ImportError as error:
        install = f"; install it with: pip install 'fercli[{spec.extra}]'" if spec.extra else ""
        raise FerError(f"--track {spec.name}: needs {spec.title} ({error}){install}") from error
    return tracker


NAMES_HELP = "; ".join(f"{spec.name} ({spec.where})" for spec in TRACKERS)
"""The trackers and their destinations, for the help."""
