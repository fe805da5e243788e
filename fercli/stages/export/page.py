"""The README of an export: what the file is, how to use it, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fercli.artifacts import write_text
from fercli.stages.export.summary import ExportSummary


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
    yield ""
    yield f"## Time, with {s.threads} CPU thread{'s' if s.threads > 1 else ''}"
    yield ""
    yield "| faces at once | checkpoint in torch | this file | times as fast |"
    yield "|---|---|---|---|"
    for speed in s.speed:
        yield f"| {speed.batch} | {speed.checkpoint_ms:.2f} ms | {speed.exported_ms:.2f} ms | {speed.ratio:.2f} |"
