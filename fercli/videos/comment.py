"""A comment at the end of a video file, which identifies it whatever library wrote it.

It is in a box or chunk that players ignore: `free` in MP4 and QuickTime, `JUNK` in AVI.
"""

from __future__ import annotations

import os
from pathlib import Path

from fercli.files import open_file

_HEAD = 8
_AVI = ".avi"


def write_comment(file: Path, comment: str) -> None:
    """Append a comment to a complete video file."""
    text = comment.encode()
    text += b" " * (len(text) % 2)  # AVI chunks have even lengths
    if file.suffix.lower() == _AVI:
        block = b"JUNK" + len(text).to_bytes(4, "little") + text
    else:
        block = (_HEAD + len(text)).to_bytes(4, "big") + b"free" + text
    with file.open("ab") as video:
        video.write(block)


def has_comment(file: Path, comment: str) -> bool:
    """Return whether a video file ends with a comment written by `write_comment`."""
    text = comment.encode()
    text += b" " * (len(text) % 2)
    size = _HEAD + len(text)
    try:
        with open_file(file) as video:
            video.seek(-size, os.SEEK_END)
            end = video.read(size)
    except OSError:
        return False
    return end[_HEAD:] == text and (end[:4] == b"JUNK" or end[4:_HEAD] == b"free")
