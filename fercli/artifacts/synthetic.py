"""Whether a model has seen drawn faces alone, those of `fer sample`, and whether what it looks at is drawn as well."""

from __future__ import annotations

from pathlib import Path

from fercli.artifacts import MANIFEST, Artifact, open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.errors import FerError

PHOTOGRAPHS = "photographs"
"""The kind of artifact that holds drawn faces; no other stage writes it."""
_LEVELS = 4  # <artifact>/<split>/<emotion>/<photograph>


def is_synthetic(artifact: Artifact) -> bool:
    """Tell by its lineage whether an artifact was made of drawn photographs."""
    kinds = {artifact.manifest.kind, *(ancestor.input.kind for ancestor in ancestors(artifact))}
    return PHOTOGRAPHS in kinds


def shows_synthetic(path: Path) -> bool:
    """Tell whether a file or folder lies in, or is, an artifact made of drawn photographs."""
    whole = path.absolute()
    for folder in [whole, *whole.parents][:_LEVELS]:
        if (folder / MANIFEST).is_file():
            try:
                return is_synthetic(open_artifact(folder))
            except FerError:
                return False
    return False


def synthetic_note(checkpoint: Path, drawn_faces: bool, looked_at: Path | None) -> str:
    """Return the line that is due where a model that was trained on drawn faces looks at anything else; else nothing.

    Args:
        checkpoint: The model's.
        drawn_faces: Whether it was trained on drawn faces.
        looked_at: A file, folder or artifact; None for a webcam.
    """
    if not drawn_faces or (looked_at is not None and shows_synthetic(looked_at)):
        return ""
    return f"{checkpoint}: trained on drawn faces (fer sample): what it says of real ones is not to be relied on"
