"""A loaded model: the probabilities of evaluate and predict, for every form of a photograph, from several threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fercli
from fercli.errors import DataError, UsageError
from fercli.evaluation.predicting import predict_images
from fercli.images import read_image
from fercli.models.checkpoints import load_checkpoint
from fercli.stages.predict import detection
from tests.helpers.datasets import names, write_tree
from tests.helpers.prediction import EMOTIONS, Squares, picture
from tests.helpers.videos import film

RGB = picture(5, 80, seed=1)


@pytest.fixture
def model(checkpoint: Path) -> fercli.Model:
    return fercli.load(checkpoint, device="cpu")


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "photographs", {"a.png": RGB}) / "a.png"


def test_attributes(checkpoint: Path, model: fercli.Model) -> None:
    loaded = load_checkpoint(checkpoint)
    assert model.emotions == EMOTIONS
    assert not model.module.training
    x = model.preprocessing(torch.zeros(2, 1, 24, 24, dtype=torch.uint8))
    assert model.module(x).shape == (2, 3)
    assert model.preprocessing == loaded.metadata.preprocessing
    assert repr(model) == f"Model({str(checkpoint)!r}: quick, 3 emotions)"


def test_faces_are_those_of_predict(checkpoint: Path, model: fercli.Model, photograph: Path) -> None:
    rows = fercli.predict(checkpoint, photograph, tta="flip", device="cpu").rows
    faces = model.predict(photograph, tta="flip")
    assert len(faces) == len(rows) == 2
    for face, row in zip(faces, rows, strict=True):
        assert row.face is not None
        assert (face.emotion, face.box, face.score) == (row.emotion, row.face.box, row.face.score)
        assert list(face.probabilities) == EMOTIONS
        assert tuple(face.probabilities.values()) == row.probabilities
        assert face.emotion == max(face.probabilities, key=face.probabilities.__getitem__)


def test_every_form_of_a_photograph(model: fercli.Model, photograph: Path) -> None:
    tensor = torch.from_numpy(RGB).permute(2, 0, 1)
    expected = [face.probabilities for face in model.predict(str(photograph))]
    for source in (photograph, RGB, tensor, Image.fromarray(RGB), [photograph], [RGB], photograph.parent):
        assert [face.probabilities for face in model.predict(source)] == expected
    several = model.predict([photograph, RGB, picture(seed=2), Image.fromarray(RGB)])
    assert [face.source for face in several] == [str(photograph)] * 2 + ["1"] * 2 + ["3"] * 2
    assert several.without_face == ["2"]
    assert [face.probabilities for face in several] == expected * 3


def test_videos_and_unreadable_files(model: fercli.Model, tmp_path: Path) -> None:
    movie = film(tmp_path / "film.mp4", [picture(16)] * 4)
    faces = model.predict(movie, every="2f")
    assert [(face.frame, face.face_id) for face in faces] == [(0, "0001"), (2, "0001")]
    assert faces[1].time == pytest.approx(0.2)
    (tmp_path / "broken.jpg").write_bytes(b"not an image")
    found = model.predict([RGB, tmp_path / "broken.jpg"])
    assert found.skipped == {"not an image": [str(tmp_path / "broken.jpg")]}
    with pytest.raises(DataError, match="nothing could be read"):
        model.predict(tmp_path / "broken.jpg")
    with pytest.raises(DataError, match="no such file"):
        model.predict(tmp_path / "none.jpg")
    with pytest.raises(UsageError, match="values of type float64"):
        model.predict(RGB / 255)
    with pytest.raises(UsageError, match="predict: tta"):
        model.predict(RGB, tta="often")  # type: ignore[arg-type]


def test_wrong_options_are_one_clear_line(model: fercli.Model, photograph: Path, tmp_path: Path) -> None:
    faces = np.zeros((1, 24, 24), np.uint8)
    for call, message in (
        (lambda: model.predict(RGB, device="cpu"), r"no option device; choose it in fercli\.load"),
        (lambda: model.predict(RGB, csv="a.csv"), r"no option csv; the options are batch_size, "),
        (lambda: model.predict_faces(faces, tta="flipp"), "tta: input should be"),
        (lambda: model.predict_faces(faces, batch_size=0), "batch-size: input should be"),
        (lambda: model.predict([RGB, RGB]).draw(tmp_path / "a.jpg"), r"a\.jpg: there are several photographs"),
    ):
        with pytest.raises(UsageError, match=message):
            call()
    assert len(model.predict([])) == 0
    assert names(tmp_path) == ["photographs"]


def test_module_remains_usable_after_a_prediction(model: fercli.Model) -> None:
    model.predict(RGB)
    x = model.preprocessing(torch.zeros(2, 1, 24, 24, dtype=torch.uint8))
    model.module(x).sum().backward()
    assert not any(p.is_inference() for p in model.module.parameters())


def test_array_may_be_reused_before_drawing(model: fercli.Model, tmp_path: Path) -> None:
    buffer = RGB.copy()
    faces = model.predict(buffer)
    buffer[:] = 0
    faces.draw(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[30:].mean() > 20


def test_crops_have_the_probabilities_of_evaluate(checkpoint: Path, model: fercli.Model) -> None:
    faces = np.random.default_rng(0).integers(0, 256, (7, 24, 24), np.uint8)
    expected = predict_images(load_checkpoint(checkpoint), faces, device=torch.device("cpu"), tta="flip")
    assert np.array_equal(model.predict_faces(faces, tta="flip"), expected)
    assert np.array_equal(model.predict_faces(torch.from_numpy(faces), tta="flip", batch_size=2), expected)
    assert np.allclose(model.predict_faces(list(faces), tta="flip"), expected, atol=1e-6)
    assert model.predict_faces(faces[:0]).shape == (0, 3)
    mixed = model.predict_faces([faces[0], picture(5), faces[1]])
    assert mixed.sum(1) == pytest.approx(np.ones(3))
    assert np.allclose(mixed[[0, 2]], model.predict_faces(faces[:2]), atol=1e-6)


def test_temperature_divides_the_logits(model: fercli.Model, tmp_path: Path) -> None:
    from tests.helpers.prediction import save_model

    cold = fercli.load(save_model(tmp_path / "cold", temperature=0.5), device="cpu")
    faces = np.random.default_rng(0).integers(0, 256, (4, 24, 24), np.uint8)
    squared = model.predict_faces(faces) ** 2
    assert cold.temperature == 0.5
    assert np.allclose(cold.predict_faces(faces), squared / squared.sum(1, keepdims=True), atol=1e-5)


def test_threads(model: fercli.Model) -> None:
    pictures = [picture(5, 80, seed=seed) for seed in range(12)]
    expected = [[face.probabilities for face in model.predict(one)] for one in pictures]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda one: [face.probabilities for face in model.predict(one)], pictures * 2))
    assert found == expected * 2


def test_detector_is_created_once(model: fercli.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    created: list[str] = []

    def create(name: str, weights: object) -> Squares:
        created.append(name)
        return Squares()

    monkeypatch.setattr(detection, "create_detector", create)
    for _ in range(3):
        model.predict(RGB)
    assert len(created) == 1


def test_drawing(model: fercli.Model, photograph: Path, tmp_path: Path) -> None:
    faces = model.predict(photograph)
    assert faces.draw(tmp_path / "drawn.png") == tmp_path / "drawn.png"
    drawn = read_image(tmp_path / "drawn.png")
    assert drawn.shape == RGB.shape
    assert not np.array_equal(drawn, RGB)
    with pytest.raises(UsageError, match="already exists"):
        faces.draw(tmp_path / "drawn.png")
    faces.draw(tmp_path / "drawn.png", overwrite=True)
    model.predict(RGB).draw(tmp_path / "array.png")
    assert np.array_equal(read_image(tmp_path / "array.png"), drawn)
    model.predict([photograph, RGB, photograph]).draw(tmp_path / "several")
    assert names(tmp_path / "several") == ["1.png", "a-2.png", "a.png"]
    assert names(photograph.parent) == ["a.png"]  # nothing beside the source


def test_notebook_shows_the_faces(model: fercli.Model, photograph: Path) -> None:
    faces = model.predict(photograph)
    html = faces._repr_html_()
    assert "2 faces" in html
    assert html.count('<img src="data:image/png;base64,') == 1
    photograph.unlink()
    assert "<img" not in faces._repr_html_()
    assert repr(model.predict(picture(seed=2))) == "<0 faces>"


def test_table(model: fercli.Model, photograph: Path) -> None:
    pandas = pytest.importorskip("pandas")
    faces = model.predict(photograph)
    frame = faces.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == [
        "source", "frame", "time", "face_id", "left", "top", "width", "height", "score", "emotion", *EMOTIONS
    ]  # fmt: skip
    assert frame["emotion"].tolist() == [face.emotion for face in faces]
    assert frame["left"].tolist() == [5.0, 80.0]
    assert list(model.predict(picture(seed=2)).to_pandas().columns) == list(frame.columns)


def test_wrong_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        fercli.load(tmp_path)
    with pytest.raises(DataError, match="nothing"):
        fercli.load("nothing")
