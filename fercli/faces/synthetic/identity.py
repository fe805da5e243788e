"""The identity of a synthetic face: everything that does not change with its expression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fercli.faces.synthetic.canvas import Color, luma, mix_colors, scale_color

_SKINS: tuple[Color, ...] = (
    (248, 214, 192),
    (241, 198, 168),
    (229, 178, 142),
    (212, 156, 116),
    (188, 132, 94),
    (162, 108, 74),
    (144, 95, 67),
    (126, 83, 59),
)
_HAIRS: tuple[Color, ...] = (
    (30, 26, 27),
    (44, 33, 29),
    (66, 46, 34),
    (98, 66, 44),
    (140, 98, 60),
    (198, 162, 108),
    (150, 76, 42),
    (148, 146, 145),
    (196, 192, 186),
)
_IRISES: tuple[Color, ...] = ((70, 44, 26), (92, 60, 34), (60, 38, 26), (78, 110, 140), (90, 116, 84), (104, 112, 118))

STYLES = ("bald", "cropped", "short", "parted", "fringe", "long", "curly", "bun")
BEARDS = ("stubble", "moustache", "goatee", "full")


@dataclass(frozen=True, slots=True)
class Identity:
    """One person. Lengths are in face units (half the face's width), relative sizes around 1.

    Attributes:
        skin, hair, brow, lips, iris, frame: Colours.
        style: Hair style, one of `STYLES`.
        side: Side of the parting, -1 or 1.
        beard: One of `BEARDS`, or empty.
        glasses: "round", "square", or empty.
        forehead, jaw, chin, length: Shape of the head.
        eye_distance: Distance from the midline to an eye's centre.
        eye_size, eye_slant, brow_height, brow_width, brow_slope, nose_width, nose_length: Shape of the features.
        mouth_width, lip_size, mouth_slope: Shape of the mouth at rest.
        age: 0..1; lines deepen with it.
        asymmetry: Difference between the two sides' brows and mouth corners.
        seed: Seed of the hair strands and other details.
    """

    skin: Color
    hair: Color
    brow: Color
    lips: Color
    iris: Color
    frame: Color
    style: str
    side: int
    beard: str
    glasses: str
    forehead: float
    jaw: float
    chin: float
    length: float
    eye_distance: float
    eye_size: float
    eye_slant: float
    brow_height: float
    brow_width: float
    brow_slope: float
    nose_width: float
    nose_length: float
    mouth_width: float
    lip_size: float
    mouth_slope: float
    age: float
    asymmetry: float
    seed: int


def sample_identity(generator: np.random.Generator) -> Identity:
    """Sample a random person."""

    def around(middle: float, spread: float) -> float:
        return float(np.clip(generator.normal(middle, spread), middle - 2 * spread, middle + 2 * spread))

    tone = generator.uniform(0, len(_SKINS) - 1)
    low = min(int(tone), len(_SKINS) - 2)
    skin = scale_color(mix_colors(_SKINS[low], _SKINS[low + 1], tone - low), around(1, 0.02))
    age = float(generator.beta(1.5, 2.5))
    # Dark skin implies dark hair, unless it is grey with age.
    greying = generator.random() < 0.7 * age**2
    number = (
        int(generator.integers(7, 9 if tone < 3.5 else 8))
        if greying
        else int(generator.integers(0, 7 if tone < 3 else 4))
    )
    hair = scale_color(_HAIRS[number], around(1, 0.08))
    style = STYLES[int(generator.choice(len(STYLES), p=[0.07, 0.12, 0.19, 0.16, 0.12, 0.16, 0.11, 0.07]))]
    bearded = style in STYLES[:4] and generator.random() < 0.34
    lips = mix_colors(scale_color(skin, 0.8), (168, 62, 66), generator.uniform(0.3, 0.6))
    if not bearded and generator.random() < 0.25:
        lips = mix_colors(lips, (176, 32, 58), 0.6)
    return Identity(
        skin=skin,
        hair=hair,
        brow=_brow(hair, skin),
        lips=lips,
        iris=_IRISES[int(generator.integers(0, len(_IRISES) if tone < 3 else 3))],
        frame=((30, 28, 30), (92, 54, 34), (128, 130, 138), (112, 30, 40))[int(generator.integers(4))],
        style=style,
        side=int(generator.choice((-1, 1))),
        beard=BEARDS[int(generator.integers(len(BEARDS)))] if bearded else "",
        glasses=("round", "square")[int(generator.integers(2))] if generator.random() < 0.1 else "",
        forehead=around(1, 0.03),
        jaw=around(0.82, 0.045),
        chin=around(0.4, 0.05),
        length=around(1.42, 0.06),
        eye_distance=around(0.43, 0.018),
        eye_size=around(1, 0.07),
        eye_slant=around(0.015, 0.02),
        brow_height=around(0.3, 0.02),
        brow_width=around(0.072, 0.014),
        brow_slope=around(0, 0.025),
        nose_width=around(1, 0.11),
        nose_length=around(0.6, 0.03),
        mouth_width=around(0.38, 0.03),
        lip_size=around(1, 0.17),
        mouth_slope=around(-0.012, 0.01),
        age=age,
        asymmetry=around(0, 0.012),
        seed=int(generator.integers(2**32)),
    )


def _brow(hair: Color, skin: Color) -> Color:
    """Return the colour of the brows: as the hair, but always darker than the skin."""
    brow = scale_color(hair, 0.85)
    limit = 0.52 * luma(skin)
    return brow if luma(brow) <= limit else scale_color(brow, limit / luma(brow))
