"""Golden values on FER2013: the pack, a training of two epochs, and its evaluation must not change.

Datasets and packs have the same bytes everywhere. Training also depends on the processor, the number of threads and the
version of torch: its digests are only compared on the configuration they were recorded on, its metrics everywhere.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import fercli
from fercli.artifacts import Artifact
from fercli.artifacts.digests import digest_file

HOME = os.environ.get("FERCLI_REAL_DATA", "")
pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not HOME, reason="FERCLI_REAL_DATA is not set"),
]

DATA = {
    "dataset/index.csv": "d9d5bd33fbd047bd294cd20a918f77575eba75ca8960e3f7193c6c4368e9259e",
    "cleaned/index.csv": "2c4a75321143d9be3fe305a9af7cd86d26c61ca69af10a8257146095cdd597e1",
    "pack/faces.h5": "9afdafece68f6bd1f18f39fefe2af67e610879cdaf4f12f0c6ff8507ab4b2a04",
}
COMPUTED = {
    "run/best/model.safetensors": "40a3154f4b0ebb116f9595aa10b125737edfd6a82a93fabef8f425d37251223e",
    "run/last/model.safetensors": "40a3154f4b0ebb116f9595aa10b125737edfd6a82a93fabef8f425d37251223e",
    "evaluation/predictions.csv": "8264dcca3038c5799d284fdd1a06ae7a3c6aafe44548cb25753ef775ad3e90e2",
}
METRICS = {"accuracy": 0.5229869044302033, "macro_f1": 0.41281478140611216, "roc_auc": 0.8236658533242245}
MACHINE = ("2.15", "AVX512", 2, "25 17 1 1024 KB")
"""Version of torch, vector instructions, threads, and the processor: family, model, stepping, cache."""
PROCESSOR = ("cpu family", "model", "stepping", "cache size")


def machine() -> tuple[str, str, int, str]:
    version = ".".join(torch.__version__.split(".")[:2])
    file = Path("/proc/cpuinfo")
    lines = file.read_text().split("\n\n")[0].splitlines() if file.is_file() else []
    fields = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    processor = " ".join(fields.get(name, "") for name in PROCESSOR)
    return version, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads(), processor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("golden")
    subprocess.run([sys.executable, Path(HOME) / "unpack.py", "csv", home / "fer2013.csv"], check=True)
    fercli.import_dataset(home / "fer2013.csv", home / "dataset")
    fercli.clean(home / "dataset", home / "cleaned")
    fercli.pack(home / "cleaned", home / "pack")
    return home


@pytest.fixture(scope="module")
def evaluation(folder: Path) -> Artifact:
    fercli.train(folder / "pack", folder / "run", model="quick", epochs=2, device="cpu", seed=0)
    return fercli.evaluate(folder / "run", folder / "pack", folder / "evaluation", tta="flip")


def test_datasets_and_packs_have_the_same_bytes(folder: Path) -> None:
    assert {name: digest_file(folder / name) for name in DATA} == DATA


def test_metrics_are_the_same(evaluation: Artifact) -> None:
    found = {name: evaluation.summary[name] for name in METRICS}
    assert found == pytest.approx(METRICS, abs=0.02)


@pytest.mark.skipif(machine() != MACHINE, reason="not the configuration of the recorded digests")
def test_weights_and_predictions_have_the_same_bytes(folder: Path, evaluation: Artifact) -> None:
    assert {name: digest_file(folder / name) for name in COMPUTED} == COMPUTED
    assert {name: evaluation.summary[name] for name in METRICS} == METRICS
