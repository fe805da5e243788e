"""The entry of `fer`.

Nothing is imported here that takes time: from the first line of `main` an interruption is answered.
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
    interrupts.listen()
    # What OpenCV and its codecs have to say of a broken file, fer says in a line of its own. They ask only the
    # environment, before they are loaded.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    # The same of what Pillow warns of. For the whole process: catching warnings around each call is not thread-safe.
    warnings.filterwarnings("ignore", module=r"PIL\..*")
    # Names of files are data of any encoding: writing one must not be what fails.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    from fercli.cli.app import run

    try:
        code = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads has read enough. The interpreter flushes once more at its end: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    finally:
        interrupts.leave()
    sys.exit(code)
