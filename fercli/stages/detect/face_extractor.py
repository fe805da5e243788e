"""Finding and cutting the faces of one photograph, or of one video."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fercli.datasets.readers.base import Item
from fercli.errors import ImageError
from fercli.faces.base import Detector, Face
from fercli.faces.cropping import crop_face
from fercli.faces.tracking import FaceTracker, compute_appearance
from fercli.images import Pixels, encode_png, is_nearly_black, pixel_digest, read_image
from fercli.stages.detect.config import DetectConfig
from fercli.videos import Every, Video, is_video

NO_FACE = "no face"
BELOW_LIMITS = "faces below the limits"


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The faces of a photograph, or of one frame of a video.

    Attributes:
        faces: Those kept, the largest first; at least one.
        sha256: Pixel digest of each one's crop.
        frame: Number of the frame; None in a photograph.
        ids: Whose face each one is, within the video; none in a photograph.
    """

    faces: tuple[Face, ...]
    sha256: tuple[str, ...]
    frame: int | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """What came of a photograph or video.

    Attributes:
        split: Its split; empty where that is open.
        emotion: Its emotion; empty where it has none.
        name: What to call its faces.
        source: Its path within the source.
        seen: The pictures with a face: the photograph, or frames of the video.
        group: Pixel digest where the split is open: equal ones go into one.
        frames: Frames looked at; 0 for a photograph.
        left_out: Faces that are too small, or of too low a score.
        problem: Why there is none: `no face`, or why it cannot be read; empty where there is one.
        message: The line for people, where it cannot be read.
        dark: Whether it is a photograph that is nearly black.
    """

    split: str
    emotion: str
    name: str
    source: str
    seen: tuple[FrameFaces, ...] = ()
    group: str = ""
    frames: int = 0
    left_out: int = 0
    problem: str = ""
    message: str = ""
    dark: bool = False

    @property
    def faces(self) -> int:
        """How many faces there are in all its pictures."""
        return sum(len(one.faces) for one in self.seen)


class FaceExtractor:
    """Finds the faces of photographs and writes their crops.

    For threads, since decoding, detecting and warping all let go of Python's lock; each has a detector of its own.

    Args:
        folder: Where crops go until their places are known.
        config: The stage's options.
        create: Makes a detector.
    """

    def __init__(self, folder: Path, config: DetectConfig, create: Callable[[], Detector]) -> None:
        self._folder, self._config, self._create = folder, config, create
        self._own = threading.local()

    def find(self, number: int, item: Item) -> DetectionResult:
        """Read the photograph or video of a number, find its faces and write their crops."""
        assert item.file is not None
        own = item.split, item.emotion, item.name, item.source
        if item.problem:
            return DetectionResult(*own, problem=item.problem, message=f"{item.source}: {item.problem}")
        try:
            if is_video(item.file):
                return self._video(own, number, item.file, grouped=not item.split)
            return self._photograph(own, number, item.file, grouped=not item.split)
        except ImageError as error:
            return DetectionResult(*own, problem=error.reason, message=str(error))

    def _photograph(self, own: tuple[str, str, str, str], number: int, file: Path, grouped: bool) -> DetectionResult:
        pixels = read_image(file)
        faces, left_out = self._faces(pixels)
        seen = [FrameFaces(faces, self._cut(pixels, faces, number, None))] if faces else []
        group = pixel_digest(pixels) if grouped else ""
        problem, dark = _problem(bool(seen), left_out), is_nearly_black(pixels)
        return DetectionResult(*own, tuple(seen), group, left_out=left_out, problem=problem, dark=dark)

    def _video(self, own: tuple[str, str, str, str], number: int, file: Path, grouped: bool) -> DetectionResult:
        """Go through the frames that are taken, following each face from one to the next."""
        seen, frames, all_left_out = [], 0, 0
        group, follower = hashlib.sha256(), FaceTracker()
        with Video(file) as video:
            for frame, seconds, pixels in video.frames(Every.parse(self._config.every)):
                frames += 1
                faces, left_out = self._faces(pixels)
                all_left_out += left_out
                ids = follower.follow(
                    seconds, [face.box for face in faces], [compute_appearance(pixels, f) for f in faces]
                )
                if faces:
                    digests = self._cut(pixels, faces, number, frame)
                    seen.append(FrameFaces(faces, digests, frame, tuple(f"{one:04d}" for one in ids)))
                if grouped:
                    group.update(pixel_digest(pixels).encode())
        digest = group.hexdigest() if grouped else ""
        return DetectionResult(*own, tuple(seen), digest, frames, all_left_out, _problem(bool(seen), all_left_out))

    def _faces(self, pixels: Pixels) -> tuple[tuple[Face, ...], int]:
        """Return the faces of a picture that are wanted, and how many were left out for size or score."""
        if not hasattr(self._own, "detector"):
            self._own.detector = self._create()
        options = self._config
        found: list[Face] = self._own.detector.detect(pixels)
        low = -float("inf") if options.min_score is None else options.min_score
        kept = [face for face in found if min(face.box[2:]) >= options.min_size and face.score >= low]
        return tuple(kept[: 1 if options.faces == "largest" else None]), len(found) - len(kept)

    def _cut(self, pixels: Pixels, faces: tuple[Face, ...], number: int, frame: int | None) -> tuple[str, ...]:
        """Write the crops of a picture's faces; return their digests."""
        digests = []
        for k, face in enumerate(faces):
            crop = crop_with_options(pixels, face, self._config)
            place = staging_path(self._folder, number, frame, k)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(encode_png(crop))
            digests.append(pixel_digest(crop))
        return tuple(digests)


def crop_with_options(pixels: Pixels, face: Face, options: DetectConfig) -> Pixels:
    """Return a face as the options want it cut out."""
    return crop_face(pixels, face, options.size, options.color, options.margin, options.align)


def staging_path(folder: Path, number: int, frame: int | None, face: int) -> Path:
    """Return where a crop waits for its place. A folder holds those of a thousand photographs, or of one video."""
    thousand, rest = folder / f"{number // 1000:04d}", f"{number % 1000:03d}"
    return thousand / f"{rest}-{face}.png" if frame is None else thousand / rest / f"{frame:06d}-{face}.png"


def _problem(any_face: bool, left_out: int) -> str:
    return "" if any_face else BELOW_LIMITS if left_out else NO_FACE
