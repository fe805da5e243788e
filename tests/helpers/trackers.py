"""Reading what trackers wrote, with their own readers; and trackers that record or fail."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from fercli.trackers.base import Position

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108020000009077"
    "53de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)
"""A PNG of one black pixel."""


@dataclass
class Record:
    """A run as read from a tracker's store."""

    scalars: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    pictures: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    config: dict[str, str] = field(default_factory=dict)
    status: str = ""


def read_tensorboard(where: Path, position: Position) -> Record:
    """Read a run by TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(where / position.id), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    events.Reload()
    tags = events.Tags()
    scalars = {}
    for tag in tags["scalars"]:
        metric, _, split = tag.partition("/")
        name = f"{split}_{metric}" if split in ("train", "validation") else tag.removeprefix("final/")
        scalars[name] = [(event.step, event.value) for event in events.Scalars(tag)]
    texts = {
        tag.removesuffix("/text_summary"): events.Tensors(tag)[-1].tensor_proto.string_val[0].decode()
        for tag in tags["tensors"]
        if tag.endswith("/text_summary")
    }
    rows = [line.strip("| ").split(" | ") for line in texts["config"].splitlines()[2:]]
    return Record(scalars, set(tags["images"]), texts, dict(rows), texts.get("status", "running").split()[0])


def read_mlflow(where: Path, position: Position) -> Record:
    """Read a run by MLflow's client, from an SQLite store."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{where}")
    run = client.get_run(position.id)
    scalars = {
        name: [(one.step, one.value) for one in client.get_metric_history(position.id, name)]
        for name in run.data.metrics
    }
    waiting, files = [""], []
    while waiting:
        for item in client.list_artifacts(position.id, waiting.pop() or None):
            (waiting if item.is_dir else files).append(item.path)
    root = where.parent / "mlruns" / position.id / "artifacts"
    status = {"FINISHED": "finished", "KILLED": "interrupted", "FAILED": "failed", "RUNNING": "running"}
    return Record(
        scalars,
        {path.removesuffix(".png") for path in files if path.endswith(".png")},
        {path.removesuffix(".md"): (root / path).read_text() for path in files if path.endswith(".md")}
        | {"lineage": run.data.tags["fercli.lineage"]},
        dict(run.data.params),
        status[run.info.status],
    )


def read_wandb(where: Path, position: Position) -> Record:
    """Read a run from the files of its offline folders, merged by step as the server does."""
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record as Stored

    wandb.teardown()  # its process writes the file's end after a run's `finish` has returned
    found = Record()
    steps: dict[str, dict[int, float]] = {}
    for file in sorted((where / "wandb").glob(f"*-{position.id}*/*.wandb")):
        for data in _wandb_records(file.read_bytes()):
            stored = Stored.FromString(data)
            for item in stored.run.config.update:
                found.config[item.key] = str(json.loads(item.value_json))
            row: dict[str, Any] = {}
            for item in stored.history.item:
                keys = [item.key] if item.key else list(item.nested_key)
                inner = row
                for key in keys[:-1]:
                    inner = inner.setdefault(key, {})
                inner[keys[-1]] = json.loads(item.value_json)
            for name, value in row.items():
                if isinstance(value, dict) and value["_type"] == "html-file":
                    found.texts[name] = (file.parent / "files" / value["path"]).read_text()
                elif isinstance(value, dict):
                    found.pictures.add(name)
                elif not name.startswith("_"):
                    steps.setdefault(name, {})[row["_step"]] = value
            for item in stored.summary.update:
                name, value = item.key or item.nested_key[0], json.loads(item.value_json)
                if name == "status":
                    found.status = value
                elif name == "lineage":
                    found.texts[name] = value
                elif isinstance(value, int | float) and not name.startswith("_"):
                    found.scalars[name] = [(0, value)]
    found.scalars |= {name: sorted(values.items()) for name, values in steps.items()}
    return found


def _wandb_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a .wandb file: LevelDB's log format after a header of 7 bytes."""
    at, parts, block = 7, b"", 32_768
    while at + 7 <= len(data):
        if block - at % block < 7:
            at += block - at % block
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        parts += data[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            yield parts
            parts = b""


READERS: dict[str, Callable[[Path, Position], Record]] = {
    "tensorboard": read_tensorboard,
    "mlflow": read_mlflow,
    "wandb": read_wandb,
}
"""A reader for each tracker of the table."""


class Recording:
    """A tracker that records its calls, by destination."""

    calls: ClassVar[dict[str, list[tuple[Any, ...]]]] = {}

    def __init__(self, where: str | None) -> None:
        self.own = self.calls.setdefault(where or "", [])

    def begin(self, run: Any, position: Position | None) -> Position:
        self.own.append(("begin", run, position))
        return position or Position("number 1")

    def log_epoch(self, epoch: int, metrics: Any) -> None:
        self.own.append(("epoch", epoch, dict(metrics)))

    def log_summary(self, metrics: Any) -> None:
        self.own.append(("summary", dict(metrics)))

    def log_picture(self, name: str, png: bytes) -> None:
        self.own.append(("picture", name, png))

    def log_text(self, name: str, markdown: str) -> None:
        self.own.append(("text", name, markdown))

    def end(self, status: str) -> None:
        self.own.append(("end", status))


class Failing(Recording):
    """A tracker that fails in the method that its destination names, from its second epoch on."""

    def __init__(self, where: str | None) -> None:
        super().__init__(f"failing {where}")
        self.where = where

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in ("begin", "log_epoch", "log_summary", "end") and name == self.where:
            first = name == "log_epoch" and not any(call[0] == "epoch" for call in self.own)
            return found if first else _fail
        return found


def _fail(*_: object) -> None:
    raise ConnectionError("server https://me:secret@example.org is away")


RECORDING = "tests.helpers.trackers:Recording"
FAILING = "tests.helpers.trackers:Failing"
