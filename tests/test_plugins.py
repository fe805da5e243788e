"""Models, readers and detectors of other packages: by entry point, or by `module:attribute` reference."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import fercli
from fercli.artifacts import open_artifact
from fercli.cli.completion import VARIABLE
from fercli.datasets.readers import REGISTRY as READERS
from fercli.datasets.readers import find_reader
from fercli.errors import DataError, FerError, UsageError
from fercli.faces.detectors import REGISTRY as DETECTORS
from fercli.faces.detectors import create_detector
from fercli.models.checkpoints import load_checkpoint
from fercli.models.registry import REGISTRY as MODELS
from fercli.models.registry import create_model, find_model
from fercli.recipes import load_recipe
from fercli.stages.train.config import TrainConfig
from tests.helpers.cli import CliResult
from tests.helpers.datasets import ROOT
from tests.helpers.models import make_run
from tests.helpers.packs import make_pack

CODE = """
from pathlib import Path

from fercli.models.spec import GRAY_MEAN, GRAY_STD, ModelSpec

RECIPE = {"epochs": 1, "lr": 0.05, "batch_size": 8}
spec = ModelSpec(
    build="toyplug.net:build", input_size=16, mean=GRAY_MEAN, std=GRAY_STD, recipe=RECIPE, options={"depth": ("1", "2")}
)
other = spec
failing = ModelSpec(build="toyplug.net:failing", input_size=16, mean=GRAY_MEAN, std=GRAY_STD, recipe=RECIPE)


class Reader:
    name, title, expects, published = "toy", "Toy", "a file toy.txt", {}

    def matches(self, source, options=None):
        return (source / "toy.txt").is_file()

    def read(self, source, options=None):
        return iter(())


def detector():
    return Detector()


class Detector:
    name, landmarks = "toy", False

    def detect(self, pixels):
        return []
"""
NET = """
from torch import nn


def build(classes, depth="1"):
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, classes))


def broken(classes):
    raise RuntimeError("no luck")


def failing(classes):
    model = build(classes)
    model.register_forward_hook(lambda *_: {}["logits"])
    return model
"""
DETECTOR = """
class MyDetector:
    name, landmarks = "mydetector", False

    def __init__(self, weights):
        self.weights = weights

    def detect(self, pixels):
        return []
"""
PAGE = (ROOT / "docs" / "plugins.md").read_text("utf-8")
ENTRIES = """
[fercli.models]
toynet = toyplug.entries:spec
failing-net = toyplug.entries:failing
broken-net = toyplug.missing:spec
quick = toyplug.entries:spec

[fercli.readers]
toy = toyplug.entries:Reader

[fercli.detectors]
toy = toyplug.entries:detector
"""


def install(folder: Path, package: str, entries: str) -> None:
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(entries)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path with an installed package."""
    folder = tmp_path / "site"
    (folder / "toyplug").mkdir(parents=True)
    for name, text in (("__init__", ""), ("entries", CODE), ("net", NET)):
        (folder / "toyplug" / f"{name}.py").write_text(text)
    install(folder, "toy-plug", ENTRIES)
    yield from installed(folder, "toyplug", monkeypatch)


@pytest.fixture
def documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path with the package of docs/plugins.md, and the detector that the page omits."""
    folder = tmp_path / "site"
    files = dict(re.findall(r"^`([\w/.]+)`.*?:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    assert set(files) == {"pyproject.toml", *(f"mypackage/{n}" for n in ("entries.py", "net.py", "mynet.toml"))}
    (folder / "mypackage").mkdir(parents=True)
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    for name, text in {**files, "mypackage/__init__.py": "", "mypackage/detector.py": DETECTOR}.items():
        (folder / name).write_text(text)
    groups = project["entry-points"].items()
    lines = [line for group, of in groups for line in (f"[{group}]", *(f"{name} = {of[name]}" for name in of))]
    install(folder, project["name"], "\n".join(lines) + "\n")
    yield from installed(folder, "mypackage", monkeypatch)


def installed(folder: Path, package: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Add a folder to sys.path, and forget its package afterwards."""
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for registry in (MODELS, READERS, DETECTORS):
        registry.forget()
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


