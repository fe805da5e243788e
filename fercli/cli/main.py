"""The entry point of `fer`.

Nothing slow is imported here, so that interruptions are handled from the start.
"""

from __future__ import annotations

import os
import sys
import warnings

from fercli.cli import failures, interrupts
from fercli.cli.commands import COMMANDS


def main() -> None:
    """Run `fer` on the process's arguments."""
    arguments = sys.argv[1:]
    failures.begin(arguments, list(COMMANDS))
    interrupts.install()
    # Silence OpenCV and its codecs, since fer reports broken files itself. They read the environment when loaded.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # Likewise Pillow's warnings, for the whole process: catching warnings around each call is not thread-safe.
    warnings.filterwarnings("ignore", module=r"PIL\..*")
    # File names may have any encoding, and printing one must not fail.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from fercli.cli.app import run

    try:
        code = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has closed the pipe. Discard what the interpreter flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    finally:
        interrupts.end_work()
    sys.exit(code)
