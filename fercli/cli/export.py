"""`fer export`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import name, table
from fercli.exported import PHOTOGRAPH
from fercli.stages.export.config import ExportConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the file, its differences from the checkpoint, and its speed."""
    s = artifact.summary
    yield f"{name(s['file'])}: {s['architecture']}, {s['precision']}, {s['bytes'] / 1e6:.1f} MB"
    parity = table("compared on", "n", "largest difference", "same answer")
    for row in s["parity"]:
        parity.add_row(name(row["faces"]), f"{row['n']}", f"{row['largest']:.2g}", f"{row['agreement']:.1%}")
    yield parity
    if photographs := s.get("photographs"):
        yield (
            f"{name(PHOTOGRAPH)} finds the faces itself: in {photographs['n']} drawn photographs the "
            f"{photographs['faces']} that fer predict finds, probabilities at most "
            f"{photographs['largest_probability']:.2g} apart"
        )
    if accuracy := s["accuracy"]:
        yield (
            f"validation accuracy {accuracy['exported']:.2%}, checkpoint {accuracy['checkpoint']:.2%} "
            f"(n = {accuracy['n']:,}, McNemar's mid-p {accuracy['p_value']:.3g})"
        )
    speed = table("faces at once", "checkpoint", "exported", "times as fast")
    for row in s["speed"]:
        times = (f"{row[key]:.2f} ms" for key in ("checkpoint_ms", "exported_ms"))
        speed.add_row(str(row["batch"]), *times, f"{row['ratio']:.2f}")
    yield speed


command = stage_command(
    ExportConfig,
    fercli.export,
    show,
    """Export a checkpoint as a file that runs without fercli: uint8 RGB faces of any size in, probabilities out.

    The file contains the preprocessing and the calibration. It is compared with the checkpoint, and not written if the
    probabilities differ. Programs that use it in Python and Node are written beside it. --with-detector adds a file
    that takes whole photographs.

    Example: [bold]fer export run exported[/bold]
    """,
)
