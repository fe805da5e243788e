"""The README of an export: what the file is, how to use it, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fercli.artifacts import write_text
from fercli.exported import PHOTOGRAPH
from fercli.faces.yunet import MAX_SIDE, YuNet
from fercli.stages.export.summary import ExportSummary, PhotographsSummary

DETECTOR_CARD = """
## Detector

`photograph.onnx` contains the face detector YuNet (Wu et al., Machine Intelligence Research 2023), from
github.com/opencv/opencv_zoo, under the MIT licence, whose notice must go with the file. It finds upright faces; what it
does not find gets no answer.
"""
"""What the card says of an export with the detector."""


def write_readme(folder: Path, summary: ExportSummary, checkpoint: str, digest: str) -> None:
    """Write README.md."""
    write_text(folder / "README.md", "\n".join(_lines(summary, checkpoint, digest)) + "\n")


def _lines(s: ExportSummary, checkpoint: str, digest: str) -> Iterator[str]:
    yield f"# {s.file}"
    yield ""
    yield (
        f"`{checkpoint}` (`{s.architecture}`) for use without fercli. The input `faces` is uint8 (N, H, W, 3): "
        f"RGB faces of any size. The outputs are `probabilities` (N, {len(s.emotions)}), calibrated, and `logits`. The "
        f"model was trained on {s.face_color} faces of {s.face_size} px; the file converts and resizes. `example.*` "
        "beside it show its use."
    )
    yield ""
    yield f"- Emotions, in order: {', '.join(s.emotions)}."
    yield f"- {s.precision}, {s.bytes / 1e6:.1f} MB. Digest of the checkpoint: `{digest}`."
    yield ""
    yield "## Against the checkpoint"
    yield ""
    yield "| faces | n | largest difference of a probability | mean | same answer |"
    yield "|---|---|---|---|---|"
    for row in s.parity:
        yield f"| {row.faces} | {row.n} | {row.largest:.2g} | {row.mean:.2g} | {row.agreement:.1%} |"
    if s.accuracy is not None:
        yield ""
        yield (
            f"Accuracy on {s.accuracy.n:,} validation faces: {s.accuracy.exported:.2%}; the checkpoint has "
            f"{s.accuracy.checkpoint:.2%} (McNemar's mid-p {s.accuracy.p_value:.3g})."
        )
    if s.photographs is not None:
        yield from _photographs(s.photographs, MAX_SIDE * s.face_size // YuNet.min_face)
    yield ""
    yield f"## Time, with {s.threads} CPU thread{'s' if s.threads > 1 else ''}"
    yield ""
    yield "| faces at once | checkpoint in torch | this file | times as fast |"
    yield "|---|---|---|---|"
    for speed in s.speed:
        yield f"| {speed.batch} | {speed.checkpoint_ms:.2f} ms | {speed.exported_ms:.2f} ms | {speed.ratio:.2f} |"


def _photographs(s: PhotographsSummary, largest: int) -> Iterator[str]:
    """Yield the section on the file that takes photographs; up to `largest` pixels one search finds all."""
    yield ""
    yield f"## {PHOTOGRAPH}"
    yield ""
    yield (
        "It finds the faces itself, by YuNet, and crops them. The input `photograph` is uint8 (H, W, 3), RGB, of any "
        "size. The outputs are `boxes` (K, 4: left, top, width, height, in pixels, largest first), `scores` (K), "
        "`landmarks` (K, 5, 2: eyes, nose, corners of the mouth), `probabilities` and `logits`; K is 0 without a face."
    )
    yield ""
    yield (
        f"In {s.n} drawn photographs it finds the {s.faces} faces that `fer predict --detector yunet` finds: boxes at "
        f"most {s.largest_box:.2g} px apart, probabilities at most {s.largest_probability:.2g}. It searches a "
        f"photograph once, with its longer side reduced to at most {MAX_SIDE} px; in photographs of more than "
        f"{largest:,} px `fer predict` also searches for smaller faces, unless given `--search-size {MAX_SIDE}`."
    )
