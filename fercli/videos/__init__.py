"""Reading and writing videos, and reading webcams. Frames are numpy arrays (H, W, 3), uint8, RGB.

PyAV does it where it is installed (the extra `video`): it knows the time of each frame, turns pictures upright as the
container says, and writes H.264 with the source's sound. OpenCV is the fallback, and reads webcams. Both read the same
pixels. Neither is imported before a video is opened.
"""

from __future__ import annotations

from pathlib import Path

from fercli.videos.base import Backend, backend
from fercli.videos.comment import has_comment
from fercli.videos.every import Every
from fercli.videos.reading import Video
from fercli.videos.writing import WRITTEN, VideoWriter, check_writable

SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".3gp", ".ogv"}
)
"""The endings that count as videos."""


def is_video(path: Path) -> bool:
    """Tell whether a file's ending is a video's."""
    return path.suffix.lower() in SUFFIXES


__all__ = [
    "SUFFIXES",
    "WRITTEN",
    "Backend",
    "Every",
    "Video",
    "VideoWriter",
    "backend",
    "check_writable",
    "has_comment",
    "is_video",
]
