"""The answers of the JSON API."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import BaseModel, Field

from fercli.report.style import line_styles
from fercli.serving.engine import Recognised, ServedModel


class Face(BaseModel):
    """A face of a picture."""

    box: tuple[float, float, float, float] = Field(description="Left, top, width and height in the picture, pixels.")
    score: float | None = Field(description="The detector's confidence, on its own scale; null for a face crop.")
    landmarks: list[tuple[float, float]] | None = Field(
        description="Eyes, nose tip and corners of the mouth (x, y), or the eyes alone; null if the detector has none."
    )
    id: str | None = Field(description="Of a camera or film, the number of the person; null in a picture.")
    emotion: str = Field(description="The most probable emotion.")
    probabilities: dict[str, float] = Field(description="Probability of each emotion; they sum to 1.")


class Prediction(BaseModel):
    """The faces of a picture, the largest first."""

    model: str
    width: int = Field(description="Width of the picture, pixels, after its EXIF orientation was applied.")
    height: int
    faces: list[Face]
    left_out: int = Field(description="Number of smaller faces beyond the server's limit.")


class Frame(Prediction):
    """The faces of a frame of a camera or film."""

    time: float = Field(description="The time that was sent with the frame, seconds.")
    dropped: int = Field(description="Frames so far that were replaced by newer ones before their turn came.")


class Problem(BaseModel):
    """Why a request was not answered, in one line."""

    detail: str


class Health(BaseModel):
    """That the server answers."""

    status: Literal["ok"] = "ok"


class ModelInfo(BaseModel):
    """A model of the server."""

    name: str
    architecture: str
    digest: str = Field(description="SHA-256 over its files.")
    emotions: list[str]
    colors: dict[str, str] = Field(description="The colour of each emotion in fercli's plots.")
    explains: bool = Field(description="Whether /v1/explain works; exported models have no gradients.")


class Limits(BaseModel):
    """What the server accepts."""

    megabytes: float
    megapixels: float
    faces: int


class Models(BaseModel):
    """The server's models, the default first."""

    models: list[ModelInfo]
    limits: Limits


def prediction_of(found: Recognised, model: str, emotions: list[str]) -> Prediction:
    """Return the faces as an answer."""
    faces = []
    for row in found.rows:
        assert row.face is not None
        left, top, width, height = (round(value, 1) for value in row.face.box)
        landmarks = row.face.landmarks
        faces.append(
            Face(
                box=(left, top, width, height),
                score=None if math.isnan(row.face.score) else round(row.face.score, 4),
                landmarks=landmarks and [(round(x, 1), round(y, 1)) for x, y in landmarks],
                id=row.face_id or None,
                emotion=row.emotion,
                probabilities=dict(zip(emotions, (round(p, 6) for p in row.probabilities), strict=True)),
            )
        )
    return Prediction(model=model, width=found.width, height=found.height, faces=faces, left_out=found.left_out)


def info_of(name: str, model: ServedModel) -> ModelInfo:
    """Return what a model is."""
    styles = line_styles(model.emotions)
    return ModelInfo(
        name=name,
        architecture=model.checkpoint.metadata.architecture,
        digest=model.checkpoint.digest,
        emotions=model.emotions,
        colors={emotion: style.color for emotion, style in styles.items()},
        explains=model.explains,
    )
