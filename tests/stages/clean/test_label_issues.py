"""`fer clean --labels`: label issues found by out-of-fold predictions."""

from __future__ import annotations

import builtins
import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.datasets import make_dataset, python
from tests.helpers.packs import QUICK, draw_faces

pytest.importorskip("cleanlab")

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.datasets.index import Row, read_index
from fercli.errors import DataError, FerError, UsageError
from fercli.evaluation.predicting import predict_images
from fercli.models.checkpoints import load_checkpoint
from fercli.packs.file import read_split
from fercli.packs.opening import open_pack
from fercli.stages.clean import confident
from fercli.stages.clean.label_issues import LabelIssue, LabelIssues, drops, find_label_issues

EMOTIONS = ("angry", "happy", "sad")
EACH = 40
WRONG = {f"train/happy/angry-{i}.png" for i in (0, 1, 3, 11, 20, 22, 35, 37)} | {"test/sad/happy-39.png"}
"""Faces with a wrong label."""


def make_faces() -> tuple[dict[str, np.ndarray], dict[str, dict[str, str]]]:
    """Return faces, runs_of_fold bar encodes the emotion, and their folds; every fifth is test."""
    images, columns = {}, {}
    wrong = {path.rpartition("/")[2]: path for path in WRONG}
    for number, emotion in enumerate(EMOTIONS):
        faces = draw_faces(np.full(EACH, 3 * number), 16, seed=number)
        for i, face in enumerate(faces):
            name = f"{emotion}-{i}.png"
            split = "test" if i % 5 == 4 else "train"
            path = wrong.get(name, f"{split}/{emotion}/{name}")
            images[path] = face
            columns[path] = {} if split == "test" else {"fold": str(i % 2 + 1)}
    return images, columns


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    images, columns = make_faces()
    return make_dataset(tmp_path_factory.mktemp("d") / "faces", images, columns=columns)


