"""`fer crossvalidate`."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.datasets.cross_folds import cross_folds, hold_out_fold
from fercli.datasets.index import read_index
from fercli.errors import DataError, FerError, UsageError
from fercli.evaluation.predicting import predict_images, training_digests
from fercli.metrics.intervals import wilson_interval
from fercli.metrics.resampling import corrected_interval
from fercli.models.checkpoints import load_checkpoint
from fercli.packs.file import read_paths, read_split
from fercli.packs.opening import open_pack
from fercli.progress import Progress
from fercli.stages.crossvalidate.config import CrossvalidateConfig
from fercli.stages.train.config import TrainConfig
from fercli.stages.train_options import TrainOptions
from fercli.verification import verify
from tests.helpers.crashes import FOLD_PLACES, crossvalidate_and_die
from tests.helpers.crossvalidation import EMOTIONS, OPTIONS, make_faces, rows_of
from tests.helpers.datasets import ROOT, make_dataset, names, noise, python
from tests.helpers.packs import QUICK
from tests.helpers.progress import Log

SPLITS = ("train", "validation")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_faces(tmp_path_factory.mktemp("cross") / "faces")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def cross(dataset: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A cross-validation that tests only read, with its packs."""
    return fercli.crossvalidate(dataset, tmp_path_factory.mktemp("made") / "cross", keep_packs=True, **OPTIONS)


@pytest.mark.slow
def test_figures_equal_a_hand_made_loop(dataset: Artifact, cross: Artifact, tmp_path: Path) -> None:
    """Each fold by fer's other commands: a dataset with the fold as test split, pack, train, and the model's output."""
    rows = read_index(dataset)
    labelled = [row for row in rows if row.split in SPLITS]
    (own,) = cross_folds(rows, SPLITS, folds=3, repeats=1, seed=0, stratify=True).folds
    folds = cross_folds(rows, SPLITS, folds=3, repeats=1, seed=0, stratify=True)
    values: dict[str, list[float]] = {"accuracy": [], "balanced_accuracy": [], "macro_f1": []}
    probabilities: dict[str, np.ndarray] = {}
    for fold in (1, 2, 3):
        held = hold_out_fold(rows, folds, 1, fold, validation=0.2, seed=0, stratify=True).rows
        images = {f"{row.split}/{row.emotion}/{row.path.replace('/', '-')}": _pixels(dataset, row.path) for row in held}
        data = make_dataset(tmp_path / f"data{fold}", images)
        pack = fercli.pack(data, tmp_path / f"pack{fold}")
        run = fercli.train(pack, tmp_path / f"run{fold}", **QUICK)
        checkpoint = load_checkpoint(run.path)
        faces = read_split(open_pack(pack), "test")
        found = predict_images(checkpoint, faces.images, device=torch.device("cpu"))
        expected, predicted = faces.labels, found.argmax(1)
        values["accuracy"].append(accuracy_score(expected, predicted))
        values["balanced_accuracy"].append(balanced_accuracy_score(expected, predicted))
        values["macro_f1"].append(f1_score(expected, predicted, average="macro", zero_division=0))
        probabilities |= {
            path.rpartition("/")[2].replace("-", "/"): p for path, p in zip(faces.paths, found, strict=True)
        }
        assert {path.rpartition("/")[2].replace("-", "/") for path in faces.paths} == {
            row.path for row, number in zip(labelled, own, strict=True) if number == fold
        }
    table = rows_of(cross, "folds.csv")
    assert [float(row["accuracy"]) for row in table] == values["accuracy"]
    assert [float(row["balanced_accuracy"]) for row in table] == pytest.approx(values["balanced_accuracy"], abs=1e-15)
    assert [float(row["macro_f1"]) for row in table] == pytest.approx(values["macro_f1"], abs=1e-15)
    for row in rows_of(cross, "predictions.csv"):
        assert [row[e] for e in EMOTIONS] == [f"{value:.6f}" for value in probabilities[row["path"]]]
    for name, found in values.items():
        spread = cross.summary["metrics"][name]
        low, high = corrected_interval(found, 1 / 2)
        assert spread["mean"] == pytest.approx(np.mean(found))
        assert spread["std"] == pytest.approx(np.std(found, ddof=1))
        assert spread["interval"] == pytest.approx([max(0, low), min(1, high)])


def _pixels(dataset: Artifact, path: str) -> np.ndarray:
    from fercli.images import read_image

    return read_image(dataset.path / path)


