"""Video reading and writing, and webcam reading. Frames are numpy arrays (H, W, 3), uint8, RGB.

PyAV is used if installed (the extra `video`): it reports the time of each frame, applies the container's rotation, and
writes H.264 with the source's audio. OpenCV is the fallback, and reads webcams. Both return the same pixels. Neither is
imported before a video is opened.
"""

from __future__ import annotations

from pathlib import Path

from fercli.videos.base import Backend, backend
from fercli.videos.comment import has_comment
from fercli.videos.every import Every
from fercli.videos.reading import Video
from fercli.videos.writing import WRITABLE_SUFFIXES, VideoWriter, check_writable

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".3gp", ".ogv"}
)
"""The file extensions that count as videos."""


def is_video(path: Path) -> bool:
    """Return whether a path has the extension of a video."""
    return path.suffix.lower() in SUFFIXES


__all__ = [
    "SUFFIXES",
    "WRITABLE_SUFFIXES",
    "Backend",
    "Every",
    "Video",
    "VideoWriter",
    "backend",
    "check_writable",
    "has_comment",
    "is_video",
]
