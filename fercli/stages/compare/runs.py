"""The predictions of a run's best checkpoint on a split of the pack that it was trained on."""

from __future__ import annotations

from fercli.artifacts import Artifact
from fercli.evaluation.predicting import match_emotions, predict_images, read_faces
from fercli.evaluation.reading import Predictions
from fercli.models.checkpoints import load_checkpoint
from fercli.models.devices import find_device
from fercli.packs.opening import open_pack
from fercli.progress import Progress
from fercli.stages.compare.config import CompareConfig


def predict_run(run: Artifact, pack: Artifact, split: str, config: CompareConfig, progress: Progress) -> Predictions:
    """Predict a split with a run's best checkpoint.

    Raises:
        DataError: the checkpoint or the pack is invalid, or the pack has no such split.
    """
    checkpoint = load_checkpoint(run.path)
    info = open_pack(pack)
    labels_of = match_emotions(checkpoint, info)
    faces = read_faces(info, split)
    with progress.task(f"predicting {run.path.name}", len(faces.labels)):
        probabilities = predict_images(
            checkpoint,
            faces.images,
            device=find_device(config.device),
            batch_size=config.batch_size,
            advance=progress.advance,
        )
    emotions = tuple(checkpoint.metadata.emotions)
    return Predictions(run.path, emotions, faces.paths, labels_of[faces.labels], probabilities.astype(float))