@pytest.mark.slow
def test_files_and_columns(dataset: Artifact, cross: Artifact) -> None:
    assert names(cross.path) == [
        "artifact.json", "confusion.png", "crossvalidation.json", "folds.csv", "packs", "predictions.csv",
        "report.html", "runs",
    ]  # fmt: skip
    table, predictions = rows_of(cross, "folds.csv"), rows_of(cross, "predictions.csv")
    header = "repeat,fold,train,validation,n,accuracy,balanced_accuracy,macro_f1,run"
    assert list(table[0]) == header.split(",")
    assert list(predictions[0]) == ["path", "repeat", "fold", "label", *EMOTIONS]
    assert [row["path"] for row in predictions] == [r.path for r in read_index(dataset) if r.split in SPLITS]
    assert {row["label"] == row["path"].split("/")[1] for row in predictions} == {True}
    assert [row["run"] for row in table] == [f"runs/r1-f0{k}" for k in (1, 2, 3)]
    assert all(int(row["train"]) + int(row["validation"]) + int(row["n"]) == 36 for row in table)
    summary = json.loads((cross.path / "crossvalidation.json").read_text())
    assert summary == dict(cross.summary)
    assert (summary["n"], summary["groups"], summary["folds"], summary["repeats"]) == (36, 36, 3, 1)
    assert (summary["model"], summary["seed"], summary["fold_seed"]) == ("quick", 0, 0)
    labels = [EMOTIONS.index(row["label"]) for row in predictions]
    guesses = [max(range(3), key=lambda k, row=row: float(row[EMOTIONS[k]])) for row in predictions]
    pooled = summary["pooled"]
    assert pooled["confusion"] == confusion_matrix(labels, guesses).tolist()
    assert pooled["macro_f1"] == pytest.approx(f1_score(labels, guesses, average="macro", zero_division=0))
    right = sum(a == b for a, b in zip(labels, guesses, strict=True))
    assert pooled["accuracy_interval"] == list(wilson_interval(right, 36))
    assert verify(cross) == []
    (cross.path / "folds.csv").rename(cross.path / "moved")
    assert [fault.path for fault in verify(cross)] == ["folds.csv"]
    (cross.path / "moved").rename(cross.path / "folds.csv")


@pytest.mark.slow
def test_each_run_is_that_of_train_and_never_saw_its_fold(cross: Artifact) -> None:
    for run in cross.runs:
        trained = {bytes(digest).hex() for digest in training_digests(load_checkpoint(run))}
        pack = open_pack(open_artifact(cross.path / "packs" / run.name, "pack"))
        test = {bytes(digest).hex() for digest in read_split(pack, "test").sha256}
        assert test
        assert not trained & test
        manifest = open_artifact(run, "run").manifest
        assert manifest.options == TrainConfig.of(**QUICK).options()
        assert manifest.stage == "train"
    assert not any("t" in Path(path).stem for path in read_paths(pack, "test"))  # the dataset's own test split


@pytest.mark.slow
def test_folds_are_equal_for_other_models_and_seeds(dataset: Artifact, cross: Artifact, tmp_path: Path) -> None:
    other = fercli.crossvalidate(
        dataset,
        tmp_path / "other",
        **{**OPTIONS, "epochs": 1, "lr": 0.01, "seed": 7, "model": "resnet18", "input_size": 32},
        reduced=True,
    )
    pairs = [[(row["path"], row["fold"]) for row in rows_of(one, "predictions.csv")] for one in (cross, other)]
    assert pairs[0] == pairs[1]
    assert "packs" not in names(other.path)
    changed = fercli.crossvalidate(dataset, tmp_path / "changed", **{**OPTIONS, "epochs": 1}, fold_seed=1)
    assert [(row["path"], row["fold"]) for row in rows_of(changed, "predictions.csv")] != pairs[0]


@pytest.mark.slow
def test_jobs_do_not_change_the_figures(dataset: Artifact, cross: Artifact, tmp_path: Path) -> None:
    log = Log()
    several = fercli.crossvalidate(dataset, tmp_path / "several", jobs=2, progress=log, **OPTIONS)
    for name in ("folds.csv", "predictions.csv"):
        assert (several.path / name).read_bytes() == (cross.path / name).read_bytes()
    assert several.manifest.key == cross.manifest.key
    assert sum(": accuracy " in line for line in log.lines) == 3


@pytest.mark.slow
@pytest.mark.parametrize("point", FOLD_PLACES)
def test_killed_call_is_resumed_to_the_same_figures(
    dataset: Artifact, cross: Artifact, tmp_path: Path, point: str
) -> None:
    options = {**OPTIONS, "dataset": dataset.path, "out": tmp_path / "cross"}
    assert crossvalidate_and_die(point, options) == -signal.SIGKILL
    assert not (tmp_path / "cross").exists()
    log = Log()
    made = fercli.crossvalidate(progress=log, **options)
    finished = {
        "in the second fold's second epoch": 1, "before the second fold's predictions": 1,
        "before removing the first pack": 1, "while finishing": 3,
    }  # fmt: skip
    assert f"{finished[point]} of 3 folds were finished by an earlier call" in log.lines
    if point == "in the second fold's second epoch":
        assert "fold 2/3: resuming from epoch 1/2" in log.lines
    for name in ("folds.csv", "predictions.csv"):
        assert (made.path / name).read_bytes() == (cross.path / name).read_bytes()
    assert names(tmp_path) == ["cross"]
    assert names(made.path / "runs") == ["r1-f01", "r1-f02", "r1-f03"]
    assert "packs" not in names(made.path)
    assert fercli.crossvalidate(**options).up_to_date


