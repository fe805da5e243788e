"""`fer export`: the file gives the checkpoint's probabilities wherever a checkpoint is taken, and alone."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

import fercli
from fercli.artifacts import open_artifact
from fercli.errors import DataError, FerError, UsageError
from fercli.evaluation.card import model_card
from fercli.evaluation.reading import read_predictions
from fercli.packs.file import read_split
from fercli.packs.opening import open_pack
from fercli.stages.export import parity, stage, writing
from fercli.stages.export.faces import drawn_faces
from fercli.stages.export.onnx_file import export_program
from fercli.verification import verify
from tests.helpers.datasets import ROOT
from tests.helpers.models import make_run
from tests.helpers.packs import COUNTS, draw_faces, make_pack

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack, two runs on it, and an export of one."""
    home = tmp_path_factory.mktemp("export")
    pack = make_pack(home / "pack")
    for seed in (0, 1):
        make_run(home / f"run-{seed}", pack, seed=seed)
    fercli.export(home / "run-0", home / "onnx")
    return home


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "SECONDS", 0.01)


def test_the_artifact(home: Path) -> None:
    made = fercli.export(home / "run-0", home / "onnx")
    assert made.up_to_date
    assert sorted(path.name for path in made.path.iterdir()) == [
        "CARD.md", "README.md", "artifact.json", "example.js", "example.py", "export.json", "model.onnx", "parity.csv",
        "speed.csv", "training_sha256.npy",
    ]  # fmt: skip
    s = made.summary
    assert (s.file, s.format, s.precision, s.architecture) == ("model.onnx", "onnx", "float32", "quick")
    assert s.bytes == (made.path / "model.onnx").stat().st_size
    assert [row.n for row in s.parity] == [512, 48, 48, 48]
    assert max(row.largest for row in s.parity) < 1e-4
    assert {row.agreement for row in s.parity} == {1.0}
    assert [row.batch for row in s.speed] == [1, 64]
    with (made.path / "parity.csv").open(newline="") as file:
        assert [row["faces"] for row in csv.DictReader(file)] == [row.faces for row in s.parity]
    assert verify(made) == []
    proto = onnx.load(made.path / "model.onnx")
    assert proto.producer_name == "fercli"
    entries = {one.key: one.value for one in proto.metadata_props}
    assert entries["emotions"].split(",") == s.emotions
    assert entries["card"] == (made.path / "CARD.md").read_text("utf-8") == model_card(home / "run-0")
    assert json.loads(entries["fercli"])["model"]["architecture"] == "quick"
    assert b'.py", line ' not in (made.path / "model.onnx").read_bytes()  # the exporter's notes about source files


def test_exporting_again_gives_the_same_bytes(home: Path, tmp_path: Path) -> None:
    again = fercli.export(home / "run-0", tmp_path / "again")
    assert (again.path / "model.onnx").read_bytes() == (home / "onnx" / "model.onnx").read_bytes()


def test_evaluate_ensemble_and_matrix_take_it(home: Path, tmp_path: Path) -> None:
    pack = home / "pack"
    found, expected = (
        fercli.evaluate(home / name, pack, tmp_path / name, tta="flip", device="cpu", without_leaks=True)
        for name in ("onnx", "run-0")
    )
    assert found.summary.accuracy == expected.summary.accuracy
    np.testing.assert_allclose(
        read_predictions(found).probabilities, read_predictions(expected).probabilities, atol=1e-5
    )
    assert found.summary.calibration == pytest.approx(expected.summary.calibration, rel=1e-3)
    assert found.manifest.inputs[0].kind == "export"
    one, other = (
        fercli.ensemble([home / name, home / "run-1"], tmp_path / f"{name}-both", pack=pack, device="cpu")
        for name in ("onnx", "run-0")
    )
    assert one.summary.accuracy == other.summary.accuracy
    cells = fercli.matrix([home / "onnx", home / "run-1", pack], tmp_path / "matrix", device="cpu").summary.cells
    assert cells[0].accuracy == fercli.evaluate(home / "run-0", pack, tmp_path / "plain", device="cpu").summary.accuracy
    assert cells[0].trained_on == cells[1].trained_on


