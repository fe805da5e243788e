"""All stages and path options: no overlap of output and inputs, no blocking on pipes, errors on a full disk."""

import importlib
import os
import pkgutil
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import pytest

import fercli.stages
from fercli.artifacts.lineage import ancestors
from fercli.datasets.index import SPLITS, read_index
from fercli.errors import FerError, UsageError
from fercli.stages.base import StageConfig, cli_of
from tests.helpers.datasets import face, make_dataset, write_tree
from tests.helpers.generators import tiny_generator
from tests.helpers.models import make_run
from tests.helpers.packs import QUICK, make_pack
from tests.helpers.photographs import photograph


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
    """Return the options that take a path."""
    fields = config.model_fields.items()
    paths = [name for name, field in fields if Path in _parts(field.annotation) or cli_of(config, name).path]
    return [name for name in paths if name != "out"]


def _parts(annotation: Any) -> list[Any]:
    return [annotation, *(part for argument in get_args(annotation) for part in _parts(argument))]


OPTIONS = [(stage, name) for stage, config in CONFIGS.items() for name in _names(config)]


def values_of(config: type[StageConfig], folder: Path, name: str, path: Path) -> dict[str, Any]:
    """Return a value for each path option: `path` for `name`, harmless paths for the others."""
    values: dict[str, Any] = {}
    for other in _names(config):
        other_path = path if other == name else folder / "others" / other
        takes_several = tuple in [
            getattr(part, "__origin__", None) for part in _parts(config.model_fields[other].annotation)
        ]
        values[other] = (folder / "others" / "more", other_path) if takes_several else str(other_path)
    if config.stage == "evaluate":  # it evaluates either a checkpoint or published weights
        values |= {"checkpoint": None, "model": "quick"} if name == "weights" else {"weights": None}
    return values


def test_all_stages_and_inputs_are_covered() -> None:
    names = {"balance", "clean", "detect", "ensemble", "evaluate", "explain", "import", "pack", "train"}
    assert names <= {stage for stage, _ in OPTIONS}
    assert {("balance", "plan"), ("balance", "judge"), ("balance", "generator"), ("clean", "labels")} <= set(OPTIONS)
    assert {("train", "weights"), ("ensemble", "pack"), ("explain", "images"), ("detect", "weights")} <= set(OPTIONS)


@pytest.mark.parametrize("where", ["equal", "inside", "contains", "link", "partial"])
@pytest.mark.parametrize(("stage", "name"), OPTIONS)
def test_output_overlapping_an_input_is_rejected(tmp_path: Path, stage: str, name: str, where: str) -> None:
    (tmp_path / "input").mkdir()
    out = tmp_path / ("input/deep/out" if where == "inside" else "input")
    path = tmp_path / "input"
    if where == "contains":
        path = tmp_path / "input" / "inside"
        path.mkdir()
    elif where == "link":
        out = tmp_path / "link"
        out.symlink_to("input")
    elif where == "partial":
        path = tmp_path / ".input.partial"
        path.mkdir()
    config = CONFIGS[stage]
    with pytest.raises(UsageError, match=r"the output (is inside|contains) the input"):
        config.of(out=out, **values_of(config, tmp_path, name, path))
    config.of(out=tmp_path / "elsewhere", **values_of(config, tmp_path, name, path))


