"""The whole graph: faces and probabilities of a photograph, with a stand-in for YuNet and with YuNet itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fercli
from fercli.artifacts import Artifact
from fercli.errors import DataError, FerError, UsageError
from fercli.exported import PHOTOGRAPH
from fercli.stages.export import parity
from fercli.stages.export.photograph import parity as photograph_parity
from fercli.stages.export.photograph.whole import PhotographSession
from fercli.verification import verify
from tests.helpers.models import make_run
from tests.helpers.packs import make_pack
from tests.helpers.yunet import bright_photograph, write_yunet

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow
HOME = os.environ.get("FERCLI_REAL_DATA", "")


def make_quick(patch: pytest.MonkeyPatch) -> None:
    """Measure hardly any speed, and compare on photographs on which the stand-in finds something."""
    patch.setattr(parity, "SECONDS", 0.01)
    patch.setattr(photograph_parity, "photographs", lambda: [bright_photograph(480, 640, k) for k in range(3)])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    make_quick(monkeypatch)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, a stand-in for YuNet, and an export with it."""
    home = tmp_path_factory.mktemp("whole")
    make_run(home / "run", make_pack(home / "pack"))
    write_yunet(home / "yunet.onnx")
    with pytest.MonkeyPatch.context() as patch:
        make_quick(patch)
        fercli.export(home / "run", home / "whole", with_detector=True, weights=home / "yunet.onnx")
    return home


@pytest.fixture
def whole(home: Path) -> Artifact:
    return fercli.export(home / "run", home / "whole", with_detector=True, weights=home / "yunet.onnx")


def test_the_artifact(whole: Artifact) -> None:
    assert whole.up_to_date
    names = {path.name for path in whole.path.iterdir()}
    assert names >= {"model.onnx", PHOTOGRAPH, "example.py", "example_photograph.py", "example_photograph.js"}
    assert verify(whole) == []
    assert whole.summary["photographs"]["faces"] > 0
    assert whole.summary["photographs"]["largest_probability"] < 1e-3
    assert "YuNet" in (whole.path / "CARD.md").read_text()
    assert "MIT" in (whole.path / "CARD.md").read_text()
    assert "## photograph.onnx" in (whole.path / "README.md").read_text()
    assert [item.name for item in whole.manifest.inputs] == ["checkpoint", "detector"]


@pytest.mark.parametrize("size", [(480, 640), (700, 500), (1100, 1500), (60, 90)])
def test_faces_are_those_of_predict(size: tuple[int, int], home: Path, tmp_path: Path) -> None:
    pixels = bright_photograph(*size, seed=5)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    found = PhotographSession((home / "whole" / PHOTOGRAPH).read_bytes())(pixels)
    side = min(max(size), 640, max(320, max(size) // 2))  # the model's faces are small: predict would search again
    faces = fercli.predict(
        home / "run",
        tmp_path / "photo.png",
        detector="yunet",
        weights=home / "yunet.onnx",
        search_size=side,
        device="cpu",
    )
    rows = [row for row in faces.rows if row.face is not None]
    assert len(found.boxes) == len(rows)
    for box, own, row in zip(found.boxes, found.probabilities, rows, strict=True):
        assert row.face is not None
        assert np.allclose(box, row.face.box, atol=0.01)
        assert np.allclose(own, row.probabilities, atol=1e-3)


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_other_precisions(precision: Any, home: Path, tmp_path: Path, quick: None) -> None:
    options = {"pack": home / "pack", "tolerance": 1.0, "with_detector": True, "weights": home / "yunet.onnx"}
    made = fercli.export(home / "run", tmp_path / "out", precision=precision, **options)
    assert made.summary["photographs"]["faces"] > 0
    assert made.summary["photographs"]["largest_probability"] < 1e-3  # than those of the exported model itself


def test_no_face(home: Path) -> None:
    found = PhotographSession((home / "whole" / PHOTOGRAPH).read_bytes())(np.zeros((40, 50, 3), np.uint8))
    assert found.boxes.shape == (0, 4)
    assert found.probabilities.shape[0] == 0


def test_the_example_runs_without_fercli(home: Path, tmp_path: Path) -> None:
    Image.fromarray(bright_photograph(480, 640, 1)).save(tmp_path / "photo.png")
    command = [sys.executable, str(home / "whole" / "example_photograph.py"), str(tmp_path / "photo.png")]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = PhotographSession((home / "whole" / PHOTOGRAPH).read_bytes())(bright_photograph(480, 640, 1))
    assert len(lines) == len(found.boxes) > 0
    for line, box, own in zip(lines, found.boxes, found.probabilities, strict=True):
        cells = line.split("\t")
        assert [float(cell) for cell in cells[1:5]] == pytest.approx(box.tolist(), abs=0.06)
        assert float(cells[6]) == pytest.approx(own.max(), abs=1e-5)


def test_fercli_names_the_other_file(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"takes photographs and finds their faces itself; give model.onnx beside it"):
        fercli.load(home / "whole" / PHOTOGRAPH)


def test_wrong_calls(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="with-detector: is for the format onnx only"):
        fercli.export(home / "run", tmp_path / "out", with_detector=True, format="torch")
    with pytest.raises(UsageError, match="weights: are those of the detector; add --with-detector"):
        fercli.export(home / "run", tmp_path / "out", weights=home / "yunet.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(FerError, match=r"text.onnx: not YuNet's ONNX file; see fer weights"):
        fercli.export(home / "run", tmp_path / "out", with_detector=True, weights=tmp_path / "text.onnx")
    assert not (tmp_path / "out").exists()


@pytest.mark.real
@pytest.mark.skipif(not HOME, reason="FERCLI_REAL_DATA is not set")
def test_yunet_itself(tmp_path: Path) -> None:
    weights = next(Path(HOME).rglob("face_detection_yunet_2023mar.onnx"))
    made = fercli.export("ferplus", tmp_path / "whole", with_detector=True, weights=weights)
    assert made.summary["photographs"]["faces"] >= 10
    assert made.summary["photographs"]["largest_box"] < 0.01
    assert made.summary["photographs"]["largest_probability"] < 1e-3
