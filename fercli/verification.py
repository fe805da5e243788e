"""Verification of artifacts: recompute every recorded digest from the payload.

A manifest's `digest` covers what later stages read: a dataset's index and through it every image's pixels, a pack's
file, the weights. Its `files` hold the SHA-256 of all other files (`payload_digests`); artifacts of older versions lack
them and are checked by their digest alone.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from fercli.artifacts import MANIFEST, Artifact, key_of, open_artifact
from fercli.artifacts.checks import Fault, check_digest, check_file, digest_of, read_error, same_summary
from fercli.artifacts.digests import digest_file, digest_json
from fercli.datasets.index import INDEX, Row, count, read_rows
from fercli.errors import FerError, ImageError
from fercli.exported import ONNX, PROGRAM, SUMMARY
from fercli.files import open_text
from fercli.images import pixel_digest, read_image
from fercli.parallel import in_threads
from fercli.progress import SILENT, Progress


def verify(artifact: Artifact, progress: Progress = SILENT) -> list[Fault]:
    """Recompute an artifact's digests from its payload and return the mismatches, one per path.

    Args:
        artifact: An artifact of any kind.
        progress: Progress callback.
    """
    faults = [*_manifest(artifact), *_files(artifact, progress)]
    check = CHECKS.get(artifact.manifest.kind)
    faults += check(artifact, progress) if check else [Fault(MANIFEST, f"unknown kind {artifact.manifest.kind}")]
    return list({fault.path: fault for fault in reversed(faults)}.values())[::-1]


def _manifest(artifact: Artifact) -> Iterator[Fault]:
    """Check that the manifest's key matches its options and inputs."""
    m = artifact.manifest
    options = json.dumps(m.options, ensure_ascii=False)
    replaced = "\ufffd" in options or "\\\\x" in options  # a name was not UTF-8 when the key was computed
    if m.key and not replaced and key_of(m.kind, m.stage, m.options, m.inputs) != m.key:
        yield Fault(MANIFEST, "its options or inputs were changed: they do not match its key")


def _files(artifact: Artifact, progress: Progress) -> Iterator[Fault]:
    files = artifact.manifest.files
    for path, digest in progress.track(files.items(), "verify files", len(files)) if files else ():
        if fault := check_file(artifact.path, path, digest):
            yield fault


# --- photographs, datasets, packs ---


def _photographs(artifact: Artifact, progress: Progress) -> Iterator[Fault]:
    """Check the common digest of truth.csv and the photographs; `files` tell which one was changed."""
    splits = [split for split in artifact.manifest.counts if "/" not in split and split not in (".", "..")]
    photographs = sorted(
        file.relative_to(artifact.path).as_posix()
        for split in splits
        for file in (artifact.path / split).rglob("*")
        if file.is_file()
    )
    try:
        truth = digest_file(artifact.path / "truth.csv")
        found = {
            path: digest_file(artifact.path / path) for path in progress.track(photographs, "verify", len(photographs))
        }
    except OSError as error:
        yield Fault(Path(error.filename or "truth.csv").name, f"cannot be read ({error.strerror or error})")
        return
    if digest_json([truth, found]) == artifact.manifest.digest:
        return
    known = artifact.manifest.files
    for path in found:
        if known and path not in known:
            yield Fault(path, "was added")
    wrong = any(known.get(path, digest) != digest for path, digest in found.items()) or known.keys() - found.keys()
    if not (known and wrong):
        yield Fault("truth.csv", "this file or a photograph was changed, added or removed")


def _dataset(artifact: Artifact, progress: Progress) -> Iterator[Fault]:
    """Check the index against the manifest, and every image against the index."""
    index = artifact.path / INDEX
    try:
        if digest_file(index) != artifact.manifest.digest:
            yield Fault(INDEX, "was changed")
        rows = read_rows(index)
    except FileNotFoundError:
        yield Fault(INDEX, "is missing")
        return
    except (OSError, FerError) as error:
        yield Fault(INDEX, read_error(error, index))
        return
    if count(rows, artifact.manifest.emotions) != artifact.manifest.counts:
        yield Fault(MANIFEST, "its counts do not match the index")

    def check(row: Row) -> Fault | None:
        try:
            same = pixel_digest(read_image(artifact.path / row.path)) == row.sha256
        except ImageError as error:
            return Fault(row.path, "is missing" if error.reason == "missing" else error.reason)
        return None if same else Fault(row.path, "its pixels were changed")

    yield from filter(None, progress.track(in_threads(check, rows, None), "verify images", len(rows)))


def _pack(artifact: Artifact, progress: Progress) -> Iterator[Fault]:
    """Check the file's digest and, by their own digests, each image and label."""
    from fercli.packs.file import FILE, read_labels, read_paths
    from fercli.packs.opening import open_pack
    from fercli.packs.verify import changed_shards, is_lossless, is_unchanged, verify_split

    try:
        info = open_pack(artifact, allow_modified=True)
        if not is_unchanged(artifact, info):
            yield Fault(FILE, "was changed")
        yield from (Fault(name, "was changed") for name in changed_shards(info))
        if list(info.emotions) != artifact.manifest.emotions:
            yield Fault(MANIFEST, "its emotions do not match the pack's file")
        for split in progress.track(list(info.counts), "verify splits", len(info.counts)):
            found = verify_split(info, split, lossless=is_lossless(artifact))
            paths = read_paths(info, split)
            yield from (Fault(f"{FILE}: {paths[k]}", "its pixels were changed") for k in found.changed)
            yield from (Fault(f"{FILE}: {paths[k]}", "its label was changed") for k in found.relabelled)
            labels = read_labels(info, split)
            images = {emotion: int((labels == k).sum()) for k, emotion in enumerate(info.emotions)}
            if artifact.manifest.counts.get(split) != images:
                yield Fault(MANIFEST, f"its counts of {split} do not match the pack's file")
    except (OSError, FerError) as error:
        yield Fault(FILE, read_error(error, artifact.path / FILE))