@pytest.fixture(scope="module")
def runs(dataset: Artifact, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    home = tmp_path_factory.mktemp("runs")
    plain = {"rotation": 0.0, "shift": 0.0, "scale": 0.0, "ema": 0.0, "label_smoothing": 0.0}
    options = {**QUICK, **plain, "epochs": 9, "select": "loss"}
    made = []
    for fold in (1, 2):
        pack = fercli.pack(dataset.path, home / f"pack{fold}", fold=fold)
        made.append(fercli.train(pack.path, home / f"run{fold}", **options).path)
    return made


def label_issues_csv(artifact: Artifact) -> list[dict[str, str]]:
    with (artifact.path / "label_issues.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def cleaned(dataset: Artifact, runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return fercli.clean(dataset.path, tmp_path_factory.mktemp("c") / "out", labels=runs, device="cpu")


@pytest.mark.slow
def test_label_issues_are_wrong_labels(cleaned: Artifact) -> None:
    """Confident learning is conservative: it finds only some of the wrong labels."""
    table = label_issues_csv(cleaned)
    found = {row["path"]: row for row in table}
    assert len(WRONG & set(found)) >= 3
    assert len(set(found) - WRONG) <= len(found) / 3
    for path in WRONG & set(found):
        split, given, name = path.split("/")
        assert (found[path]["split"], found[path]["emotion"]) == (split, given)
        assert found[path]["suggested"] == name.split("-")[0]
    confidences = [float(row["self_confidence"]) for row in table]
    assert confidences == sorted(confidences)
    assert list(table[0]) == ["path", "split", "emotion", "suggested", "self_confidence", *EMOTIONS]
    for row in table:
        assert row["self_confidence"] == row[row["emotion"]]
        assert sum(float(row[emotion]) for emotion in EMOTIONS) == pytest.approx(1, abs=1e-5)
        assert float(row[row["suggested"]]) == max(float(row[e]) for e in EMOTIONS if e != row["emotion"])


@pytest.mark.slow
def test_nothing_is_removed_by_default(cleaned: Artifact, dataset: Artifact) -> None:
    assert read_index(cleaned) == read_index(dataset)
    summary = cleaned.summary["label_issues"]
    assert summary["runs"] == 2
    assert summary["examined"] == {"train": 96, "test": 24}
    assert summary["without_prediction"] == {"train": 0, "test": 0}
    assert summary["agreement"] > 0.8
    table = label_issues_csv(cleaned)
    assert sum(summary["found"].values()) == len(table) == sum(sum(by.values()) for by in summary["pairs"].values())
    assert summary["pairs"]["happy"]["angry"] == sum(row["suggested"] == "angry" for row in table) >= 2
    report = json.loads((cleaned.path / "report.json").read_text())
    assert [one["path"] for one in report["label_issues"]] == [row["path"] for row in table]


@pytest.mark.slow
def test_probabilities_are_out_of_fold(cleaned: Artifact, dataset: Artifact, runs: list[Path], tmp_path: Path) -> None:
    fold_of = {row.path: row.fold for row in read_index(dataset)}
    by_run = []
    for fold, run in enumerate(runs, 1):
        info = open_pack(open_artifact(run.parent / f"pack{fold}", "pack"))
        checkpoint = load_checkpoint(run)
        found = {}
        for split in info.counts:
            faces = read_split(info, split)
            cpu = __import__("torch").device("cpu")
            shares = predict_images(checkpoint, faces.images, device=cpu, calibrated=False, batch_size=64)
            found |= dict(zip(faces.paths, shares, strict=True))
        by_run.append(found)
    for row in label_issues_csv(cleaned):
        path = row["path"]
        # Fold 1 is the validation split of the first run; neither run was trained on test images.
        runs_of_fold = {"1": [0], "2": [1], "": [0, 1]}[fold_of[path]]
        expected = np.mean([by_run[k][path] for k in runs_of_fold], axis=0)
        assert [float(row[emotion]) for emotion in EMOTIONS] == pytest.approx(expected.tolist(), abs=2e-5)


def test_images_without_out_of_fold_prediction_are_counted(
    dataset: Artifact, runs: list[Path], tmp_path: Path, fer: Callable[..., Any]
) -> None:
    ended = fer("clean", dataset.path, tmp_path / "out", "--labels", runs[0], "--device", "cpu")
    assert ended.code == 0
    assert "48 of 120 images were not examined, since every run was trained on them; give a cross-" in ended.err
    assert "not examined, since all runs were trained on them: 48 images" in ended.out
    assert "of 48 train" in ended.out
    summary = open_artifact(tmp_path / "out").summary["label_issues"]
    assert summary["examined"] == {"train": 48, "test": 24}
    assert summary["without_prediction"] == {"train": 48, "test": 0}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "One run predicted" in page
    assert "48 images were used to train every run" in page


@pytest.mark.slow
def test_drop_label_issues_removes_them_from_train_only(
    dataset: Artifact, runs: list[Path], cleaned: Artifact, tmp_path: Path
) -> None:
    done = fercli.clean(dataset.path, tmp_path / "out", labels=runs, drop_label_issues=True, device="cpu")
    table = label_issues_csv(done)
    assert table == label_issues_csv(cleaned)
    gone = [row["path"] for row in table if row["split"] == "train"]
    assert len(gone) >= 2
    assert sorted(done.manifest.skipped["label issue"]) == sorted(gone)
    with (done.path / "removed.csv").open(newline="") as file:
        reasons = {row["path"]: row["reason"] for row in csv.DictReader(file)}
    assert reasons == dict.fromkeys(gone, "label issue")
    kept = read_index(done)
    assert {row.path for row in kept} == {row.path for row in read_index(dataset)} - set(gone)
    assert "test/sad/happy-39.png" in {row.path for row in kept}
    assert not any(row.fold for row in kept)  # folds without them would be easier test sets
    with pytest.raises(UsageError, match="has no folds"):
        fercli.pack(done.path, tmp_path / "pack", fold=1)
    page = (done.path / "report.html").read_text()
    assert "Label issues in train were removed; those in validation and test are kept" in page
    assert "Label issue" in page


@pytest.mark.slow
def test_report_only_lists_removals(dataset: Artifact, runs: list[Path], tmp_path: Path) -> None:
    done = fercli.clean(
        dataset.path, tmp_path / "out", labels=runs, drop_label_issues=True, report_only=True, device="cpu"
    )
    assert done.manifest.kind == "report"
    assert done.summary["removed"]["train"] == done.summary["label_issues"]["found"]["train"] >= 2
    assert sorted(path.name for path in done.path.iterdir()) == [
        "artifact.json",
        "label_issues.csv",
        "report.html",
        "report.json",
    ]


def test_runs_are_inputs(cleaned: Artifact, dataset: Artifact, runs: list[Path]) -> None:
    expected = [dataset.manifest.digest, *(open_artifact(run).manifest.digest for run in runs)]
    assert [one.digest for one in cleaned.manifest.inputs] == expected
    assert fercli.clean(dataset.path, cleaned.path, labels=runs, device="cpu").up_to_date
    with pytest.raises(DataError, match="a different dataset already exists"):
        fercli.clean(dataset.path, cleaned.path, labels=runs[:1], device="cpu")


def test_page_shows_faces_by_pair(cleaned: Artifact) -> None:
    page = (cleaned.path / "report.html").read_text()
    part = page[page.index("<h2>Label issues") : page.index("Exact copies across splits")]
    total = len(label_issues_csv(cleaned))
    assert f"{total} of {total} shown" in part
    assert part.count("<img ") == total
    assert re.search(r"happy → angry <small>\d+ of \d+</small>", part)
    for row in label_issues_csv(cleaned):
        caption = f"{row['emotion']} → <b>{row['suggested']}</b>"
        assert re.search(rf'alt="{re.escape(row["path"])}">\s*<figcaption>.*{caption}', part)
    assert re.search(r'<th scope="row">happy</th><td class="most">\d', part)
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', page) == []


# --- units ---


def test_families_are_treated_as_one(tmp_path: Path, runs: list[Path]) -> None:
    """A run trained on a child has seen its parent and the parent's other children."""
    from fercli.stages.clean.out_of_fold import families

    rows = [
        Row("train/sad/1.png", "train", "sad", sha256="a"),
        Row("train/sad/1a.png", "train", "sad", sha256="b", origin="augmented", parent="train/sad/1.png"),
        Row("train/sad/1aa.png", "train", "sad", sha256="c", origin="augmented", parent="train/sad/1a.png"),
        Row("test/sad/2.png", "test", "sad", sha256="a"),
        Row("test/sad/3.png", "test", "sad", sha256="d"),
    ]
    assert families(rows) == ["a", "a", "a", "a", "d"]


def test_derived_images_follow_their_original() -> None:
    rows = [
        Row("train/sad/1.png", "train", "sad"),
        Row("train/sad/1a.png", "train", "sad", origin="augmented", parent="train/sad/1.png"),
        Row("train/sad/1aa.png", "train", "sad", origin="augmented", parent="train/sad/1a.png"),
        Row("validation/sad/2.png", "validation", "sad"),
        Row("train/sad/3.png", "train", "sad"),
    ]
    label_issues = LabelIssues(1, ["sad"], {}, {}, 0.0, [LabelIssue(0, "happy", {}), LabelIssue(3, "happy", {})])
    assert {i: why.reason for i, why in drops(rows, label_issues).items()} == {
        0: "label issue",
        1: "label issue in parent",
        2: "label issue in parent",
    }


def test_emotions_without_images() -> None:
    emotions = ["angry", "disgust", "sad", "contempt"]
    generator = np.random.default_rng(0)
    rows, predicted = [], {}
    for i in range(60):
        true = 0 if i < 30 else 2
        shares = np.full(4, 0.02)
        shares[true] = generator.uniform(0.6, 0.94)
        predicted[i] = shares / shares.sum()
        rows.append(Row(f"train/x/{i}.png", "train", emotions[2 - true if i in (5, 40) else true]))
    found = find_label_issues(rows, emotions, 1, predicted)
    assert {one.image for one in found.found} == {5, 40}
    assert {one.suggested for one in found.found} == {"angry", "sad"}
    assert found.agreement == pytest.approx(58 / 60)
    alone = find_label_issues([Row("train/x/0.png", "train", "sad")], emotions, 1, {0: predicted[40]})
    assert alone.found == []


@pytest.mark.slow
def test_weak_runs_give_a_warning(dataset: Artifact, runs: list[Path], tmp_path: Path, fer: Callable[..., Any]) -> None:
    images, _ = make_faces()
    turned = {path: np.ascontiguousarray(face[::-1]) for path, face in images.items()}
    data = make_dataset(tmp_path / "data", turned)
    ended = fer("clean", data.path, tmp_path / "out", "--labels", runs[0], "--labels", runs[1], "--device", "cpu")
    agreement = open_artifact(tmp_path / "out").summary["label_issues"]["agreement"]
    assert agreement < 0.5
    assert f"the runs agree with only {agreement:.0%} of the labels" in ended.err
    assert f"They agree with {100 * agreement:.1f} %" in (tmp_path / "out" / "report.html").read_text()


# --- errors ---


def test_run_trained_on_other_images_gives_a_warning(runs: list[Path], tmp_path: Path, fer: Callable[..., Any]) -> None:
    images = {path: np.ascontiguousarray(face[::-1]) for path, face in make_faces()[0].items()}
    make_dataset(tmp_path / "turned", images)
    ended = fer("clean", tmp_path / "turned", tmp_path / "out", "--labels", runs[0])
    assert ended.code == 0
    assert f"{runs[0]} was trained on none of these images" in ended.err


def test_invalid_calls_are_refused(dataset: Artifact, runs: list[Path], tmp_path: Path) -> None:
    def call(**options: Any) -> None:
        fercli.clean(dataset.path, tmp_path / "out", device="cpu", **options)

    with pytest.raises(UsageError, match="drop-label-issues: give the runs that find them with --labels RUN"):
        call(drop_label_issues=True)
    with pytest.raises(UsageError, match="are the same run; give each run once"):
        call(labels=[runs[0], runs[1], runs[0]])
    with pytest.raises(DataError, match="no such path"):
        call(labels=[tmp_path / "none"])
    with pytest.raises(DataError, match="is a dataset; expected a run or checkpoint"):
        call(labels=[dataset.path])
    assert list(tmp_path.iterdir()) == []


def test_run_that_lacks_an_emotion_is_refused(runs: list[Path], tmp_path: Path) -> None:
    images = {
        f"test/{emotion}/1.png": face for emotion, face in zip(("fear", "sad"), draw_faces(np.arange(2)), strict=True)
    }
    data = make_dataset(tmp_path / "data", images)
    with pytest.raises(
        DataError, match=r"does not know fear, which the dataset .*data contains; it knows angry"
    ) as caught:
        fercli.clean(data.path, tmp_path / "out", labels=runs, device="cpu")
    assert "\n" not in str(caught.value)


def test_runs_trained_on_all_images_are_refused(dataset: Artifact, runs: list[Path], tmp_path: Path) -> None:
    images, columns = make_faces()
    trained = {path: face for path, face in images.items() if columns[path].get("fold") == "2"}
    data = make_dataset(tmp_path / "data", trained)
    with pytest.raises(DataError, match="the runs of --labels were trained on every image; give a cross-validation"):
        fercli.clean(data.path, tmp_path / "out", labels=runs[:1], device="cpu")


def test_checkpoint_outside_its_run_is_refused(dataset: Artifact, runs: list[Path], tmp_path: Path) -> None:
    import shutil

    shutil.copytree(runs[0] / "best", tmp_path / "alone")
    with pytest.raises(DataError, match=r"--labels requires training_sha256\.npy next to it; use a run"):
        fercli.clean(dataset.path, tmp_path / "out", labels=[tmp_path / "alone"], device="cpu")


def test_missing_cleanlab_is_a_one_line_error(
    dataset: Artifact, runs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name.split(".")[0] == "cleanlab":
            raise ImportError(name)
        return plain(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(FerError, match=r"--labels: needs cleanlab; install it with: pip install 'fercli\[labels\]'"):
        fercli.clean(dataset.path, tmp_path / "out", labels=runs, device="cpu")
    with pytest.raises(FerError, match="pip install"):
        confident.check_installed()


@pytest.mark.slow
def test_without_labels_neither_torch_nor_cleanlab_is_imported(dataset: Artifact, tmp_path: Path) -> None:
    code = (
        "import sys, fercli; fercli.clean(sys.argv[1], sys.argv[2]); "
        "print([name for name in ('torch', 'cleanlab', 'sklearn') if name in sys.modules])"
    )
    process = python(code, dataset.path, tmp_path / "out")
    out, err = process.communicate(timeout=60)
    assert (out.strip(), process.returncode) == ("[]", 0), err
    assert sys.executable
