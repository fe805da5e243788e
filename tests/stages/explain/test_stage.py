"""`fer explain` end to end, on a model with random weights."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.building import build
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, ImageError, UsageError
from fercli.explanation.regions import emotion_units, share, unit_mask
from fercli.explanation.weight_analysis import contributions
from fercli.files import as_text
from fercli.images import read_image
from fercli.models.checkpoints import load_checkpoint
from fercli.models.inference import predict
from fercli.models.registry import find_model
from tests.helpers.datasets import encoded, face, make_dataset, names, noise, write_tree
from tests.helpers.explain import make_checkpoint
from tests.helpers.packs import make_pack

Fer = Callable[..., Any]
METRICS = {"faces", "without_heat", "measured", "heat_in_regions", "area_of_regions", "ratio"}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("checkpoint") / "checkpoint")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cropped faces in two emotion folders, and two files that are not valid images."""
    tree: dict[str, Any] = {f"{('happy', 'sad')[n % 2]}/{n:02d}.png": face(n, 20) for n in range(20)}
    tree |= {"happy/rgb.png": noise(1, 30, 30, 3), "cut.png": encoded(face(1))[:200], "text.png": b"no picture"}
    return write_tree(tmp_path_factory.mktemp("pictures"), tree)


@pytest.fixture(scope="module")
def explanation(checkpoint: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An explanation that the tests only read."""
    return explain(checkpoint, pictures, tmp_path_factory.mktemp("explanation") / "out")


def explain(checkpoint: Path, images: Any, out: Path, **options: Any) -> Artifact:
    return fercli.explain(checkpoint, images, out, device="cpu", **options)


def read_explanation(artifact: Artifact) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((artifact.path / "explanation.json").read_text())
    return found


# --- heat maps ---


@pytest.mark.slow
def test_payload_and_summary(explanation: Artifact) -> None:
    assert names(explanation.path) == [
        "artifact.json",
        "contact-sheet.png",
        "explanation.json",
        "heatmaps.npz",
        "overlays",
        "report.html",
    ]
    assert explanation.manifest.kind == "explanation"
    summary, found = explanation.summary, read_explanation(explanation)
    assert found["summary"] == summary
    assert summary["faces"] == len(found["faces"]) == 21
    assert summary["skipped"] == {"not an image": 1, "truncated": 1}
    assert [Path(path).name for path in found["skipped"]["truncated"]] == ["cut.png"]
    assert explanation.manifest.skipped == found["skipped"]
    assert sum(summary["predicted"].values()) == 21
    assert list(summary["predicted"]) == list(EMOTIONS)
    assert (summary["method"], summary["model"], summary["layer"]) == ("gradcam", "quick", "stages")
    for metrics in (summary, *summary["emotions"].values()):
        assert set(metrics) >= METRICS
    assert {name: f["faces"] for name, f in summary["emotions"].items()} == {
        name: count for name, count in summary["predicted"].items() if count
    }


@pytest.mark.slow
def test_predictions_match_inference(explanation: Artifact, checkpoint: Path) -> None:
    loaded = load_checkpoint(checkpoint)
    for record in read_explanation(explanation)["faces"]:
        pixels = torch.from_numpy(np.array(read_image(Path(record["path"]))))
        image = pixels[None, None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)[None]
        row = predict(loaded.model, image, loaded.metadata.preprocessing, device=torch.device("cpu"))[0]
        assert record["predicted"] == record["explained"] == EMOTIONS[int(row.argmax())]
        assert record["probability"] == pytest.approx(float(row.max()), abs=1e-5)
        assert record["emotion"] == Path(record["path"]).parent.name


@pytest.mark.slow
def test_heat_maps_and_metrics_agree(explanation: Artifact) -> None:
    found = read_explanation(explanation)["faces"]
    with np.load(explanation.path / "heatmaps.npz", allow_pickle=False) as file:
        heat, paths, boxes, emotions = (file[name] for name in ("heat", "path", "box", "emotion"))
    assert heat.shape == (21, 16, 16)
    assert heat.dtype == np.float32
    assert heat.min() >= 0
    assert heat.max() > 1e-3
    assert paths.tolist() == [record["path"] for record in found]
    assert emotions.tolist() == [record["explained"] for record in found]
    assert np.isnan(boxes).all()
    ratios = []
    for face_heat, record in zip(heat, found, strict=True):
        units = emotion_units(record["explained"])
        mask = unit_mask(units, None, 16)
        if face_heat.max() == 0:
            assert record["peak"] is record["heat_in_regions"] is None
            continue
        y, x = np.unravel_index(face_heat.argmax(), face_heat.shape)
        assert record["peak"] == [(x + 0.5) / 16, (y + 0.5) / 16]
        if not units:
            assert record["heat_in_regions"] is record["area_of_regions"] is None
            assert record["units"] == {}
            continue
        assert record["heat_in_regions"] == pytest.approx(share(face_heat, mask))
        assert record["area_of_regions"] == pytest.approx(mask.mean())
        assert list(record["units"]) == [str(unit) for unit in units]
        assert all(0 <= value <= record["heat_in_regions"] + 1e-9 for value in record["units"].values())
        ratios.append((record["heat_in_regions"], record["area_of_regions"]))
    summary = explanation.summary
    assert summary["measured"] == len(ratios) > 0
    assert [summary["heat_in_regions"], summary["area_of_regions"]] == pytest.approx(np.mean(ratios, axis=0).tolist())
    assert summary["ratio"] == pytest.approx(summary["heat_in_regions"] / summary["area_of_regions"])


def test_every_face_has_an_overlay(explanation: Artifact) -> None:
    overlays = [record["overlay"] for record in read_explanation(explanation)["faces"]]
    assert len(set(overlays)) == 21
    assert sorted(overlays) == [f"overlays/{name}" for name in names(explanation.path / "overlays")]
    assert overlays[0] == "overlays/00001-00.png"
    for overlay in overlays[:3]:
        assert min(read_image(explanation.path / overlay).shape[:2]) >= 224


def test_report_page(explanation: Artifact) -> None:
    page = (explanation.path / "report.html").read_text(encoding="utf-8")
    assert "By predicted emotion" in page
    assert "Rows by predicted emotion" in page
    assert base64.b64encode((explanation.path / "contact-sheet.png").read_bytes()).decode() in page
    for emotion, metrics in explanation.summary["emotions"].items():
        row = page[page.index(f"</span>{emotion}</th>") :].split("</tr>")[0]
        assert f"<td>{metrics['faces']}</td>" in row


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [1, 4])
def test_batch_size_does_not_affect_results(
    batch_size: int, explanation: Artifact, checkpoint: Path, pictures: Path, tmp_path: Path
) -> None:
    other = explain(checkpoint, pictures, tmp_path / "out", batch_size=batch_size)
    assert other.manifest.key == explanation.manifest.key
    with (
        np.load(explanation.path / "heatmaps.npz") as a,
        np.load(other.path / "heatmaps.npz") as b,
    ):
        np.testing.assert_allclose(a["heat"], b["heat"], atol=1e-5)
    assert other.summary["predicted"] == explanation.summary["predicted"]


@pytest.mark.slow
def test_repeated_calls_give_identical_files(explanation: Artifact, checkpoint: Path, pictures: Path) -> None:
    assert explain(checkpoint, pictures, explanation.path).up_to_date
    other = explain(checkpoint, pictures, explanation.path.with_name("again"))
    assert other.manifest.digest == explanation.manifest.digest
    for name in ("heatmaps.npz", "explanation.json", "contact-sheet.png"):
        assert (other.path / name).read_bytes() == (explanation.path / name).read_bytes()


@pytest.mark.slow
def test_explaining_one_emotion(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    found = explain(checkpoint, [pictures / "happy", pictures / "sad" / "01.png"], tmp_path / "out", emotion="Fearful")
    assert found.summary["explained"] == "fear"
    assert list(found.summary["emotions"]) == ["fear"]
    records = read_explanation(found)["faces"]
    assert len(records) == 12
    assert {record["explained"] for record in records} == {"fear"}
    assert {record["predicted"] for record in records} != {"fear"}
    for record in records:
        assert record["explained_probability"] <= record["probability"] + 1e-9


def test_default_layer_comes_from_the_checkpoint(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    other = tmp_path / "checkpoint"
    shutil.copytree(checkpoint, other)
    metadata = json.loads((other / "model.json").read_text())
    (other / "model.json").write_text(json.dumps({**metadata, "gradcam": "stem.3"}))
    assert explain(other, pictures, tmp_path / "out", limit=3).summary["layer"] == "stem.3"


def test_model_without_a_default_layer_needs_the_option(
    checkpoint: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = replace(find_model("quick"), gradcam="")
    monkeypatch.setattr("fercli.models.checkpoints.find_model", lambda name: bare)
    with pytest.raises(UsageError, match="quick has no default layer for Grad-CAM; choose one with --layer MODULE"):
        explain(checkpoint, pictures, tmp_path / "out")


def test_another_layer(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    found = explain(checkpoint, pictures, tmp_path / "out", layer="stem.0", limit=3)
    assert found.summary["layer"] == "stem.0"
    with pytest.raises(UsageError, match=r"no layer 'stages\.9'; did you mean stages"):
        explain(checkpoint, pictures, tmp_path / "other", layer="stages.9")
    with pytest.raises(UsageError, match="returns a tensor of"):
        explain(checkpoint, pictures, tmp_path / "other", layer="classifier")
    assert names(tmp_path) == ["out"]


def test_limit_samples_emotions_evenly(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    found = explain(checkpoint, [pictures / "happy", pictures / "sad"], tmp_path / "out", limit=6, seed=3)
    assert sorted(record["emotion"] for record in read_explanation(found)["faces"]) == ["happy"] * 3 + ["sad"] * 3


@pytest.mark.slow
def test_datasets_and_packs(checkpoint: Path, tmp_path: Path) -> None:
    images = {f"validation/{emotion}/{n}.png": face(n) for n, emotion in enumerate(EMOTIONS)}
    dataset = make_dataset(tmp_path / "dataset", {**images, "test/happy/9.png": face(9)})
    pack = make_pack(tmp_path / "pack", {"validation": 7, "test": 14}, color="rgb")
    found = explain(checkpoint, [dataset.path, pack.path], tmp_path / "out")
    assert [record["emotion"] for record in read_explanation(found)["faces"]] == [*EMOTIONS, *EMOTIONS]
    assert [item.kind for item in found.manifest.inputs] == ["checkpoint", "dataset", "pack"]
    assert explain(checkpoint, pack.path, tmp_path / "test", split="test").summary["faces"] == 14


@pytest.mark.slow
def test_faces_without_evidence(tmp_path: Path, pictures: Path) -> None:
    # Every feature is evidence against this emotion: its maps are zero.
    checkpoint = make_checkpoint(tmp_path / "checkpoint", scale=1)
    from safetensors.torch import load_file, save_file

    state = load_file(checkpoint / "model.safetensors")
    state["classifier.weight"][3] = -1.0
    save_file(state, checkpoint / "model.safetensors")
    found = explain(checkpoint, pictures / "happy", tmp_path / "out", emotion="happy")
    assert found.summary["without_heat"] == found.summary["faces"] == 11
    assert found.summary["heat_in_regions"] is found.summary["ratio"] is None
    assert all(record["peak"] is None for record in read_explanation(found)["faces"])


@pytest.mark.slow
def test_emotions_without_action_units(tmp_path: Path, pictures: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", ["bored\n$x$", "contempt", '"<b>'])
    found = explain(checkpoint, pictures / "happy", tmp_path / "out", emotion='"<b>')
    assert found.summary["measured"] == 0
    assert found.summary["ratio"] is None
    assert explain(checkpoint, pictures / "happy", tmp_path / "all").summary["faces"] == 11


# --- photographs ---


@pytest.mark.slow
def test_synthetic_photographs(checkpoint: Path, tmp_path: Path) -> None:
    drawn = fercli.sample(tmp_path / "photographs", images=21, workers=0)
    blank = write_tree(tmp_path / "blank", {"wall.png": np.full((90, 120, 3), 90, np.uint8)})
    found = explain(checkpoint, [drawn.path, blank], tmp_path / "out")
    records = read_explanation(found)["faces"]
    assert found.summary["skipped"]["no face"] >= 1
    assert found.summary["pictures"] == 8  # one photograph of each emotion in the validation split, and the wall
    assert len(records) > 3
    with np.load(found.path / "heatmaps.npz") as file:
        boxes = file["box"]
    for record, box in zip(records, boxes, strict=True):
        assert record["box"] == box.tolist()
        height, width = read_image(Path(record["path"])).shape[:2]
        assert 0 <= box[0] < box[0] + box[2] <= width
        assert 0 <= box[1] < box[1] + box[3] <= height


def test_no_face_at_all_is_an_error(checkpoint: Path, tmp_path: Path) -> None:
    write_tree(tmp_path / "p", {"wall.png": np.full((90, 120), 90, np.uint8), "bad.jpg": b"x"})
    with pytest.raises(DataError, match=r"no face to explain \(skipped 1 no face, 1 not an image\); .* --faces crop"):
        explain(checkpoint, tmp_path / "p", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ImageError, match=r"bad\.jpg: not an image"):
        explain(checkpoint, tmp_path / "p", tmp_path / "out", strict=True)
    assert explain(checkpoint, tmp_path / "p" / "wall.png", tmp_path / "out", faces="crop").summary["faces"] == 1


def test_unusual_file_names(checkpoint: Path, tmp_path: Path) -> None:
    hostile = ["new\nline.png", "quo\"te's.png", "$(touch x);.png", "-rf.png", "\udcff.png", "é 表情.png"]
    folder = write_tree(tmp_path / "p", {name: face(n) for n, name in enumerate(hostile)})
    found = explain(checkpoint, folder, tmp_path / "out")
    assert {Path(record["path"]).name for record in read_explanation(found)["faces"]} == {
        as_text(name) for name in hostile
    }
    for name in names(found.path / "overlays"):
        assert name.isascii()
        assert name.isprintable()
        assert " " not in name
    with np.load(found.path / "heatmaps.npz") as file:
        assert len(set(file["path"].tolist())) == 6


# --- weight analysis ---


@pytest.mark.slow
def test_weights(checkpoint: Path, tmp_path: Path) -> None:
    found = fercli.explain(checkpoint, out=tmp_path / "out", method="weights")
    assert names(found.path) == ["artifact.json", "explanation.json", "report.html", "weights.csv", "weights.png"]
    page = (found.path / "report.html").read_text(encoding="utf-8")
    assert base64.b64encode((found.path / "weights.png").read_bytes()).decode() in page
    header, *rows = (found.path / "weights.csv").read_text().splitlines()
    assert header == ",".join(["feature", *EMOTIONS, "mean"])
    table = np.array([[float(value) for value in row.split(",")] for row in rows])
    weight = load_checkpoint(checkpoint).model.get_submodule("classifier").weight.detach().numpy()
    np.testing.assert_allclose(table[:, 1:8].T, contributions([weight]), atol=1e-9)
    np.testing.assert_allclose(table[:, 1:].sum(0), 1, atol=1e-6)
    assert table[:, 0].tolist() == list(range(weight.shape[1]))
    summary = found.summary
    assert summary["layers"] == ["classifier"]
    assert summary["features"] == len(rows)
    assert list(summary["emotions"]) == list(EMOTIONS)
    strongest = summary["emotions"]["angry"]["strongest"]
    assert strongest[0]["feature"] == int(table[:, 1].argmax())
    half = np.sort(table[:, 1])[::-1].cumsum()
    assert summary["emotions"]["angry"]["half_in"] == int((half < 0.5).sum()) + 1
    assert fercli.explain(checkpoint, out=tmp_path / "out", method="weights").up_to_date


# --- command line and errors ---


def test_command(fer: Fer, explanation: Artifact, checkpoint: Path, pictures: Path) -> None:
    flags = ["--out", explanation.path, "--device=cpu"]
    shown = fer("explain", checkpoint, pictures, *flags)
    assert shown.code == 0, shown.err
    assert shown.out.startswith("up to date")
    assert "skipped 1: truncated" in shown.out
    assert max(map(len, shown.out.splitlines()[1:])) <= 80
    ended = fer("explain", checkpoint, pictures, *flags, "--json")
    assert json.loads(ended.out).items() >= explanation.summary.items()


@pytest.mark.slow
def test_command_for_weights(fer: Fer, checkpoint: Path, tmp_path: Path) -> None:
    ended = fer("explain", checkpoint, "--method", "weights", "--out", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    assert json.loads(ended.out).items() >= open_artifact(tmp_path / "out").summary.items()
    shown = fer("explain", checkpoint, "--method", "weights", "--out", tmp_path / "out")
    assert "128 features into classifier; an even share is 0.78%" in shown.out
    helped = fer("explain", "--help")
    assert "fer explain" in helped.out.split("Example:")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["CHECKPOINT"], 2, "no pictures given: add files, folders, a dataset or a pack after the checkpoint"),
        (["CHECKPOINT", "PICTURES", "--method", "weights"], 2, "uses no pictures; omit IMAGES"),
        (["CHECKPOINT", "PICTURES", "--emotion", "hapy"], 2, "no emotion 'hapy'; did you mean happy?"),
        (
            ["CHECKPOINT", "PICTURES", "--emotion", "contempt"],
            2,
            "no emotion 'contempt'; there are angry, disgust, fear, happy",
        ),
        (["CHECKPOINT", "PICTURES", "--detector", "har"], 2, "no detector 'har'; did you mean haar?"),
        (["CHECKPOINT", "PICTURES", "--weights", "x.onnx"], 2, "also name their detector"),
        (["CHECKPOINT", "PICTURES", "--detector", "haar", "--weights", "x.onnx"], 2, "haar accepts no weights"),
        (["CHECKPOINT", "PICTURES", "--limit", "0"], 2, "limit: input should be greater than or equal to 1"),
        (["CHECKPOINT", "PICTURES", "--faces", "some"], 2, "faces: input should be 'auto', 'photograph' or 'crop'"),
        (["CHECKPOINT", "nothing"], 1, "nothing: no such picture or folder"),
        (["CHECKPOINT", "CHECKPOINT"], 1, "is a checkpoint; expected a dataset or pack or photographs"),
        (["nothing", "PICTURES"], 1, "nothing: no such path"),
        ([], 2, "no pictures given"),
        (["--method", "weights"], 2, "no run or checkpoint given, and none found under artifacts/"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(
    arguments: list[str],
    code: int,
    message: str,
    fer: Fer,
    checkpoint: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    paths: dict[str, Any] = {"CHECKPOINT": checkpoint, "PICTURES": pictures}
    ended = fer("explain", *(paths.get(argument, argument) for argument in arguments), "--out", "out")
    assert (ended.code, ended.out) == (code, "")
    assert len(ended.lines) == 1
    assert message in ended.err
    assert names(tmp_path) == []


def test_output_cannot_be_inside_the_inputs(checkpoint: Path, pictures: Path, tmp_path: Path) -> None:
    before = names(pictures)
    for out in (pictures / "out", pictures, checkpoint / "out"):
        with pytest.raises(UsageError, match=r"the output is inside the input|the output contains the input"):
            explain(checkpoint, pictures, out)
    assert names(pictures) == before


def test_weights_that_are_not_finite(tmp_path: Path, pictures: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", scale=float("nan"))
    with pytest.raises(DataError, match=r"classifier\.weight contains NaN"):
        explain(checkpoint, pictures, tmp_path / "out")
    with pytest.raises(DataError, match=r"classifier\.weight contains NaN"):
        fercli.explain(checkpoint, out=tmp_path / "out", method="weights")
    assert names(tmp_path) == ["checkpoint"]


def test_run_gives_the_name_and_its_best_checkpoint(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with build(tmp_path / "myrun", "run", "train", options={}, inputs=[]) as builder:
        make_checkpoint(builder.folder / "best", seed=1)
        make_checkpoint(builder.folder / "last", seed=2)
        builder.finish(digest="0")
    found = fercli.explain("myrun", str(pictures), device="cpu", limit=2)
    assert found.path.parent == tmp_path / "artifacts"
    assert found.path.name.startswith("explain-myrun-")
    assert found.manifest.inputs[0].path.endswith("myrun/best")
