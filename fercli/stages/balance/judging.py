"""How well generated images show what they are meant to, as a trained checkpoint sees them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fercli.artifacts import Input, input_of, write_text
from fercli.artifacts.digests import digest_file, digest_json
from fercli.datasets.index import Row
from fercli.datasets.reading import read_checked
from fercli.errors import DataError
from fercli.images import as_color, fit_square
from fercli.metrics.frechet import frechet_distance
from fercli.metrics.intervals import wilson_interval
from fercli.parallel import in_threads
from fercli.stages.balance.context import BalanceContext

JUDGEMENT = "judgement.json"
_MOST = 20_000
"""Real images of a class at most: the eigenvalues, not these, are what the distance is to depend on."""
_FEWEST = 4


def judge_input(path: Path) -> Input:
    """Describe the checkpoint that judges as an input.

    Raises:
        DataError: it is none.
    """
    from fercli.models.checkpoints import METADATA, WEIGHTS, checkpoint_folder

    folder = checkpoint_folder(path)
    try:
        digest = digest_json([digest_file(folder / WEIGHTS), digest_file(folder / METADATA)])
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read as a checkpoint ({error.strerror})") from error
    return input_of("judge", folder, "checkpoint", digest)


def check_judge(path: Path, emotions: Sequence[str]) -> None:
    """See that a checkpoint can judge, before hours are spent on what it is to judge.

    Raises:
        DataError: it cannot be loaded, or does not know one of the emotions.
    """
    from fercli.models.checkpoints import load_checkpoint

    checkpoint = load_checkpoint(path)
    if unknown := [emotion for emotion in emotions if emotion not in checkpoint.card.emotions]:
        raise DataError(
            f"{path}: does not know {', '.join(unknown)}, which is generated; it knows "
            f"{', '.join(checkpoint.card.emotions)}"
        )


def judge(work: BalanceContext, rows: Sequence[Row]) -> None:
    """Let the checkpoint judge all generated images of train; write judgement.json and fill the summary.

    Agreement is the share of images in which it sees the emotion that was meant; beside it stands that on the real
    images of validation, which it was not trained on. The distance is Fréchet's, between a class's generated and its
    real train images; beside it stands that of as many real ones, drawn at random, to the others: what a perfect
    generator's would be about.
    """
    from fercli.models.checkpoints import load_checkpoint
    from fercli.models.devices import find_device

    assert work.config.judge is not None
    checkpoint = load_checkpoint(work.config.judge)
    device = find_device(work.config.device)
    seen = _Seen(work, checkpoint, device)
    generated = _by_emotion(row for row in rows if row.origin == "generated" and row.split == "train")
    real = _by_emotion(row for row in rows if row.origin == "real" and row.split == "train")
    validation = _by_emotion(row for row in rows if row.origin == "real" and row.split == "validation")
    if not generated:
        work.progress.log("--judge: there is no generated image in train to judge")
        return
    known = checkpoint.card.emotions
    classes: dict[str, Any] = {}
    for emotion, own in generated.items():
        place = known.index(emotion)
        predicted, features = seen.look(own)
        classes[emotion] = {"generated": _agreement(int((predicted == place).sum()), len(own))}
        if emotion in validation:
            others, _ = seen.look(validation[emotion])
            classes[emotion]["validation"] = _agreement(int((others == place).sum()), len(others))
        classes[emotion]["frechet"] = _distance(features, seen, real.get(emotion, []), work.config.seed)
    right = sum(one["generated"]["agreed"] for one in classes.values())
    total = sum(one["generated"]["n"] for one in classes.values())
    found = {
        "checkpoint": str(work.config.judge),
        "architecture": checkpoint.card.architecture,
        "agreement": _agreement(right, total),
        "classes": classes,
    }
    write_text(work.job.folder / JUDGEMENT, json.dumps(found, indent=1) + "\n")
    work.summary["judgement"] = found
    few = [emotion for emotion, one in classes.items() if one["frechet"] and one["frechet"]["few"]]
    if few:
        work.progress.log(f"Fréchet distances of {', '.join(few)} rest on fewer images than features: only roughly so")


class _Seen:
    """Images as the checkpoint sees them."""

    def __init__(self, work: BalanceContext, checkpoint: Any, device: Any) -> None:
        self._work, self._checkpoint, self._device = work, checkpoint, device

    def look(self, rows: Sequence[Row]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Return what it takes each image for, (N,), and its penultimate features, (N, D)."""
        from fercli.models.features import predict_with_features

        size, color = self._checkpoint.card.face_format
        folder, progress = self._work.job.folder, self._work.progress
        read = in_threads(
            lambda row: fit_square(as_color(read_checked(folder, row), color), size), rows, self._work.config.workers
        )
        images = np.stack(list(read))
        with progress.task("judging", len(rows)):
            probabilities, features = predict_with_features(
                self._checkpoint, images, device=self._device, advance=progress.advance
            )
        return probabilities.argmax(1), features


def _by_emotion(rows: Any) -> dict[str, list[Row]]:
    classes: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        classes[row.emotion].append(row)
    return {emotion: own[:_MOST] for emotion, own in sorted(classes.items())}


def _agreement(agreed: int, n: int) -> dict[str, Any]:
    return {"agreed": agreed, "n": n, "share": agreed / n if n else 0.0, "interval": list(wilson_interval(agreed, n))}


def _distance(features: npt.NDArray[np.float32], seen: _Seen, real: Sequence[Row], seed: int) -> dict[str, Any] | None:
    """Return the distance of generated features to the real images', and that of as many real ones to the others.

    As many, since the fewer images, the larger it comes out; at most half of them, so that enough others are left.
    """
    if len(features) < 2 or len(real) < _FEWEST:
        return None
    _, others = seen.look(real)
    order = np.random.default_rng([seed, len(real)]).permutation(len(others))
    some = min(len(features), len(others) // 2)
    return {
        "distance": frechet_distance(features, others),
        "of_real": frechet_distance(others[order[:some]], others[order[some:]]),
        "generated": len(features),
        "real": len(others),
        "features": features.shape[1],
        "few": bool(some <= features.shape[1]),
    }
