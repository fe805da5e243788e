"""Detecting and cropping the faces of one photograph or video."""

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
from fercli.videos.cuts import is_cut, scene_of

NO_FACE = "no face"
BELOW_LIMITS = "faces below the limits"


@dataclass(frozen=True, slots=True)
class FrameFaces:
    """The faces in a photograph, or in one frame of a video.

    Attributes:
        faces: The faces kept, largest first; at least one.
        sha256: Pixel digest of each face's crop.
        frame: Frame number; None for a photograph.
        ids: Track ID of each face within the video; empty for a photograph.
    """

    faces: tuple[Face, ...]
    sha256: tuple[str, ...]
    frame: int | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """The result for a photograph or video.

    Attributes:
        split: Its split; empty if not yet assigned.
        emotion: Its emotion; empty if unlabelled.
        name: Base name for its crops.
        source: Its path within the source.
        seen: The pictures with a face: the photograph, or frames of the video.
        group: Pixel digest if the split is not yet assigned: equal ones go into the same split.
        frames: Number of frames processed; 0 for a photograph.
        left_out: Number of faces below the size or score limit.
        problem: Why it has no face: `no face`, or why it cannot be read; empty if it has one.
        message: The error message if it cannot be read.
        dark: Whether it is a nearly black photograph.
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
        """The number of faces in all its pictures."""
        return sum(len(one.faces) for one in self.seen)


class FaceExtractor:
    """Detects the faces in photographs and videos and writes their crops.

    Used by several threads, each with its own detector: decoding, detection and warping all release the GIL.

    Args:
        folder: Staging folder for crops, until their final paths are known.
        config: The stage's options.
        create: Creates a detector.
    """

    def __init__(self, folder: Path, config: DetectConfig, create: Callable[[], Detector]) -> None:
        self._folder, self._config, self._create = folder, config, create
        self._local = threading.local()
        self._made: set[Path] = set()

    def extract(self, number: int, item: Item) -> DetectionResult:
        """Read a numbered photograph or video, detect its faces and write their crops."""
        assert item.file is not None
        labels = item.split, item.emotion, item.name, item.source
        if item.problem:
            return DetectionResult(*labels, problem=item.problem, message=f"{item.source}: {item.problem}")
        try:
            if is_video(item.file):
                return self._video(labels, number, item.file, grouped=not item.split)
            return self._photograph(labels, number, item.file, grouped=not item.split)
        except ImageError as error:
            return DetectionResult(*labels, problem=error.reason, message=str(error))

    def _photograph(self, labels: tuple[str, str, str, str], number: int, file: Path, grouped: bool) -> DetectionResult:
        pixels = read_image(file)
        faces, left_out = self._faces(pixels)
        seen = [FrameFaces(faces, self._write_crops(pixels, faces, number, None))] if faces else []
        group = pixel_digest(pixels) if grouped else ""
        problem, dark = _problem(bool(seen), left_out), is_nearly_black(pixels)
        return DetectionResult(*labels, tuple(seen), group, left_out=left_out, problem=problem, dark=dark)

    def _video(self, labels: tuple[str, str, str, str], number: int, file: Path, grouped: bool) -> DetectionResult:
        """Process the sampled frames, tracking faces between them."""
        seen, frames, all_left_out = [], 0, 0
        group, tracker, last = hashlib.sha256(), FaceTracker(), None
        with Video(file) as video:
            for frame, seconds, pixels in video.frames(Every.parse(self._config.every)):
                frames += 1
                faces, left_out = self._faces(pixels)
                all_left_out += left_out
                scene = scene_of(pixels)
                ids = tracker.update(
                    seconds,
                    [face.box for face in faces],
                    [compute_appearance(pixels, f) for f in faces],
                    cut=last is not None and is_cut(last, scene),
                )
                last = scene
                if faces:
                    digests = self._write_crops(pixels, faces, number, frame)
                    seen.append(FrameFaces(faces, digests, frame, tuple(f"{one:04d}" for one in ids)))
                if grouped:
                    group.update(pixel_digest(pixels).encode())
        digest = group.hexdigest() if grouped else ""
        return DetectionResult(*labels, tuple(seen), digest, frames, all_left_out, _problem(bool(seen), all_left_out))

    def _faces(self, pixels: Pixels) -> tuple[tuple[Face, ...], int]:
        """Return the faces to keep, and the number discarded for size or score."""
        if not hasattr(self._local, "detector"):
            self._local.detector = self._create()
        options = self._config
        found: list[Face] = self._local.detector.detect(pixels)
        low = -float("inf") if options.min_score is None else options.min_score
        kept = [face for face in found if min(face.box[2:]) >= options.min_size and face.score >= low]
        return tuple(kept[: 1 if options.faces == "largest" else None]), len(found) - len(kept)

    def _write_crops(self, pixels: Pixels, faces: tuple[Face, ...], number: int, frame: int | None) -> tuple[str, ...]:
        """Write the crops of the faces; return their digests."""
        digests = []
        for k, face in enumerate(faces):
            crop = crop_with_options(pixels, face, self._config)
            path = staging_path(self._folder, number, frame, k)
            if path.parent not in self._made:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(path.parent)
            path.write_bytes(encode_png(crop))
            digests.append(pixel_digest(crop))
        return tuple(digests)


def crop_with_options(pixels: Pixels, face: Face, options: DetectConfig) -> Pixels:
    """Crop a face according to the options."""
    return crop_face(pixels, face, options.size, options.color, options.margin, options.align)


def staging_path(folder: Path, number: int, frame: int | None, face: int) -> Path:
    """Return the staging path of a crop. A folder holds the crops of a thousand photographs, or of one video."""
    thousand, rest = folder / f"{number // 1000:04d}", f"{number % 1000:03d}"
    return thousand / f"{rest}-{face}.png" if frame is None else thousand / rest / f"{frame:06d}-{face}.png"


def _problem(any_face: bool, left_out: int) -> str:
    return "" if any_face else BELOW_LIMITS if left_out else NO_FACE
