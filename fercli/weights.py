"""Pretrained weights of detectors: a given file, the cache folder, or a download verified by SHA-256."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from fercli.artifacts import publish, temporary_path
from fercli.artifacts.digests import cache_folder, digest_file
from fercli.errors import DataError, FerError, UsageError, did_you_mean
from fercli.files import missing_message
from fercli.progress import SILENT, Progress

TIMEOUT = 30.0
"""Seconds without data after which a download fails."""
_CHUNK = 1 << 16


@dataclass(frozen=True)
class PublishedWeights:
    """A published weights file.

    Attributes:
        name: Its name in `fer weights get`.
        file: Its file name in the cache folder.
        size: Size in bytes.
        sha256: SHA-256 of the file.
        licence: Its licence.
        source: The project that publishes it.
        url: Download URL; None if this exact file is not available for download.
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
        """Its path in the cache folder, whether it exists or not."""
        return cache_folder() / "weights" / self.file


PUBLISHED: tuple[PublishedWeights, ...] = (
    PublishedWeights(
        "yunet",
        "face_detection_yunet_2023mar.onnx",
        232_589,
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        "MIT",
        "github.com/opencv/opencv_zoo",
        "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/face_detection_yunet_2023mar.onnx",
    ),
    PublishedWeights(
        "yolov5-face",
        "yolov5n-0.5-face-320.onnx",
        1_970_195,
        "846d579eee380280daeed62170ce918fd0fcee0eb0778b4bee61d8a9b5f57698",
        "GPL-3.0",
        "github.com/deepcam-cn/yolov5-face",
        None,  # the authors publish PyTorch files on file hosts; this is an ONNX export of yolov5n-0.5
    ),
)
"""The weights of the detectors."""


def find_published(name: str) -> PublishedWeights:
    """Return the published weights called `name`.

    Raises:
        UsageError: there are no such weights.
    """
    for one in PUBLISHED:
        if one.name == name:
            return one
    raise UsageError(did_you_mean("weights", name, [one.name for one in PUBLISHED]))


def find_weights(name: str, given: Path | None = None) -> Path:
    """Return the weights file of a detector: the one given, or the published one in the cache folder.

    Raises:
        DataError: the given file does not exist, or the cached file is not the published one.
        FerError: no file is given and none is cached.
    """
    if given is not None:
        if not given.is_file():
            raise DataError(missing_message(given, "weights file"))
        return given
    one = find_published(name)
    if not one.path.is_file():
        how = f"run fer weights get {name}, or" if one.url else f"export them from {one.source} and"
        raise FerError(f"{name}: weights not found; {how} pass --weights FILE")
    if digest_file(one.path) != one.sha256:
        raise DataError(f"{one.path}: not the published file; remove it, or pass another with --weights FILE")
    return one.path


def download(one: PublishedWeights, progress: Progress = SILENT) -> Path:
    """Download weights into the cache folder, unless they are already there.

    The data goes to a temporary file, which is renamed once it is complete and its SHA-256 is verified.

    Raises:
        UsageError: the weights have no download URL.
        FerError: the download fails, or is not the published file.
    """
    if one.url is None:
        raise UsageError(f"{one.name}: cannot be downloaded; export it from {one.source} and pass --weights FILE")
    if one.path.is_file() and digest_file(one.path) == one.sha256:
        return one.path
    with ExitStack() as stack:
        try:
            one.path.parent.mkdir(parents=True, exist_ok=True)
            tmp_path = stack.enter_context(temporary_path(one.path))
        except OSError as error:
            raise FerError(f"{one.path}: cannot be written ({error.strerror})") from error
        with tmp_path.open("wb") as file:
            _stream(one, one.url, file, progress)
        publish(tmp_path, one.path)
    return one.path


def _stream(one: PublishedWeights, url: str, file: BinaryIO, progress: Progress) -> None:
    """Stream a URL into a file, up to the published size."""
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
        raise _download_error(one, f"HTTP {error.code} {error.reason}") from error
    except (URLError, HTTPException, OSError) as error:
        raise _download_error(one, str(getattr(error, "reason", error)) or type(error).__name__) from error
    if size < one.size:
        raise _download_error(one, f"incomplete, {size:,} of {one.size:,} bytes")
    if digest.hexdigest() != one.sha256:
        raise _download_error(one, "not the published file: its SHA-256 differs")


def _download_error(one: PublishedWeights, why: str) -> FerError:
    return FerError(
        f"{one.name}: cannot download {one.url} ({why}); save the file as {one.path}, or pass it with --weights FILE"
    )
