"""Served models: the numbers of predict and explain, limits, and threads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.errors import UsageError
from fercli.serving.config import ServeConfig
from fercli.serving.engine import ServedModel, unique_names
from tests.helpers.prediction import picture
from tests.helpers.serving import DETECTOR


def served(model: Path, **options: object) -> ServedModel:
    return ServedModel(model, ServeConfig.of(checkpoints=(model,), detector=DETECTOR, **options))


def test_recognises_what_predict_does(model: Path) -> None:
    pixels = picture(20, 90)
    found = served(model).recognise(pixels)
    expected = fercli.load(model).predict(pixels, detector=DETECTOR)
    assert (found.width, found.height, found.left_out) == (160, 60, 0)
    assert [row.face.box for row in found.rows if row.face] == [face.box for face in expected]
    assert [row.probabilities for row in found.rows] == [tuple(face.probabilities.values()) for face in expected]


@pytest.mark.parametrize(("faces", "count"), [("all", 2), ("largest", 1), ("crop", 1)])
def test_which_faces(model: Path, faces: str, count: int) -> None:
    found = served(model).recognise(picture(20, 90), faces)  # type: ignore[arg-type]
    assert len(found.rows) == count


def test_flip_is_averaged(model: Path) -> None:
    pixels = picture(20)
    plain, flipped = (served(model).recognise(pixels, tta=tta).rows[0] for tta in ("none", "flip"))  # type: ignore[arg-type]
    expected = fercli.load(model).predict(pixels, detector=DETECTOR, tta="flip")[0]
    assert plain.probabilities != flipped.probabilities == tuple(expected.probabilities.values())


def test_smaller_faces_beyond_the_limit_are_left_out(model: Path) -> None:
    found = served(model, max_faces=2).recognise(picture(0, 40, 80, 120))
    assert (len(found.rows), found.left_out) == (2, 2)


def test_a_picture_without_a_face(model: Path) -> None:
    assert served(model).recognise(picture()).rows == []


def test_threads_do_not_affect_each_other(model: Path) -> None:
    """Explaining hooks into a copy of the model, so predictions meanwhile are unchanged."""
    one = served(model)
    pictures = [picture(10 * n, seed=n) for n in range(8)]
    alone = [one.recognise(pixels).rows[0].probabilities for pixels in pictures]
    with ThreadPoolExecutor(4) as pool:
        explained = [pool.submit(one.explain, pixels) for pixels in pictures]
        together = list(pool.map(lambda pixels: one.recognise(pixels).rows[0].probabilities, pictures))
        assert {future.result().shape for future in explained} == {(256, 256, 3)}
    assert together == alone


def test_cameras_track_faces_separately(model: Path) -> None:
    one = served(model)
    first, second = one.camera(), one.camera()
    assert [row.face_id for row in first.recognise(picture(20, 90), 0.0).rows] == ["0001", "0002"]
    assert [row.face_id for row in first.recognise(picture(22, 91), 0.1).rows] == ["0001", "0002"]
    assert [row.face_id for row in second.recognise(picture(20), 0.0).rows] == ["0001"]


def test_the_evidence_depends_on_the_emotion(model: Path) -> None:
    one, pixels = served(model), picture(20, 90)
    heat = {emotion: one.explain(pixels, 1, emotion) for emotion in one.emotions}
    predicted = one.recognise(pixels).rows[1].emotion
    np.testing.assert_array_equal(one.explain(pixels, 1), heat[predicted])
    assert len({picture.tobytes() for picture in heat.values()}) > 1


@pytest.mark.parametrize(
    ("lefts", "face", "emotion", "message"),
    [
        ((), 0, None, "face 0: the picture has no face"),
        ((20,), 1, None, "face 1: the picture has one face"),
        ((20,), -1, None, "face -1: the picture has one face"),
        ((20,), 0, "hapy", "no emotion 'hapy'; did you mean happy"),
    ],
)
def test_nothing_to_explain(model: Path, lefts: tuple[int, ...], face: int, emotion: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        served(model).explain(picture(*lefts), face, emotion)


def test_the_card(model: Path) -> None:
    assert served(Path("ferplus")).card().startswith("# ferplus")


def test_names() -> None:
    paths = [Path("run-1"), Path("a/run"), Path("b/run"), Path("c/run"), Path("d/x/best")]
    assert unique_names(paths) == ["run-1", "run", "run-2", "run-3", "x"]