KILL = """
import os, signal, sys
import fercli
from fercli.progress import Progress
from tests.helpers.crossvalidation import OPTIONS

if __name__ == "__main__":
    fercli.crossvalidate(sys.argv[1], sys.argv[2], jobs=2, progress=False, **{**OPTIONS, "epochs": 2000})
"""


@pytest.mark.slow
def test_workers_of_a_killed_call_end_and_release_their_folds(dataset: Artifact, tmp_path: Path) -> None:
    process = python(KILL, dataset.path, tmp_path / "cross", cwd=ROOT)
    runs = tmp_path / ".cross.partial" / "runs"
    while len([path for path in runs.glob(".*.partial") if (path / "resume").exists()]) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    made = fercli.crossvalidate(dataset, tmp_path / "cross", **{**OPTIONS, "epochs": 1})  # another call
    assert made.summary["n"] == 36


@pytest.mark.slow
def test_failed_fold_is_named_and_others_stay(
    dataset: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fercli.stages.crossvalidate import fold

    def train_run(config: TrainOptions, pack: Artifact, out: Path, *rest: Any, **options: Any) -> Artifact:
        if out.name == "r1-f02":
            raise FerError(f"{out}: the disk is full; free some space and try again")
        return original(config, pack, out, *rest, **options)

    original = fold.train_run
    options = {**OPTIONS, "epochs": 1}
    with monkeypatch.context() as patch:
        patch.setattr(fold, "train_run", train_run)
        with pytest.raises(FerError) as caught:
            fercli.crossvalidate(dataset, tmp_path / "cross", **options)
    place = tmp_path / "cross" / "runs" / "r1-f02"
    assert str(caught.value) == f"fold 2/3: {place}: the disk is full; free some space and try again"
    log = Log()
    fercli.crossvalidate(dataset, tmp_path / "cross", progress=log, **options)
    assert "1 of 3 folds were finished by an earlier call" in log.lines


@pytest.mark.slow
def test_interrupted_call_resumes(dataset: Artifact, tmp_path: Path) -> None:
    class Interrupting(Progress):
        def start(self, label: str, total: int | None = None) -> None:
            if label == "fold 2/3, training":
                raise KeyboardInterrupt

    options = {**OPTIONS, "epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        fercli.crossvalidate(dataset, tmp_path / "cross", progress=Interrupting(), **options)
    assert names(tmp_path) == [".cross.partial"]
    log = Log()
    fercli.crossvalidate(dataset, tmp_path / "cross", progress=log, **options)
    assert "1 of 3 folds were finished by an earlier call" in log.lines
    with pytest.raises(DataError, match="a different crossvalidation already exists"):
        fercli.crossvalidate(dataset, tmp_path / "cross", **options, fold_seed=5)
    replaced = fercli.crossvalidate(dataset, tmp_path / "cross", **options, fold_seed=5, overwrite=True)
    assert replaced.summary["fold_seed"] == 5


@pytest.mark.slow
def test_5x2_and_repeats(dataset: Artifact, tmp_path: Path, fer: Callable[..., Any], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    arguments = [
        f"--{key.replace('_', '-')}={value}" for key, value in {**OPTIONS, "epochs": 1}.items() if key != "folds"
    ]
    ended = fer("crossvalidate", dataset.path, tmp_path / "cross", "--scheme", "5x2", *arguments)
    assert ended.code == 0, ended.err
    made = open_artifact(tmp_path / "cross")
    s = made.summary
    assert (s["scheme"], s["folds"], s["repeats"], s["test_to_train"]) == ("5x2", 2, 5, 1.0)
    predictions = rows_of(made, "predictions.csv")
    assert [row["repeat"] for row in predictions] == [str(r) for r in range(1, 6) for _ in range(36)]
    assert len({(row["path"], row["repeat"]) for row in predictions}) == 180
    assert (s["pooled"]["n"], s["pooled"]["predictions"]) == (36, 180)
    assert np.sum(s["pooled"]["confusion"]) == 180
    assert max(map(len, ended.out.splitlines()[:-1])) <= 80  # the last one is a path
    assert [row["run"] for row in rows_of(made, "folds.csv")][-1] == "runs/r5-f02"
    page = (made.path / "report.html").read_text("utf-8")
    assert "5 x 2 cross-validation" in page
    assert "each image was predicted 5 times" in page


@pytest.mark.slow
def test_persons_stay_together_and_are_told(tmp_path: Path) -> None:
    paths = [row.path for row in read_index(make_faces(tmp_path / "plain"))]
    columns = {path: {"subject": f"S{i % 9}"} for i, path in enumerate(paths)}
    data = make_faces(tmp_path / "faces", columns=columns)
    log = Log()
    made = fercli.crossvalidate(data, tmp_path / "cross", progress=log, **{**OPTIONS, "epochs": 1})
    assert log.lines[0] == "36 images in 3 folds (fold seed 0), 9 persons kept together"
    folds: dict[str, set[str]] = {}
    for row in rows_of(made, "predictions.csv"):
        folds.setdefault(columns[row["path"]]["subject"], set()).add(row["fold"])
    assert all(len(found) == 1 for found in folds.values())
    assert made.summary["groups"] == 9
    named = make_faces(
        tmp_path / "named", columns={p: {"source": f"subject {i % 9}/{i}.png"} for i, p in enumerate(paths)}
    )
    log = Log()
    made = fercli.crossvalidate(named, tmp_path / "guessed", progress=log, **{**OPTIONS, "epochs": 1})
    (note,) = made.summary["notes"]
    assert "appear to contain persons (9), who may be in several folds; fer import --subjects" in note
    assert note in log.lines
    assert "appear to contain persons" in (made.path / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_weights_that_saw_the_folds_are_told(dataset: Artifact, cross: Artifact, tmp_path: Path) -> None:
    made = fercli.crossvalidate(dataset, tmp_path / "cross", weights=cross.runs[0], **{**OPTIONS, "epochs": 1})
    (note,) = made.summary["notes"]
    trained = rows_of(cross, "folds.csv")[0]["train"]
    assert f"were trained on {trained} of these 36 images, so the folds are not unseen" in note


@pytest.mark.slow
def test_clean_takes_the_runs_of_a_cross_validation(dataset: Artifact, cross: Artifact, tmp_path: Path) -> None:
    pytest.importorskip("cleanlab")
    whole = fercli.clean(dataset, tmp_path / "whole", labels=cross, report_only=True, device="cpu")
    single = fercli.clean(dataset, tmp_path / "single", labels=cross.runs, report_only=True, device="cpu")
    assert (whole.path / "label_issues.csv").read_bytes() == (single.path / "label_issues.csv").read_bytes()
    assert whole.manifest.key == single.manifest.key
    assert [one.kind for one in whole.manifest.inputs] == ["dataset", "run", "run", "run"]


@pytest.mark.slow
def test_splits_may_add_the_test_split(dataset: Artifact, tmp_path: Path) -> None:
    made = fercli.crossvalidate(dataset, tmp_path / "cross", splits="train,validation,test", **{**OPTIONS, "epochs": 1})
    assert made.summary["n"] == 42
    assert made.summary["splits"] == ["train", "validation", "test"]


def test_every_option_of_train_is_one_of_crossvalidate() -> None:
    assert set(TrainConfig.model_fields) - {"pack", "track"} <= set(CrossvalidateConfig.model_fields)
    config = CrossvalidateConfig.of(model="emotionnet", epochs=7, reduced=True, seed=3)
    assert (
        config.train_options().options() == TrainConfig.of(model="emotionnet", epochs=7, reduced=True, seed=3).options()
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 1}, r"folds: input should be greater than or equal to 2 \(given: 1\)"),
        ({"folds": 13}, "folds: 13 are more than the 12 images of angry in train and validation; use at most 12"),
        ({"folds": 40, "stratify": False}, "folds: 40 are more than the 36 distinct images, in train and validation"),
        ({"scheme": "5x2", "folds": 10}, "folds: scheme 5x2 is 5 repeats of 2 folds; leave out folds"),
        ({"splits": "train,training"}, "no split 'training'; did you mean train"),
        ({"model": "quikc"}, "no model 'quikc'"),
        ({"lr": -1}, "lr: "),
    ],
)
def test_invalid_calls_are_refused(dataset: Artifact, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        fercli.crossvalidate(dataset, tmp_path / "cross", **{**OPTIONS, **options})
    assert "\n" not in str(caught.value)
    assert names(tmp_path) == []


def test_dataset_without_labels_is_refused(dataset: Artifact, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"unlabelled/a.png": noise(1, 16, 16)})
    with pytest.raises(DataError, match="has no labelled images"):
        fercli.crossvalidate(data, tmp_path / "cross", **OPTIONS)
    with pytest.raises(DataError, match="no such path"):
        fercli.crossvalidate(tmp_path / "none", tmp_path / "cross", **OPTIONS)
    assert os.listdir(tmp_path) == ["data"]
