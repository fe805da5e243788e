"""Where pretrained weights come from: a file that is given, the cache folder, or a download checked by its SHA-256."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from fercli.artifacts import publish, temporary_beside
from fercli.artifacts.digests import cache_folder, digest_file
from fercli.errors import DataError, FerError, UsageError, did_you_mean
from fercli.files import not_there
from fercli.progress import SILENT, Progress

TIMEOUT = 30.0
"""Seconds without a byte after which a download is given up."""
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Published:
    """A file of weights that somebody publishes.

    Attributes:
        name: What `fer weights get` calls it.
        file: Its name in the cache folder.
        size: Bytes.
        sha256: Of the file.
        licence: As established.
        source: Where it comes from, for people.
        url: Where it can be fetched; None where no place is known that holds this very file.
    """

    name: str
    file: str
    size: int
    sha256: str
    licence: str
    source: str
    url: str | None

    @property
    def path(self) -> Path:
        """Its place in the cache folder, whether it is there or not."""
        return cache_folder() / "weights" / self.file


PUBLISHED: tuple[Published, ...] = (
    Published(
        "yunet",
        "face_detection_yunet_2023mar.onnx",
        232_589,
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        "MIT",
        "github.com/opencv/opencv_zoo",
        "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
    ),
    Published(
        "yolov5-face",
        "yolov5n-0.5-face-320.onnx",
        1_970_195,
        "846d579eee380280daeed62170ce918fd0fcee0eb0778b4bee61d8a9b5f57698",
        "GPL-3.0",
        "github.com/deepcam-cn/yolov5-face",
        None,  # its authors publish PyTorch files, through file hosts; this is an export of yolov5n-0.5
    ),
)
"""The weights of the detectors."""


def find_published(name: str) -> Published:
    """Return the weights called `name`.

    Raises:
        UsageError: there are none.
    """
    for one in PUBLISHED:
        if one.name == name:
            return one
    raise UsageError(did_you_mean("weights", name, [one.name for one in PUBLISHED]))


def find_weights(name: str, given: Path | None = None) -> Path:
    """Return the file of a detector's weights: the one given, or the published one from the cache folder.

    Raises:
        DataError: the file given is not there, or the one in the cache is not the published one.
        FerError: none is given and none is in the cache.
    """
    if given is not None:
        if not given.is_file():
            raise DataError(not_there(given, "file of weights"))
        return given
    one = find_published(name)
    if not one.path.is_file():
        way = f"fetch them with fer weights get {name}, or" if one.url else f"export them from {one.source} and"
        raise FerError(f"{name}: its weights are not here; {way} give --weights FILE")
    if digest_file(one.path) != one.sha256:
        raise DataError(f"{one.path}: not the published file; remove it, or give another by --weights FILE")
    return one.path


def download(one: Published, progress: Progress = SILENT) -> Path:
    """Fetch weights into the cache folder; nothing is done where they are there already.

    They come into a file beside their place, which gets its name when it is whole and its SHA-256 is right.

    Raises:
        UsageError: no address is known for them.
        FerError: they cannot be fetched, or what comes is not the published file.
    """
    if one.url is None:
        raise UsageError(f"{one.name}: no address of this file is known; export it from {one.source}, give --weights")
    if one.path.is_file() and digest_file(one.path) == one.sha256:
        return one.path
    with ExitStack() as stack:
        try:
            one.path.parent.mkdir(parents=True, exist_ok=True)
            written = stack.enter_context(temporary_beside(one.path))
        except OSError as error:
            raise FerError(f"{one.path}: cannot be written ({error.strerror})") from error
        with written.open("wb") as file:
            _fetch(one, one.url, file, progress)
        publish(written, one.path)
    return one.path


def _fetch(one: Published, url: str, file: BinaryIO, progress: Progress) -> None:
    """Stream an address into a file, no more of it than the published size."""
    digest, size = hashlib.sha256(), 0
    request = Request(url, headers={"User-Agent": "fercli"})
    try:
        with progress.task(one.name, one.size), urlopen(request, timeout=TIMEOUT) as answer:
            while size <= one.size and (chunk := answer.read(_CHUNK)):
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
                progress.advance(len(chunk))
    except HTTPError as error:
        raise _unfetched(one, f"the server answers {error.code} {error.reason}") from error
    except (URLError, HTTPException, OSError) as error:
        raise _unfetched(one, str(getattr(error, "reason", error)) or type(error).__name__) from error
    if size < one.size:
        raise _unfetched(one, f"it ended after {size:,} of {one.size:,} bytes")
    if digest.hexdigest() != one.sha256:
        raise _unfetched(one, "what came is not the published file: its SHA-256 is another")


def _unfetched(one: Published, why: str) -> FerError:
    return FerError(
        f"{one.name}: {one.url} cannot be fetched ({why}); put the file at {one.path}, or give it by --weights FILE"
    )
