"""Models, readers and detectors of other packages: installed ones by entry points, and `module:attribute` names."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.datasets.readers import REGISTRY as READERS
from fercli.datasets.readers import find_reader
from fercli.errors import DataError, FerError, UsageError
from fercli.faces.detectors import create_detector, find_detector
from fercli.models.checkpoints import load_checkpoint
from fercli.models.registry import REGISTRY as MODELS
from fercli.models.registry import find_model
from fercli.recipes import load_recipe
from fercli.stages.train.config import TrainConfig
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
"""
ENTRIES = """
[fercli.models]
toynet = toyplug.entries:spec
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
    monkeypatch.syspath_prepend(str(folder))
    registries = (MODELS, READERS, find_detector.__globals__["REGISTRY"])
    yield folder
    for registry in registries:
        registry.forget()
    for name in [name for name in sys.modules if name.split(".")[0] == "toyplug"]:
        del sys.modules[name]


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


def test_names_as_references(site: Path, tmp_path: Path) -> None:
    assert TrainConfig.of(model="toyplug.entries:other").lr == 0.05
    assert create_detector("toyplug.entries:Detector").name == "toy"
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "toy.txt").write_text("")
    assert find_reader(tmp_path / "source", "toyplug.entries:Reader").name == "toy"
    with pytest.raises(UsageError, match="ModuleNotFoundError: No module named 'nowhere'"):
        TrainConfig.of(model="nowhere:spec")
    with pytest.raises(UsageError, match="wanted a ModelSpec"):
        TrainConfig.of(model="toyplug.entries:RECIPE")


def test_broken_and_double_entries_name_their_packages(site: Path) -> None:
    with pytest.raises(
        FerError, match=r"model 'broken-net' of the package toy-plug cannot be loaded .*toyplug.missing"
    ):
        find_model("broken-net")
    found, problems = MODELS.plugins()
    assert list(found) == ["toynet"]
    assert any("'quick' is in several packages, fercli and toy-plug" in line for line in problems)
    assert find_model("quick").family == "quick"
    second = site.parent / "second"
    install(second, "other-plug", "[fercli.models]\ntoynet = toyplug.entries:spec\n")
    sys.path.insert(0, str(second))
    try:
        with pytest.raises(UsageError, match="'toynet' is in several packages, other-plug and toy-plug"):
            find_model("toynet")
    finally:
        sys.path.remove(str(second))
    with pytest.raises(UsageError, match="no model 'toynett'; did you mean toynet"):
        find_model("toynett")


def test_a_checkpoint_imports_only_what_somebody_named(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = make_pack(tmp_path / "pack")
    run = make_run(tmp_path / "run", pack)
    card = run.path / "best" / "model.json"
    told = json.loads(card.read_text())

    def name(architecture: str) -> None:
        card.write_text(json.dumps({**told, "architecture": architecture}))

    name("toyplug.entries:other")
    with pytest.raises(DataError, match=r"imported only where you name it: set FERCLI_PLUGINS=toyplug.entries:other"):
        load_checkpoint(run.path)
    assert "toyplug.entries" not in sys.modules
    for allowed in ("toyplug.entries:spec", "toynet"):  # an entry point's own place, and its name
        name(allowed)
        with pytest.raises(DataError, match=r"not the weights of|has no option"):
            load_checkpoint(run.path)
    name("toyplug.entries:other")
    monkeypatch.setenv("FERCLI_PLUGINS", "x:y, toyplug.entries:other")
    with pytest.raises(DataError, match=r"not the weights of|has no option"):
        load_checkpoint(run.path)


def test_the_command_line_lists_and_completes_them(site: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}

    def fer(*words: str) -> subprocess.CompletedProcess[str]:
        call = [sys.executable, "-m", "fercli", *words]
        return subprocess.run(call, capture_output=True, text=True, env=environment, timeout=120)

    listed = fer("models", "--json")
    assert listed.returncode == 0, listed.stderr
    assert json.loads(listed.stdout)[-1]["name"] == "toynet"
    assert "toy" in [row["format"] for row in json.loads(fer("import", "--list", "--json").stdout)]
    failed = fer("models", "broken-net")
    assert (failed.returncode, len(failed.stderr.splitlines())) == (1, 1)
    assert "toy-plug" in failed.stderr


@pytest.mark.parametrize("model", ["quick", "timm/no-such-model"])
def test_a_config_imports_no_torch(model: str) -> None:
    code = (
        "import sys; from fercli.stages.train.config import TrainConfig; "
        f"TrainConfig.of(model={model!r}); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_timms_names_are_checked_when_the_stage_runs(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack")
    with pytest.raises(UsageError, match="no model 'timm/no-such-model'"):
        fercli.train(pack.path, tmp_path / "run", model="timm/no-such-model")
    assert not (tmp_path / "run").exists()