def call_fer(site: Path, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `fer` in a separate process that finds the packages of a folder."""
    paths = f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    call = [sys.executable, "-m", "fercli", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": paths, **variables}
    return subprocess.run(call, capture_output=True, text=True, env=environment, timeout=300)


def test_installed_entries_are_found_by_name(site: Path) -> None:
    spec = find_model("toynet")
    assert (spec.name, spec.input_size) == ("toynet", 16)
    assert load_recipe(spec.recipe_file).train.lr == 0.05
    assert TrainConfig.of(model="toynet").epochs == 1
    assert TrainConfig.of(model="toynet", option=["depth=2"]).model_options() == {"depth": "2"}
    with pytest.raises(UsageError, match=r"no depth '3'; there are 1, 2"):
        TrainConfig.of(model="toynet", option=["depth=3"]).model_options()
    assert create_detector("toy").detect(np.zeros((9, 9), np.uint8)) == []
    assert READERS.find("toy").title == "Toy"


def test_references_as_names(site: Path, tmp_path: Path) -> None:
    assert TrainConfig.of(model="toyplug.entries:other").lr == 0.05
    assert create_detector("toyplug.entries:Detector").name == "toy"
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "toy.txt").write_text("")
    assert find_reader(tmp_path / "source", "toyplug.entries:Reader").name == "toy"
    with pytest.raises(UsageError, match="ModuleNotFoundError: No module named 'nowhere'"):
        TrainConfig.of(model="nowhere:spec")
    with pytest.raises(UsageError, match="expected a ModelSpec"):
        TrainConfig.of(model="toyplug.entries:RECIPE")


def test_errors_of_broken_and_duplicate_entries_name_the_packages(site: Path) -> None:
    with pytest.raises(
        FerError, match=r"model 'broken-net' of the package toy-plug cannot be loaded .*toyplug.missing"
    ):
        find_model("broken-net")
    found, problems = MODELS.plugins()
    assert list(found) == ["failing-net", "toynet"]
    assert any("'quick' is provided by several packages, fercli and toy-plug" in line for line in problems)
    assert find_model("quick").family == "quick"
    second = site.parent / "second"
    install(second, "other-plug", "[fercli.models]\ntoynet = toyplug.entries:spec\n")
    sys.path.insert(0, str(second))
    try:
        with pytest.raises(UsageError, match="'toynet' is provided by several packages, other-plug and toy-plug"):
            find_model("toynet")
    finally:
        sys.path.remove(str(second))
    with pytest.raises(UsageError, match="no model 'toynett'; did you mean toynet"):
        find_model("toynett")


def test_checkpoint_imports_only_trusted_code(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack = make_pack(tmp_path / "pack")
    run = make_run(tmp_path / "run", pack)
    metadata = run.path / "best" / "model.json"
    told = json.loads(metadata.read_text())

    def name(architecture: str) -> None:
        metadata.write_text(json.dumps({**told, "architecture": architecture}))

    name("toyplug.entries:other")
    with pytest.raises(
        DataError, match=r"imported only if the call names it: set FERCLI_PLUGINS=toyplug.entries:other"
    ):
        load_checkpoint(run.path)
    assert "toyplug.entries" not in sys.modules
    for allowed in ("toyplug.entries:spec", "toynet"):  # the reference of an entry point, and its name
        name(allowed)
        with pytest.raises(DataError, match=r"not the weights of|has no option"):
            load_checkpoint(run.path)
    name("toyplug.entries:other")
    monkeypatch.setenv("FERCLI_PLUGINS", "x:y, toyplug.entries:other")
    with pytest.raises(DataError, match=r"not the weights of|has no option"):
        load_checkpoint(run.path)


@pytest.mark.slow
def test_command_line_lists_and_completes_entries(site: Path) -> None:
    listed = call_fer(site, "models", "--json")
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)[-1]["name"] == "toynet"
    assert "toy" in [row["format"] for row in json.loads(call_fer(site, "import", "--list", "--json").stdout)]
    failed = call_fer(site, "models", "broken-net")
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert "toy-plug" in failed.stderr
    for words, wanted in (
        ("fer train --model toy", "toynet"),
        ("fer import --format to", "toy"),
        ("fer detect photographs --detector to", "toy"),
    ):
        line = {"COMP_WORDS": "\n".join(words.split()), "COMP_CWORD": str(len(words.split()) - 1)}
        completed = call_fer(site, **{VARIABLE: "complete_bash"}, **line)
        assert (completed.stdout.split(), completed.stderr) == ([wanted], "")


def test_errors_in_a_plugin_name_its_line(site: Path, tmp_path: Path, fer: Callable[..., CliResult]) -> None:
    pack = make_pack(tmp_path / "pack")
    failed = fer("train", pack.path, tmp_path / "run", "--model", "failing-net", "--device", "cpu")
    assert failed.code == 1
    assert failed.err.splitlines()[-1] == (
        "fer train: KeyError in the plugin toyplug.net, line 15: 'logits'; please report it to its authors with the "
        "output of --debug"
    )


def test_the_documented_package_works(documented: Path, tmp_path: Path) -> None:
    config = TrainConfig.of(model="mynet", option=["depth=3"])
    assert (config.epochs, config.batch_size, config.optimizer, config.lr) == (30, 64, "adamw", 1e-3)
    model = create_model("mynet", 7, **config.model_options())
    assert model(torch.zeros(2, 1, 48, 48)).shape == (2, 7)
    assert model.get_submodule(find_model("mynet").gradcam or "")
    source = tmp_path / "my-images"
    source.mkdir()
    (source / "labels.txt").write_text("a.png happy\nb.png sad\n")
    items = find_reader(source, "mydata").read(source)
    assert [(item.emotion, item.name) for item in items] == [("happy", "a"), ("sad", "b")]
    assert create_detector("mydetector").name == "mydetector"


@pytest.mark.long
def test_the_documented_model_trains_and_is_evaluated(
    documented: Path, tmp_path: Path, fer: Callable[..., CliResult]
) -> None:
    pack, run, evaluation = make_pack(tmp_path / "pack").path, tmp_path / "run", tmp_path / "evaluation"
    options = ("--option", "depth=3", "--epochs", "1", "--device", "cpu")
    trained = call_fer(documented, "train", pack, run, "--model", "mynet", *options)
    assert trained.returncode == 0, trained.stderr
    card = json.loads((run / "best" / "model.json").read_text())
    assert (card["architecture"], card["options"]) == ("mynet", {"depth": "3"})
    assert open_artifact(run).manifest.plugins == {"mypackage": "1.0"}
    measured = fer("evaluate", run, pack, evaluation, "--device", "cpu", "--json")
    assert measured.code == 0, measured.err
    assert 0 <= json.loads(measured.out)["accuracy"] <= 1
    unknown = call_fer(tmp_path, "evaluate", run, pack, tmp_path / "other", "--device", "cpu")
    assert unknown.returncode == 1
    assert "mynet" in unknown.stderr


@pytest.mark.slow
@pytest.mark.parametrize("model", ["quick", "timm/no-such-model"])
def test_a_config_imports_no_torch(model: str) -> None:
    code = (
        "import sys; from fercli.stages.train.config import TrainConfig; "
        f"TrainConfig.of(model={model!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_timm_names_are_checked_when_the_stage_runs(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack")
    with pytest.raises(UsageError, match="no model 'timm/no-such-model'"):
        fercli.train(pack.path, tmp_path / "run", model="timm/no-such-model")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_next_command_names_the_code_of_a_reference(
    site: Path, tmp_path: Path, fer: Callable[..., CliResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = make_pack(tmp_path / "pack")
    trained = fer("train", pack.path, tmp_path / "run", "--model", "toyplug.entries:other", "--device", "cpu")
    assert "next: FERCLI_PLUGINS=toyplug.entries:other fer evaluate" in trained.err
