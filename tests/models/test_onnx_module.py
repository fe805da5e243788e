"""Exported models read back: the same answers, and nothing but fercli's own files."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fercli
from fercli.artifacts import Artifact
from fercli.errors import DataError, FerError, UsageError
from fercli.evaluation.predicting import predict_images
from fercli.exported import METADATA_KEY, ONNX
from fercli.models.checkpoints import load_checkpoint
from tests.helpers.models import make_run
from tests.helpers.packs import draw_faces, make_pack

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
FACES = draw_faces(np.arange(7), 16)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    """A run and its export."""
    home = tmp_path_factory.mktemp("exported")
    run = make_run(home / "run", make_pack(home / "pack"))
    return run, fercli.export(run, home / "onnx")


def test_same_probabilities_from_folder_and_file(exported: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    run, made = exported
    alone = tmp_path / "alone.onnx"
    alone.write_bytes((made.path / ONNX).read_bytes())
    expected = predict_images(load_checkpoint(run.path), FACES, device=CPU)
    for path in (made.path, made.path / ONNX, alone):
        checkpoint = load_checkpoint(path)
        assert checkpoint.metadata.emotions == made.manifest.emotions
        np.testing.assert_allclose(predict_images(checkpoint, FACES, device=CPU), expected, atol=1e-5)
        flipped = predict_images(checkpoint, FACES, device=CPU, tta="flip")
        np.testing.assert_allclose(
            flipped, predict_images(load_checkpoint(run.path), FACES, device=CPU, tta="flip"), atol=1e-5
        )
    assert load_checkpoint(alone).as_input().kind == "weights"
    assert load_checkpoint(made.path / ONNX).as_input() == load_checkpoint(made.path).as_input()


def test_answers_do_not_depend_on_threads(exported: tuple[Artifact, Artifact]) -> None:
    checkpoint = load_checkpoint(exported[1].path)
    expected = predict_images(checkpoint, FACES, device=CPU)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: predict_images(checkpoint, FACES, device=CPU), range(16)):
            assert (found == expected).all()


def test_ten_crop_is_refused(exported: tuple[Artifact, Artifact]) -> None:
    with pytest.raises(UsageError, match="ten-crop: an exported model resizes faces itself; use flip"):
        predict_images(load_checkpoint(exported[1].path), FACES, device=CPU, tta="ten-crop")


def change(entry: dict[str, Any], **own: Any) -> Callable[[Any], None]:
    def apply(proto: Any) -> None:
        described = json.loads(proto.metadata_props[0].value)
        described["model"] |= entry
        described |= own
        proto.metadata_props[0].value = json.dumps(described)

    return apply


def remove_metadata(proto: Any) -> None:
    del proto.metadata_props[:]


def rename_output(proto: Any) -> None:
    proto.graph.output[0].name = "found"
    next(node for node in proto.graph.node if "probabilities" in node.output).output[0] = "found"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove_metadata, "its metadata is not that of fer export"),
        (rename_output, "has other inputs and outputs than the files of fer export"),
        (change({"emotions": ["sad", "happy"]}), "its metadata is of another model"),
        (change({"emotions": 7}), "its metadata is of another model"),
        (change({}, format=2), "export format 2 is newer than this version of fercli supports"),
        (change({"temperature": -1}), "its metadata is not that of a checkpoint"),
        (change({"preprocessing": {"input_size": 48, "mean": [0.5], "std": [0]}}), "not that of a checkpoint"),
    ],
)
def test_other_files_are_refused(
    exported: tuple[Artifact, Artifact], tmp_path: Path, damage: Callable[[Any], None], message: str
) -> None:
    proto = onnx.load(exported[1].path / ONNX)
    proto.metadata_props.sort(key=lambda one: one.key != METADATA_KEY)
    damage(proto)
    onnx.save(proto, tmp_path / "other.onnx")
    with pytest.raises(DataError, match=rf"other\.onnx: .*{message}"):
        load_checkpoint(tmp_path / "other.onnx")


@pytest.mark.parametrize("data", [b"", b"onnx", b"\x08\x09" * 500])
def test_what_is_not_onnx_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.onnx").write_bytes(data)
    with pytest.raises(DataError, match=r"x\.onnx: (not an ONNX file|has other inputs)"):
        load_checkpoint(tmp_path / "x.onnx")
    with pytest.raises(DataError, match=r"y\.onnx"):
        load_checkpoint(tmp_path / "y.onnx")


def test_cut_and_modified_files_are_refused(exported: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    data = (exported[1].path / ONNX).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"cut\.onnx: not an ONNX file"):
        load_checkpoint(tmp_path / "cut.onnx")
    for name in ("artifact.json", ONNX):
        (tmp_path / name).write_bytes((exported[1].path / name).read_bytes() + b" ")
    with pytest.raises(DataError, match="was modified after it was written"):
        load_checkpoint(tmp_path)


def test_other_files_cannot_be_reached(exported: tuple[Artifact, Artifact], tmp_path: Path) -> None:
    """ONNX allows weights in other files; ours have none, and none are looked for."""
    proto = onnx.load(exported[1].path / ONNX)
    (tmp_path / "secret").write_bytes(b"0" * 10_000)
    tensor = max(proto.graph.initializer, key=lambda one: len(one.raw_data))
    size = len(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret")
    tensor.external_data.add(key="length", value=str(size))
    (tmp_path / "x.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(DataError, match=r"x\.onnx: not an ONNX file"):
        load_checkpoint(tmp_path / "x.onnx")


def test_without_onnxruntime_a_line_says_so(
    exported: tuple[Artifact, Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(FerError, match=r"needs onnxruntime; install it with: pip install 'fercli\[onnx\]'"):
        load_checkpoint(exported[1].path)