def test_predict_and_load_take_it(home: Path, tmp_path: Path) -> None:
    Image.fromarray(drawn_faces(60, "rgb", 1)[0]).save(tmp_path / "face.png")
    rows = [
        fercli.predict(home / name, tmp_path / "face.png", faces="crop").rows[0]
        for name in ("run-0", "onnx", "onnx/model.onnx")
    ]
    for row in rows[1:]:
        assert row.probabilities == pytest.approx(rows[0].probabilities, abs=1e-5)
    model = fercli.load(home / "onnx" / "model.onnx")
    faces = draw_faces(np.arange(7), 16)
    np.testing.assert_allclose(model.predict_faces(faces), fercli.load(home / "run-0").predict_faces(faces), atol=1e-5)


def run_example(folder: Path, picture: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, folder / "example.py", picture], capture_output=True, text=True, check=True)
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert {name for name, _, _ in lines} == {str(picture)}
    return {emotion: float(value) for _, emotion, value in lines}


@pytest.mark.parametrize("file_format", ["onnx", "torch"])
@pytest.mark.parametrize("side", [16, 60])
def test_the_example_gives_the_probabilities_of_predict(
    home: Path, tmp_path: Path, file_format: str, side: int
) -> None:
    folder = home / "onnx"
    if file_format == "torch":
        folder = fercli.export(home / "run-0", tmp_path / "torch", format="torch").path
        assert str(ROOT).encode() not in (folder / "model.pt2").read_bytes()
    Image.fromarray(drawn_faces(side, "rgb", 1)[0]).save(tmp_path / "face.png")
    expected = fercli.predict(home / "run-0", tmp_path / "face.png", faces="crop").rows[0].probabilities
    found = run_example(folder, tmp_path / "face.png")
    assert list(found) == fercli.load(home / "run-0").emotions
    assert tuple(found.values()) == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("file_format", ["onnx", "torch"])
