"""Faces follow their action units."""

from dataclasses import replace

import numpy as np
import pytest

from fercli.faces.action_units import UNITS
from fercli.faces.synthetic.canvas import Pose
from fercli.faces.synthetic.eyes import brow_line, eyelids
from fercli.faces.synthetic.face import Light, RenderedFace, render_face
from fercli.faces.synthetic.head import chin_height
from fercli.faces.synthetic.identity import BEARDS, STYLES, Identity, sample_identity
from fercli.faces.synthetic.mouth import mouth_shape

LIGHT = Light((0.2, -0.3, 1.0), 0.6)
STRAIGHT = Pose()
REST = dict.fromkeys(UNITS, 0.0)
PEOPLE = [sample_identity(np.random.default_rng(k)) for k in range(6)]


def strengths(*numbers: int) -> dict[int, float]:
    return REST | dict.fromkeys(numbers, 1.0)


def render(person: Identity, *numbers: int, pose: Pose = STRAIGHT, width: float = 100) -> RenderedFace:
    return render_face(person, strengths(*numbers), pose, width, LIGHT)


@pytest.mark.parametrize("person", PEOPLE)
def test_brows_lids_and_mouth_follow_their_units(person: Identity) -> None:
    def brow(*numbers: int) -> np.ndarray:
        return brow_line(person, strengths(*numbers), 1)[:, 1]

    def opening(*numbers: int) -> float:
        top, bottom = eyelids(person, strengths(*numbers), 1)
        return float((bottom - top)[:, 1].max())

    rest, mouth = brow(), mouth_shape(person, REST)
    middle = len(mouth.upper_inner) // 2
    assert rest[0] - brow(1)[0] > 0.1 > rest[-1] - brow(1)[-1]  # raises the inner part, hardly the outer one
    assert rest[-1] - brow(2)[-1] > 0.1 > rest[0] - brow(2)[0]
    assert brow(4)[0] > rest[0] + 0.05
    assert abs(brow_line(person, strengths(4), 1)[0, 0]) < abs(brow_line(person, REST, 1)[0, 0])  # knit
    assert opening(5) > opening() > opening(7)
    assert opening() > opening(6)
    assert opening() > opening(9)

    def lips(*numbers: int) -> tuple[float, float, float, float]:
        """Return corner height, width, gap and thickness."""
        shape = mouth_shape(person, strengths(*numbers))
        gap = shape.lower_inner[middle, 1] - shape.upper_inner[middle, 1]
        thick = shape.lower_outer[middle, 1] - shape.upper_outer[middle, 1] - gap
        return (*shape.corners.mean(axis=0)[1:], float(np.ptp(shape.corners[:, 0])), float(gap), float(thick))

    corner, wide, gap, thick = lips()
    assert gap == pytest.approx(0)
    assert lips(12)[0] < corner < lips(15)[0]
    assert lips(23)[1] < wide < min(lips(12)[1], lips(20)[1])
    assert lips(23)[3] < thick
    assert lips(25)[2] > 0.03
    assert lips(25, 26)[2] > lips(25)[2]
    assert chin_height(person, strengths(26)) > chin_height(person, REST) > chin_height(person, strengths(17))


def test_every_unit_changes_the_image() -> None:
    person = PEOPLE[1]
    still = render(person).pixels
    for number in UNITS:
        change = np.abs(render(person, number).pixels - still).sum()
        assert change > 3000, number


@pytest.mark.slow
def test_every_style_renders_differently() -> None:
    pictures = [render(replace(PEOPLE[0], style=style, beard="", glasses="")) for style in STYLES]
    pictures += [render(replace(PEOPLE[0], style="short", beard=beard)) for beard in BEARDS]
    pictures += [render(replace(PEOPLE[0], style="short", glasses=kind)) for kind in ("round", "square")]
    for k, face in enumerate(pictures):
        assert np.isfinite(face.pixels).all()
        assert all(np.abs(face.pixels - other.pixels).mean() > 0.05 for other in pictures[:k])


@pytest.mark.parametrize("width", [24, 90, 133.3, 260])
@pytest.mark.parametrize("roll", [0.0, 0.2])
def test_size_box_and_landmarks_are_consistent(width: float, roll: float) -> None:
    for person in PEOPLE[:3]:
        face = render(person, 12, pose=Pose(0.15, 0.05, roll), width=width)
        left, top, wide, high = face.box
        assert wide == pytest.approx(width)
        assert 0.8 < high / wide < 1.25
        eye1, eye2, nose, mouth1, mouth2 = face.landmarks
        assert ((face.landmarks > (left, top)) & (face.landmarks < (left + wide, top + high))).all()
        assert eye1[0] < eye2[0]
        assert mouth1[0] < mouth2[0]
        assert max(eye1[1], eye2[1]) < nose[1] < (mouth1[1] + mouth2[1]) / 2
        slope = (eye2 - eye1)[1] / (eye2 - eye1)[0]
        assert slope == pytest.approx(np.tan(roll), abs=0.03)
        height, across = face.pixels.shape[:2]
        assert 0 < left < left + wide < across
        assert 0 < top < top + high < height


def test_eye_landmarks_lie_on_the_irises() -> None:
    """The iris and pupil at each eye landmark are darker than the cheek below."""
    for person in PEOPLE:
        face = render(person, 5, pose=Pose(0.1, 0, 0.1), width=200)
        grey = face.pixels[..., :3].mean(axis=2)
        for x, y in face.landmarks[:2].round().astype(int):
            iris = grey[y - 5 : y + 6, x - 5 : x + 6].min()
            cheek = grey[y + 35 : y + 45, x - 5 : x + 6].mean()
            assert iris < 0.5 * cheek


def test_identities_are_reproducible_and_varied() -> None:
    assert sample_identity(np.random.default_rng(3)) == sample_identity(np.random.default_rng(3))
    many = [sample_identity(np.random.default_rng(k)) for k in range(200)]
    assert {person.style for person in many} == set(STYLES)
    assert {person.beard for person in many} == {"", *BEARDS}
    assert {person.glasses for person in many} == {"", "round", "square"}
    assert len({person.skin for person in many}) == 200
