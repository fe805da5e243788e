"""Whether the whole graph finds the faces that `fer predict --detector yunet` finds, with the same probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from fercli.errors import FerError
from fercli.faces.cropping import crop_face
from fercli.faces.yunet import YuNet
from fercli.images import Color, Pixels, as_color
from fercli.stages.export.faces import drawn_photographs
from fercli.stages.export.parity import Predict
from fercli.stages.export.photograph.whole import Faces
from fercli.stages.export.summary import PhotographsSummary

BOX_LIMIT = 1.0
"""The largest difference of a box that is accepted, in pixels."""
LIMIT = 1e-3
"""The largest difference of a probability that is accepted."""


def photographs() -> Iterator[Pixels]:
    """Yield drawn photographs, also reduced and enlarged, turned, grey, and without a face."""
    for number, pixels in enumerate(drawn_photographs()):
        yield pixels
        height, width = pixels.shape[:2]
        if number == 0:
            yield np.zeros((90, 120, 3), np.uint8)
            yield as_color(as_color(pixels, "gray"), "rgb")
            yield np.ascontiguousarray(np.rot90(pixels))  # a face on its side: it may or may not be found
        elif number == 1:
            yield np.ascontiguousarray(pixels[::2, ::2])
        elif number == 2:  # it is reduced by a factor that is no whole number, and its faces in blocks
            yield np.asarray(cv2.resize(pixels, (round(2.7 * width), round(2.7 * height))), np.uint8)
        elif number == 3:  # the square around a face reaches beyond the edge
            yield np.ascontiguousarray(pixels[height // 6 :, width // 6 :])


def compare_photographs(
    session: Callable[[Pixels], Faces], classifier: Predict, weights: Path, size: int, color: Color
) -> PhotographsSummary:
    """Compare on drawn photographs.

    Args:
        session: Runs the file that takes photographs.
        classifier: The exported model, from RGB faces to probabilities.
        weights: YuNet's file.
        size: Side of the faces that the model was trained on.
        color: Their color.

    Raises:
        FerError: the faces or their probabilities differ, or there are none to compare.
    """
    detector = YuNet(weights)
    count = faces = 0
    boxes = probabilities = 0.0
    for count, pixels in enumerate(photographs(), 1):
        expected, found = detector.detect(pixels), session(pixels)
        if len(expected) != len(found.boxes):
            raise FerError(_differs(count, f"{len(found.boxes)} faces instead of {len(expected)}"))
        if not expected:
            continue
        faces += len(expected)
        crops = np.stack([as_color(crop_face(pixels, face, size, color), "rgb") for face in expected])
        box = float(np.abs(np.array([face.box for face in expected]) - found.boxes).max())
        probability = float(np.abs(classifier(crops) - found.probabilities).max())
        if not box <= BOX_LIMIT:  # also if it is not a number
            raise FerError(_differs(count, f"a box lies {box:.2f} pixels apart (accepted: {BOX_LIMIT:g})"))
        if not probability <= LIMIT:
            raise FerError(_differs(count, f"a probability differs by {probability:.4f} (accepted: {LIMIT:g})"))
        boxes, probabilities = max(boxes, box), max(probabilities, probability)
    if not faces:
        raise FerError("with-detector: YuNet found no face in the drawn photographs, so nothing could be compared")
    return PhotographsSummary(n=count, faces=faces, largest_box=boxes, largest_probability=probabilities)


def _differs(number: int, how: str) -> str:
    return (
        f"the file for photographs differs from fer predict --detector yunet: in drawn photograph {number}, {how}. "
        f"Nothing was written; please report it with the version of OpenCV, {cv2.__version__}"
    )