# --- runs and checkpoints ---

_WEIGHTS, _METADATA = "model.safetensors", "model.json"


def _checkpoint(artifact: Artifact, _: Progress) -> Iterator[Fault]:
    # If it is part of a run, that lists the digests of its files one by one.
    known, prefix = {}, f"{artifact.path.name}/"
    with suppress(FerError):
        files = open_artifact(artifact.path.parent, "run").manifest.files
        known = {path.removeprefix(prefix): digest for path, digest in files.items() if path.startswith(prefix)}
    yield from check_digest(artifact, (_WEIGHTS, _METADATA), artifact.manifest.digest, known)


def _run(artifact: Artifact, progress: Progress) -> Iterator[Fault]:
    """Check the common digest of a run's weights, and each of its checkpoints by its own manifest."""
    snapshots = artifact.summary.get("snapshots", [])
    names = [name for name in snapshots if isinstance(name, str)] if isinstance(snapshots, list) else []
    parts = ("best", "last", *(name for name in names if name.startswith("snapshot-") and "/" not in name))
    weights = tuple(f"{part}/{_WEIGHTS}" for part in parts)
    for part in progress.track(parts, "verify checkpoints", len(parts)):
        try:
            checkpoint = open_artifact(artifact.path / part, "checkpoint")
        except FerError as error:
            yield Fault(part, read_error(error, artifact.path / part))
            continue
        yield from (Fault(f"{part}/{fault.path}", fault.what) for fault in _checkpoint(checkpoint, SILENT))
    yield from check_digest(artifact, weights, artifact.manifest.digest)


# --- evaluations, explanations, plans, reports ---


def _evaluation(artifact: Artifact, _: Progress) -> Iterator[Fault]:
    """Check the predictions, and that the manifest and metrics.json match them."""
    yield from check_digest(artifact, ("predictions.csv",), artifact.manifest.digest)
    yield from same_summary(artifact, "metrics.json")
    summary = artifact.summary
    try:
        correct, ties, n = _count_correct(artifact.path / "predictions.csv")
        if n != summary.get("n") or abs(correct - summary.get("accuracy", -1) * n) > ties + 1e-6 * n:
            yield Fault(MANIFEST, "its metrics do not match the predictions")
    except FileNotFoundError:
        return
    except (OSError, ValueError, LookupError, TypeError, csv.Error) as error:
        yield Fault("predictions.csv", f"cannot be read as predictions ({error})")


def _count_correct(file: Path) -> tuple[int, int, int]:
    """Return the numbers of correct predictions, of those that are ties at six digits, and of all."""
    correct = ties = n = 0
    with open_text(file, newline="") as text:
        reader = csv.reader(text)
        header = next(reader)
        at = header.index("label")  # preceded by a column if there are several splits
        emotions = header[at + 1 :]
        for row in reader:
            probabilities = list(map(float, row[at + 1 :]))
            best = max(probabilities)
            correct += probabilities.index(best) == emotions.index(row[at])
            ties += sum(best - value < 2e-6 for value in probabilities) > 1
            n += 1
    return correct, ties, n


def _explanation(artifact: Artifact, _: Progress) -> Iterator[Fault]:
    names = ("weights.csv",) if artifact.summary.get("method") == "weights" else ("heatmaps.npz", "explanation.json")
    yield from check_digest(artifact, names, artifact.manifest.digest)
    yield from same_summary(artifact, "explanation.json", "summary")


def _crossvalidation(artifact: Artifact, progress: Progress) -> Iterator[Fault]:
    rates = (artifact.summary.get("noise") or {}).get("rates", [])
    by_rate = ["noise.csv"] if len(rates) > 1 else []
    yield from digest_of("predictions.csv", "folds.csv", *by_rate, summary="crossvalidation.json")(artifact, progress)


def _export(artifact: Artifact, progress: Progress) -> Iterator[Fault]:
    file = next((name for name in (ONNX, PROGRAM) if (artifact.path / name).exists()), ONNX)
    yield from digest_of(file, summary=SUMMARY)(artifact, progress)


CHECKS: dict[str, Callable[[Artifact, Progress], Iterator[Fault]]] = {
    "photographs": _photographs,
    "dataset": _dataset,
    "pack": _pack,
    "plan": digest_of("plan.csv", "prompts.jsonl"),
    "run": _run,
    "study": digest_of("trials.csv", summary="study.json"),
    "checkpoint": _checkpoint,
    "crossvalidation": _crossvalidation,
    "evaluation": _evaluation,
    "matrix": digest_of("matrix.csv", summary="matrix.json"),
    "comparison": digest_of("comparison.json", "differences.csv", "disagreements.csv", summary="comparison.json"),
    "explanation": _explanation,
    "export": _export,
    "report": digest_of("report.json"),
}
"""The check of each kind of artifact."""