def test_the_example_reads_pictures_as_predict_does(home: Path, tmp_path: Path, file_format: str) -> None:
    folder = home / "onnx"
    if file_format == "torch":
        folder = fercli.export(home / "run-0", tmp_path / "torch", format="torch").path
        with pytest.raises(DataError, match=r"torch: is a program of torch\.export, which fercli does not load"):
            fercli.load(folder)
    upright = Image.fromarray(drawn_faces(60, "rgb", 1)[0])
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6
    upright.crop((0, 0, 60, 40)).save(tmp_path / "turned.png", exif=turned)
    clear = upright.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(tmp_path / "clear.png")
    Image.fromarray(np.asarray(upright.convert("L")).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    for name in ("turned", "clear", "deep"):
        picture = tmp_path / f"{name}.png"
        expected = fercli.predict(home / "run-0", picture, faces="crop").rows[0].probabilities
        assert tuple(run_example(folder, picture).values()) == pytest.approx(expected, abs=2e-6), name


def test_float16_halves_the_file(home: Path, tmp_path: Path) -> None:
    made = fercli.export(home / "run-0", tmp_path / "half", precision="float16", pack=home / "pack")
    assert made.summary.bytes < 0.75 * (home / "onnx" / "model.onnx").stat().st_size
    assert made.summary.parity[0].largest < 0.02
    assert made.summary.parity[0].faces == "validation faces, 16 px"
    assert made.summary.accuracy is not None
    assert made.summary.accuracy.n == COUNTS["validation"]


def test_int8_is_calibrated_and_compared(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="pack: int8 is calibrated on validation faces; give a pack with --pack"):
        fercli.export(home / "run-0", tmp_path / "x", precision="int8")
    made = fercli.export(home / "run-0", tmp_path / "int8", precision="int8", pack=home / "pack", tolerance=1)
    weights = {tensor.data_type for tensor in onnx.load(made.path / "model.onnx").graph.initializer}
    assert onnx.TensorProto.INT8 in weights
    accuracy = made.summary.accuracy
    assert accuracy is not None
    found = fercli.evaluate(made, home / "pack", tmp_path / "ev", split="validation", device="cpu").summary.accuracy
    assert accuracy.exported == pytest.approx(found)
    assert {path.name for path in made.path.glob("*.onnx")} == {"model.onnx"}


def test_int8_that_loses_too_much_is_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = read_split(open_pack(open_artifact(home / "pack")), "validation").labels
    original = stage.predict_images

    def right(checkpoint: Any, faces: Any, **options: Any) -> Any:
        """Predict the labels of the validation faces, and the other faces as the model does."""
        known = len(faces) == len(labels)
        return np.eye(7, dtype=np.float32)[labels] if known else original(checkpoint, faces, **options)

    monkeypatch.setattr(stage, "predict_images", right)
    with pytest.raises(FerError, match=r"int8 loses .*% of accuracy on .* validation faces \(100.00% to .*--tolerance"):
        fercli.export(home / "run-0", tmp_path / "int8", precision="int8", pack=home / "pack")
    assert not list(tmp_path.iterdir())


def test_a_wrong_file_is_not_written(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(program: Any) -> Any:
        proto = to_onnx(program)
        bias = min((one for one in proto.graph.initializer if list(one.dims) == [7]), key=lambda one: one.name)
        bias.CopyFrom(onnx.numpy_helper.from_array(np.arange(7, dtype=np.float32), bias.name))
        return proto

    to_onnx = writing.to_onnx
    monkeypatch.setattr(writing, "to_onnx", wrong)
    with pytest.raises(FerError, match=r"differs from the checkpoint: on drawn faces, 16 px, face \d+ of 512, \w+ is"):
        fercli.export(home / "run-0", tmp_path / "wrong")
    assert not list(tmp_path.iterdir())


def test_exported_models_are_not_exported_or_explained(home: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is an exported model; export the run that it was made from"):
        fercli.export(home / "onnx", tmp_path / "out")
    with pytest.raises(UsageError, match="is exported, and has no gradients; explain the run it is from"):
        fercli.explain(home / "onnx", home / "pack", out=tmp_path / "out")


def test_inputs_are_checked_first(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing"):
        fercli.export(tmp_path / "nothing", tmp_path / "out")
    with pytest.raises(UsageError, match="precision: float16 is for the format onnx only"):
        fercli.export(home / "run-0", tmp_path / "out", format="torch", precision="float16")
    empty = make_pack(tmp_path / "empty", {"train": 7, "test": 7})
    with pytest.raises(DataError, match="has no validation faces; export without --pack"):
        fercli.export(home / "run-0", tmp_path / "out", pack=empty)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_one_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FerError, match=rf"format onnx needs {package}; install it with: pip install 'fercli\[onnx\]'"):
        fercli.export(home / "run-0", tmp_path / "out")


def test_what_torch_cannot_trace_is_one_line() -> None:
    class Untraceable(torch.nn.Module):
        def forward(self, faces: torch.Tensor) -> torch.Tensor:
            return faces * int(faces.sum())

    with pytest.raises(FerError, match=r"torch\.export cannot trace this model: ") as raised:
        export_program(Untraceable())  # type: ignore[arg-type]
    assert "\n" not in str(raised.value)


def test_the_command(home: Path, fer: Any, tmp_path: Path) -> None:
    result = fer("export", home / "run-0", tmp_path / "out")
    assert result.code == 0, result.err
    assert "model.onnx: quick, float32" in result.out
    assert "drawn faces, 16 px" in result.out
    assert "times as fast" in result.out
    assert "drawn faces, 16 px: probabilities within" in fer("show", tmp_path / "out").out
    assert json.loads(fer("export", home / "run-0", tmp_path / "out", "--json").out)["precision"] == "float32"
