"""Every stage, every option that names a file or folder: never the output, and never waited for."""

import importlib
import os
import pkgutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

import fercli.stages
from fercli.errors import FerError, UsageError
from fercli.stages.base import StageConfig, cli_of


def _configs() -> dict[str, type[StageConfig]]:
    """Return the configs of the stages that write an artifact, by stage."""
    found = {}
    for module in pkgutil.iter_modules(fercli.stages.__path__, "fercli.stages."):
        if module.ispkg:
            for value in vars(importlib.import_module(f"{module.name}.config")).values():
                if isinstance(value, type) and issubclass(value, StageConfig) and "out" in value.model_fields:
                    found[value.stage] = value
    return found


CONFIGS = _configs()


def _names(config: type[StageConfig]) -> list[str]:
    """Return the options that take a file or folder."""
    fields = config.model_fields.items()
    paths = [name for name, field in fields if Path in _parts(field.annotation) or cli_of(config, name).path]
    return [name for name in paths if name != "out"]


def _parts(annotation: Any) -> list[Any]:
    return [annotation, *(part for argument in get_args(annotation) for part in _parts(argument))]


OPTIONS = [(stage, name) for stage, config in CONFIGS.items() for name in _names(config)]


def values_of(config: type[StageConfig], folder: Path, name: str, path: Path) -> dict[str, Any]:
    """Return a value for each option that takes a path: `path` for one, something harmless for the others."""
    values: dict[str, Any] = {}
    for other in _names(config):
        place = path if other == name else folder / "others" / other
        several = tuple in [getattr(part, "__origin__", None) for part in _parts(config.model_fields[other].annotation)]
        values[other] = (folder / "others" / "more", place) if several else str(place)
    return values


def test_the_stages_with_inputs_are_all_here() -> None:
    names = {"balance", "clean", "detect", "ensemble", "evaluate", "explain", "import", "pack", "train"}
    assert names <= {stage for stage, _ in OPTIONS}
    assert {("balance", "plan"), ("balance", "judge"), ("balance", "generator"), ("clean", "labels")} <= set(OPTIONS)
    assert {("train", "weights"), ("ensemble", "pack"), ("explain", "images"), ("detect", "weights")} <= set(OPTIONS)


@pytest.mark.parametrize("where", ["is it", "lies in it", "holds it", "is a link to it", "is its partial"])
@pytest.mark.parametrize(("stage", "name"), OPTIONS)
def test_no_input_is_the_output(tmp_path: Path, stage: str, name: str, where: str) -> None:
    (tmp_path / "input").mkdir()
    out = tmp_path / ("input/deep/out" if where == "lies in it" else "input")
    path = tmp_path / "input"
    if where == "holds it":
        path = tmp_path / "input" / "inside"
        path.mkdir()
    elif where == "is a link to it":
        out = tmp_path / "link"
        out.symlink_to("input")
    elif where == "is its partial":
        path = tmp_path / ".input.partial"
        path.mkdir()
    config = CONFIGS[stage]
    with pytest.raises(UsageError, match=r"lies in the (in|out)put"):
        config.of(out=out, **values_of(config, tmp_path, name, path))
    config.of(out=tmp_path / "elsewhere", **values_of(config, tmp_path, name, path))


@pytest.fixture
def impatient() -> Iterator[None]:
    """Let a call that waits for ever fail soon."""

    def late(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["pipe", "device", "pipes in a folder"])
@pytest.mark.parametrize(("stage", "name"), OPTIONS)
def test_nothing_that_is_no_file_is_waited_for(tmp_path: Path, stage: str, name: str, kind: str) -> None:
    path = Path("/dev/zero") if kind == "device" else tmp_path / "input"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "pipes in a folder":
        path.mkdir()
        for inside in INSIDE:
            (path / inside).parent.mkdir(parents=True, exist_ok=True)
            os.mkfifo(path / inside)
    config = CONFIGS[stage]
    values = {name: (path, path) if name == "checkpoints" else (path,) if name in ("labels", "images") else str(path)}
    function = getattr(fercli, "import_dataset" if stage == "import" else stage)
    with pytest.raises(FerError):
        function(**values, **others(config, name, path), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


INSIDE = (
    "artifact.json", "index.csv", "faces.h5", "model.json", "model.safetensors", "model_index.json", "prompts.jsonl",
    "plan.csv", "best/model.json", "happy/a.jpg", "train/sad/a.png", "a.mp4", "fer2013.csv", "fer2013new.csv",
    "training.csv", "labels.csv", "EmoLabel/list_patition_label.txt", "train_set/annotations/0_exp.npy",
)  # fmt: skip
"""Files of all kinds that the stages look for."""


def others(config: type[StageConfig], name: str, path: Path) -> dict[str, Any]:
    """Return the other options without which an option is not read."""
    return {}
