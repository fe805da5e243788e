"""Pictures in forms."""

import tempfile
import time
from pathlib import Path

import pytest

from tests.helpers.prediction import picture
from tests.helpers.serving import client, encoded


@pytest.mark.parametrize(
    ("content", "kind", "detail"),
    [
        (b"", "multipart/form-data; boundary=x", "no file"),
        (b"--x", "multipart/form-data", "boundary|damaged"),
        (b"nothing of the kind", "multipart/form-data; boundary=x", "form"),
        (
            b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            "no file",
        ),
        (
            b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            "empty",
        ),
    ],
)
def test_forms_without_a_picture(model: Path, content: bytes, kind: str, detail: str) -> None:
    answer = client(model).post("/v1/predict", content=content, headers={"content-type": kind})
    assert answer.status_code == 400
    assert any(word in answer.json()["detail"] for word in detail.split("|")), answer.json()


def test_the_sender_does_not_choose_how_names_are_decoded(model: Path) -> None:
    """Decoding punycode takes quadratic time, and no other request is answered meanwhile."""
    data = encoded(picture(20))
    head = b'--x\r\ncontent-disposition: form-data; name="a"\r\n\r\naaa-' + b"a" * 500_000
    head += b'\r\n--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
    kind = "multipart/form-data; charset=punycode; boundary=x"
    started = time.perf_counter()
    answer = client(model).post("/v1/predict", content=head + data + b"\r\n--x--\r\n", headers={"content-type": kind})
    assert answer.status_code == 200
    assert time.perf_counter() - started < 10


def test_one_picture_at_a_time(model: Path) -> None:
    data = encoded(picture(20))
    answer = client(model).post("/v1/predict", files=[("file", ("a", data)), ("file", ("b", data))])
    assert answer.status_code == 400
    assert "one picture" in answer.json()["detail"]


def test_a_large_picture_never_reaches_the_disk(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("a file was made")

    data = encoded(picture(20, height=1200, width=1600), "BMP")
    assert len(data) > 2**20  # from which on the parser would write it to disk
    monkeypatch.setattr(tempfile, "TemporaryFile", forbidden)
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", forbidden)
    assert client(model).post("/v1/predict", files={"file": ("a.bmp", data)}).status_code == 200
