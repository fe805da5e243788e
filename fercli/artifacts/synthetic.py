"""Detection of models and data derived from the synthetic faces of `fer sample`."""

from __future__ import annotations

from pathlib import Path

from fercli.artifacts import MANIFEST, Artifact, open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.errors import FerError

PHOTOGRAPHS = "photographs"
"""The kind of artifact that contains synthetic faces; only `fer sample` writes it."""
_LEVELS = 4  # <artifact>/<split>/<emotion>/<photograph>


def is_synthetic(artifact: Artifact) -> bool:
    """Return whether an artifact is derived from synthetic photographs, by its lineage."""
    kinds = {artifact.manifest.kind, *(ancestor.input.kind for ancestor in ancestors(artifact))}
    return PHOTOGRAPHS in kinds


def shows_synthetic(path: Path) -> bool:
    """Return whether a path is, or is inside, an artifact derived from synthetic photographs."""
    absolute = path.absolute()
    for folder in [absolute, *absolute.parents][:_LEVELS]:
        if (folder / MANIFEST).is_file():
            try:
                return is_synthetic(open_artifact(folder))
            except FerError:
                return False
    return False


def synthetic_warning(checkpoint: Path, trained_on_synthetic: bool, source: Path | None) -> str:
    """Return a warning if a model that was trained on synthetic faces is applied to anything else; else ''.

    Args:
        checkpoint: Path of the model's checkpoint.
        trained_on_synthetic: Whether the model was trained on synthetic faces.
        source: The file, folder or artifact that it is applied to; None for a webcam.
    """
    if not trained_on_synthetic or (source is not None and shows_synthetic(source)):
        return ""
    return f"{checkpoint}: trained on synthetic faces (fer sample); its predictions for real faces are not reliable"