@pytest.fixture
def time_limit() -> Iterator[None]:
    """Fail a call that blocks."""

    def expire(*_: object) -> None:
        raise AssertionError("timed out")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small valid inputs of all kinds."""
    folder = tmp_path_factory.mktemp("world")
    write_tree(folder / "photographs", {"happy/a.png": photograph((40, 20, 60)), "sad/b.png": photograph((30, 30, 50))})
    cells = [(split, emotion) for split in SPLITS for emotion in ("happy", "sad")]
    make_dataset(folder / "dataset", {f"{s}/{e}/a.png": face(seed, 16) for seed, (s, e) in enumerate(cells)})
    pack = make_pack(folder / "pack", {"train": 4, "validation": 4, "test": 4}, emotions=["happy", "sad"])
    make_run(folder / "run", pack, ["happy", "sad"])
    make_run(folder / "other", pack, ["happy", "sad"], seed=1)
    if find_spec("diffusers"):
        tiny_generator(folder / "generator")
    fercli.balance(out=folder / "plan", target="fer2013", policy=7300)
    return folder


def call_of(inputs: Path, stage: str, name: str) -> dict[str, Any]:
    """Return the options of a valid call in which the stage reads the input `name`."""
    paths = {kind: inputs / kind for kind in ("photographs", "dataset", "pack", "run", "plan")}
    generating = name in ("plan", "generator", "weights")
    calls: dict[str, dict[str, Any]] = {
        "import": {"source": paths["photographs"]},
        "detect": {"photographs": paths["photographs"]},
        "clean": {"dataset": paths["dataset"]},
        "balance": {"dataset": paths["dataset"], "method": "generate" if generating else "augment"},
        "pack": {"dataset": paths["dataset"]},
        "train": {"pack": paths["pack"], **QUICK, "epochs": 1},
        "crossvalidate": {"dataset": paths["dataset"], **QUICK, **CROSS},
        "evaluate": {"checkpoint": paths["run"], "pack": paths["pack"]},
        "ensemble": {"checkpoints": (paths["run"], inputs / "other"), "pack": paths["pack"]},
        "explain": {"checkpoint": paths["run"], "images": (paths["photographs"],)},
        "tune": {"pack": paths["pack"], "trials": 1, **QUICK, "epochs": 1},
        "compare": {"sides": (paths["run"], inputs / "other")},
        "matrix": {"inputs": (paths["run"], paths["pack"])},
        "export": {"checkpoint": paths["run"]},
    }
    if (stage, name) in (("detect", "weights"), ("explain", "weights"), ("balance", "weights")):
        calls[stage]["detector"] = "yunet"
    if (stage, name) == ("balance", "weights"):
        pytest.importorskip("diffusers")
        calls[stage]["generator"] = str(inputs / "generator")
    if (stage, name) == ("clean", "weights"):
        calls[stage]["detector"] = "yunet"
    if (stage, name) == ("export", "weights"):
        calls[stage]["with_detector"] = True
    if (stage, name) == ("evaluate", "weights"):
        calls[stage] = {"pack": paths["pack"], "model": "quick"}
    return calls[stage]


def run_and_fail(stage: str, call: dict[str, Any], out: Path) -> str:
    """Run a stage that must fail; return the error message."""
    function = getattr(fercli, "import_dataset" if stage == "import" else stage)
    with pytest.raises(FerError) as caught:
        function(**call, out=out)
    assert not out.exists()
    return str(caught.value)


def replace_input(call: dict[str, Any], name: str, path: Path) -> dict[str, Any]:
    """Return the call with one of its inputs replaced."""
    takes_several = {"labels": (path,), "images": (path,)}
    takes_several |= {several: (call.get(several, (path,))[0], path) for several in ("checkpoints", "sides", "inputs")}
    return {**call, name: takes_several.get(name, str(path))}


@pytest.mark.slow
@pytest.mark.usefixtures("time_limit")
@pytest.mark.parametrize("kind", ["a pipe", "a device", "pipes in a folder"])
@pytest.mark.parametrize(("stage", "name"), OPTIONS)
def test_special_files_as_inputs_do_not_block(tmp_path: Path, inputs: Path, stage: str, name: str, kind: str) -> None:
    path = Path("/dev/zero") if kind == "a device" else tmp_path / "input"
    if kind == "a pipe":
        os.mkfifo(path)
    for inside in INSIDE if kind == "pipes in a folder" else ():
        (path / inside).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(path / inside)
    message = run_and_fail(stage, replace_input(call_of(inputs, stage, name), name, path), tmp_path / "out")
    assert str(path) in message or "3 unreadable" in message  # for the images of a folder


INSIDE = (
    "artifact.json", "index.csv", "faces.h5", "model.json", "model.safetensors", "model_index.json", "prompts.jsonl",
    "best/model.json", "happy/a.jpg", "train/sad/a.png", "a.mp4", "fer2013.csv", "fer2013new.csv", "training.csv",
    "EmoLabel/list_patition_label.txt", "train_set/annotations/0_exp.npy", "train_set/images/0.jpg",
)  # fmt: skip
"""Names of files that the stages look for."""

PARTS = [
    ("clean", "dataset", "dataset", "artifact.json"),
    ("clean", "dataset", "dataset", "index.csv"),
    ("clean", "dataset", "dataset", "train/sad/a.png"),
    ("clean", "labels", "run", "artifact.json"),
    ("balance", "dataset", "dataset", "train/sad/a.png"),
    ("balance", "plan", "plan", "prompts.jsonl"),
    ("balance", "generator", "generator", "model_index.json"),
    ("balance", "generator", "generator", "unet/config.json"),
    ("balance", "generator", "generator", "tokenizer/special_tokens_map.json"),
    ("balance", "judge", "run", "best/model.json"),
    ("balance", "judge", "run", "best/model.safetensors"),
    ("pack", "dataset", "dataset", "index.csv"),
    ("pack", "dataset", "dataset", "test/happy/a.png"),
    ("train", "pack", "pack", "artifact.json"),
    ("train", "pack", "pack", "faces.h5"),
    ("train", "weights", "run", "best/model.safetensors"),
    ("evaluate", "checkpoint", "run", "artifact.json"),
    ("evaluate", "checkpoint", "run", "best/model.json"),
    ("evaluate", "checkpoint", "run", "best/model.safetensors"),
    ("evaluate", "pack", "pack", "faces.h5"),
    ("ensemble", "checkpoints", "run", "best/model.safetensors"),
    ("explain", "checkpoint", "run", "best/model.json"),
]


@pytest.mark.slow
@pytest.mark.usefixtures("time_limit")
@pytest.mark.parametrize(("stage", "name", "kind", "part"), PARTS)
def test_special_files_inside_inputs_do_not_block(
    tmp_path: Path, inputs: Path, stage: str, name: str, kind: str, part: str
) -> None:
    path = tmp_path / "input"
    if kind == "generator":
        pytest.importorskip("diffusers")
    shutil.copytree(inputs / kind, path)
    (path / part).unlink(missing_ok=True)
    os.mkfifo(path / part)
    message = run_and_fail(stage, replace_input(call_of(inputs, stage, name), name, path), tmp_path / "out")
    assert str(path) in message


@pytest.mark.slow
@pytest.mark.usefixtures("time_limit")
@pytest.mark.parametrize("stage", ["import", "detect", "explain"])
def test_pipes_among_images_are_skipped_and_counted(tmp_path: Path, inputs: Path, stage: str) -> None:
    path = tmp_path / "photographs"
    shutil.copytree(inputs / "photographs", path)
    os.mkfifo(path / "happy" / "pipe.png")
    (path / "sad" / "link.jpg").symlink_to(path / "happy" / "pipe.png")
    call = call_of(inputs, stage, "")
    artifact = getattr(fercli, "import_dataset" if stage == "import" else stage)(
        **replace_input(call, {"import": "source", "detect": "photographs", "explain": "images"}[stage], path),
        out=tmp_path / "out",
    )
    listed = [name for names in artifact.manifest.skipped.values() for name in names]
    assert sum("pipe.png" in name for name in listed) == 1
    assert sum("link.jpg" in name for name in listed) == 1


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Limit the file size, to simulate a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


CROSS = {"epochs": 1, "folds": 3, "splits": "train,validation,test", "validation": 0.5}
"""Three folds of two images."""

FULL = [
    *((stage, size) for stage in CONFIGS for size in (0, 150, 400) if stage not in ("sample",)),
    ("sample", 150),
    ("train", 20_000),
    ("train", 3_000_000),  # the weights fit, the state does not
    ("pack", 4_000),
    ("crossvalidate", 4_000),
    ("crossvalidate", 20_000),
]


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "size"), FULL)
def test_full_disk_is_reported_and_the_next_call_succeeds(tmp_path: Path, inputs: Path, stage: str, size: int) -> None:
    call = call_of(inputs, stage, "") if stage != "sample" else {"images": 21, "workers": 1}
    name = "import_dataset" if stage == "import" else stage
    function = getattr(fercli, name)
    # Before the limit, which would cut their bytecode off: Python does not notice.
    for module in pkgutil.iter_modules(importlib.import_module(f"fercli.stages.{name}").__path__):
        importlib.import_module(f"fercli.stages.{name}.{module.name}")
    with file_size_limit(size), pytest.raises(FerError, match=r"ulimit -f") as caught:
        function(**call, out=tmp_path / "out")
    assert str(tmp_path / "out") in str(caught.value)
    assert not (tmp_path / "out").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {".out.partial"}
    artifact = function(**call, out=tmp_path / "out")
    assert not artifact.up_to_date
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
    assert [path for path in artifact.path.rglob("*") if path.name.startswith(".")] == []


# Not UTF-8; a newline, a quote, a formula, markup, an escape sequence; maximum length.
NAMES = (b"caf\xe9", b"caf\xea", b"=1+1\n\"'<b>[red]\x1b[31m", b"\xff" * 251)


def _bytes_of(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for file in folder.rglob("*"):
        if file.suffix in (".json", ".csv", ".html", ".jsonl"):
            yield file, file.read_bytes()


@pytest.mark.slow
def test_file_names_of_any_bytes_pass_all_stages(tmp_path: Path, inputs: Path) -> None:
    folder = tmp_path / os.fsdecode(b"h\xe9\n'home")
    for split in SPLITS:
        for seed, name in enumerate((*NAMES, b"plain")):
            for emotion in ("happy", "sad"):
                file = folder / "raw" / split / emotion / os.fsdecode(name + b".png")
                file.parent.mkdir(parents=True, exist_ok=True)
                shift = 10 * SPLITS.index(split) + seed + 40 * (emotion == "sad")
                write_tree(file.parent, {file.name: photograph((20 + shift, 20, 60), light=shift)})
    cpu = {"device": "cpu"}
    faces = fercli.detect(folder / "raw", folder / "faces")
    fercli.import_dataset(folder / "raw", folder / "imported")
    cleaned = fercli.clean(faces.path, folder / "cleaned")
    balanced = fercli.balance(cleaned.path, folder / "balanced", policy=12)
    pack = fercli.pack(balanced.path, folder / "pack")
    small = {**QUICK, "epochs": 1}
    first = fercli.train(pack.path, folder / "run", **small)
    second = fercli.train(pack.path, folder / "second", weights=str(first.path), seed=1, **small)
    evaluated = fercli.evaluate(first.path, pack.path, folder / "evaluation", **cpu)
    fercli.ensemble([first.path, second.path], folder / "ensemble", pack=pack.path, **cpu)
    explained = fercli.explain(first.path, folder / "raw", folder / "explanation", **cpu)
    assert explained.summary["pictures"] == 30
    sources = {row.source for row in read_index(faces)}
    assert "train/happy/caf\\xe9.png" in sources
    assert "train/happy/caf\\xea.png" in sources
    assert {a.state for a in ancestors(evaluated)} <= {"there", "raw"}
    for file, data in _bytes_of(folder):
        text = data.decode()
        assert "\\udc" not in text, file
