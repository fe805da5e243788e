"""The entry of `fer`, and the table of its commands.

Nothing is imported here that takes time: from the first line of `main` an interruption is answered.
"""

from __future__ import annotations

import os
import sys

from fercli.cli import failures, interrupts

COMMANDS: dict[str, tuple[str, str]] = {
    "sample": ("sample", "Draw photographs with faces, for those who have no data."),
    "import": ("import_dataset", "Make a data set of a published one or of folders of pictures."),
    "detect": ("detect", "Find the faces in photographs and cut them out."),
    "clean": ("clean", "Find duplicates and conflicts; take leaking copies out."),
    "balance": ("balance", "Fill small classes up, or plan what to generate for them."),
    "pack": ("pack", "Write a data set as one file that trains fast."),
    "train": ("train", "Train a model by its recipe, chosen on validation alone."),
    "evaluate": ("evaluate", "Measure a checkpoint on a split: figures, intervals, a page."),
    "ensemble": ("ensemble", "Measure several checkpoints together, beside the best of them."),
    "explain": ("explain", "Show where a model looks: heat maps, weights."),
    "predict": ("predict", "Tell the emotions in photographs, videos or before a webcam."),
    "show": ("show", "Tell what an artifact is, its counts and its lineage."),
    "models": ("models", "List the models: size, input, paper, claim."),
    "weights": ("weights", "List and fetch the weights of the detectors."),
}
"""Name of each command, its module in fercli.cli, and its line in `fer --help`."""


def main() -> None:
    """Run `fer` on the process's arguments."""
    arguments = sys.argv[1:]
    failures.begin(arguments, list(COMMANDS))
    interrupts.listen()
    # What OpenCV and its codecs have to say of a broken file, fer says in a line of its own. They ask only the
    # environment, before they are loaded.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
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
