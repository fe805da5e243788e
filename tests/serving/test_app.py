"""The JSON API and the page's files."""

import json
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.images import decode
from tests.helpers.prediction import EMOTIONS, picture
from tests.helpers.serving import DETECTOR, client, encoded

PICTURE = encoded(picture(20, 90))


def test_models(model: Path) -> None:
    answer = client(model).get("/v1/models").json()
    (one,) = answer["models"]
    assert (one["name"], one["architecture"], one["emotions"], one["explains"]) == ("run", "quick", EMOTIONS, True)
    assert set(one["colors"]) == set(EMOTIONS)
    assert answer["limits"] == {"megabytes": 20.0, "megapixels": 50.0, "faces": 100}


@pytest.mark.parametrize("form", [False, True])
def test_predict(model: Path, form: bool) -> None:
    one = client(model)
    sent = {"files": {"file": ("a.png", PICTURE, "image/png")}} if form else {"content": PICTURE}
    answer = one.post("/v1/predict", **sent).json()  # type: ignore[arg-type]
    expected = fercli.load(model).predict(picture(20, 90), detector=DETECTOR)
    assert {name: answer[name] for name in ("model", "width", "height", "left_out")} == {
        "model": "run",
        "width": 160,
        "height": 60,
        "left_out": 0,
    }
    assert [face["box"] for face in answer["faces"]] == [[20, 10, 30, 30], [90, 10, 30, 30]]
    assert [face["emotion"] for face in answer["faces"]] == [face.emotion for face in expected]
    for face, other in zip(answer["faces"], expected, strict=True):
        assert face["probabilities"] == pytest.approx(other.probabilities, abs=1e-6)
        assert (face["id"], face["landmarks"], face["score"]) == (None, None, other.score)


def test_a_face_crop_has_no_score(model: Path) -> None:
    (face,) = client(model).post("/v1/predict?faces=crop", content=PICTURE).json()["faces"]
    assert (face["score"], face["box"]) == (None, [0, 0, 160, 60])


def test_explain(model: Path) -> None:
    answer = client(model).post("/v1/explain?face=1&emotion=sad", content=PICTURE)
    assert answer.headers["content-type"] == "image/png"
    assert decode(answer.content, "heat").shape == (256, 256, 3)


@pytest.mark.parametrize(
    ("call", "content", "status", "detail"),
    [
        ("predict", b"", 400, "no picture"),
        ("predict", b"text", 400, "not an image"),
        ("predict", PICTURE[:200], 400, "truncated|unreadable"),
        ("predict?model=runn", PICTURE, 422, "no model 'runn'; did you mean run"),
        ("predict?faces=some", PICTURE, 422, "faces: Input should be"),
        ("predict?tta=ten-crop", PICTURE, 422, "tta: Input should be"),
        ("explain?face=-1", PICTURE, 422, "face: Input should be"),
        ("explain?face=7", PICTURE, 422, "the picture has 2 faces"),
        ("explain?face=x", PICTURE, 422, "face: Input should be a valid integer"),
        ("explain?emotion=joy", PICTURE, 422, "no emotion 'joy'"),
    ],
)
def test_invalid_requests(model: Path, call: str, content: bytes, status: int, detail: str) -> None:
    answer = client(model).post(f"/v1/{call}", content=content)
    assert answer.status_code == status
    assert list(answer.json()) == ["detail"]
    assert pytest.importorskip("re").search(detail, answer.json()["detail"])
    assert "\n" not in answer.json()["detail"]


def test_pictures_of_too_many_pixels(model: Path) -> None:
    one = client(model, max_megapixels=0.01)
    assert one.post("/v1/predict", content=encoded(np.zeros((99, 99), np.uint8))).status_code == 200
    answer = one.post("/v1/predict", content=encoded(np.zeros((101, 101), np.uint8)))
    assert answer.status_code == 413
    assert "the limit is 0.01 million" in answer.json()["detail"]


def test_the_card_is_markdown_and_on_the_page_escaped(model: Path) -> None:
    one = client(model)
    assert one.get("/v1/card").text.startswith("# run")
    html = one.get("/card?model=run").text
    assert "<h1>run</h1>" in html
    assert "&lt;b&gt;bold" in html


def test_the_page_and_its_files(model: Path) -> None:
    one = client(model)
    page = one.get("/").text
    assert "http://" not in page
    assert "https://" not in page
    for name, kind in (("main.js", "text/javascript"), ("style.css", "text/css"), ("icon.svg", "image/svg+xml")):
        answer = one.get(f"/page/{name}")
        assert answer.headers["content-type"].startswith(kind)
    for name in ("nothing.js", "..%2fapp.py", "%2e%2e/app.py"):
        assert one.get(f"/page/{name}").status_code == 404


def test_the_api_is_described(model: Path) -> None:
    described = client(model).get("/openapi.json").json()
    assert set(described["paths"]) == {"/healthz", "/v1/models", "/v1/card", "/v1/predict", "/v1/explain"}
    post = described["paths"]["/v1/predict"]["post"]
    assert {"image/jpeg", "multipart/form-data"} <= set(post["requestBody"]["content"])
    assert "429" in post["responses"]
    assert "http" not in json.dumps(described["paths"])
