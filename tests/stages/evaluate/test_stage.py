"""`fer evaluate`: every metric against scikit-learn, computed from predictions.csv."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.digests import digest_file
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, UsageError
from fercli.metrics.calibration import reliability_bins
from fercli.metrics.intervals import wilson_interval
from fercli.stages.evaluate.config import EvaluateConfig
from fercli.stages.evaluate.stage import evaluate
from tests.helpers.models import make_run
from tests.helpers.packs import draw_faces, make_pack

KEYS = {
    "split",
    "n",
    "tta",
    "selection",
    "emotions",
    "accuracy",
    "accuracy_interval",
    "balanced_accuracy",
    "macro_f1",
    "averaged_over",
    "roc_auc",
    "per_class",
    "confusion",
    "without_leaks",
    "calibration",
    "selective",
}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    labels = {"test": [0, 1, 2, 3, 4, 5] * 8 + [3] * 12}  # unequal, and no neutral face
    counts = {"train": 28, "validation": 14, "test": 60}
    return make_pack(tmp_path_factory.mktemp("pack") / "pack", counts, labels=labels)


@pytest.fixture(scope="module")
def run(pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_run(tmp_path_factory.mktemp("run") / "run", pack)


@pytest.fixture(scope="module")
def evaluation(run: Artifact, pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """An evaluation for tests that do not modify it."""
    return run_evaluate(run.path, pack, tmp_path_factory.mktemp("evaluation") / "evaluation")


def run_evaluate(checkpoint: Path, pack: Artifact | None, out: Path, **options: Any) -> Artifact:
    source = pack.path if pack else None
    return evaluate(EvaluateConfig.of(checkpoint=checkpoint, pack=source, out=out, device="cpu", **options))


def predictions(evaluation: Artifact) -> tuple[list[str], np.ndarray, np.ndarray, list[str]]:
    """Return predictions.csv: paths, labels by index, probabilities and emotions."""
    with (evaluation.path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    emotions = header[2:]
    labels = np.array([emotions.index(row[1]) for row in rows])
    return [row[0] for row in rows], labels, np.array([row[2:] for row in rows], float), emotions


# --- metrics ---


@pytest.mark.slow
def test_metrics_match_scikit_learn(evaluation: Artifact) -> None:
    paths, labels, probabilities, emotions = predictions(evaluation)
    predicted, summary = probabilities.argmax(1), evaluation.summary
    assert len(set(predicted)) > 2
    every = range(len(emotions))
    assert summary["n"] == len(paths) == 60
    assert summary["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert summary["accuracy_interval"] == list(wilson_interval(int((labels == predicted).sum()), 60))
    assert summary["balanced_accuracy"] == pytest.approx(
        np.mean([(predicted[labels == c] == c).mean() for c in np.unique(labels)])
    )
    assert summary["macro_f1"] == pytest.approx(
        sk.f1_score(labels, predicted, average="macro", labels=np.unique(labels), zero_division=0)
    )
    assert summary["averaged_over"] == 6  # there is no neutral face
    areas = [sk.roc_auc_score(labels == c, probabilities[:, c]) for c in np.unique(labels)]
    assert summary["roc_auc"] == pytest.approx(np.mean(areas), abs=1e-3)  # probabilities were written with six digits
    assert summary["confusion"] == sk.confusion_matrix(labels, predicted, labels=every).tolist()
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        labels, predicted, labels=every, zero_division=0
    )
    for c, emotion in enumerate(emotions):
        specificity = sk.recall_score(labels != c, predicted != c)
        expected = [precision[c], recall[c], specificity, f1[c], support[c]]
        if not support[c]:
            assert precision[c] == 0
            expected = [0.0 if c in predicted else None, None, specificity, None, 0]
        found = summary["per_class"][emotion]
        assert list(found) == ["precision", "recall", "specificity", "f1", "support"]
        assert list(found.values()) == pytest.approx(expected)


@pytest.mark.slow
def test_calibration_before_and_after(evaluation: Artifact, run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    checkpoint = shutil.copytree(run.path / "best", tmp_path / "calibrated")
    metadata = json.loads((checkpoint / "model.json").read_text())
    (checkpoint / "model.json").write_text(json.dumps({**metadata, "temperature": 0.7}))
    calibrated = run_evaluate(checkpoint, pack, tmp_path / "evaluation")
    _, labels, raw, _ = predictions(evaluation)
    _, _, probabilities, _ = predictions(calibrated)
    expected = raw ** (1 / 0.7)
    assert probabilities == pytest.approx(expected / expected.sum(1, keepdims=True), abs=1e-4)
    found = calibrated.summary["calibration"]
    assert (found["temperature"], found["bins"]) == (0.7, 15)
    assert found["error"] == pytest.approx(reliability_bins(probabilities, labels).error, abs=1e-4)
    assert found["raw_error"] == pytest.approx(reliability_bins(raw, labels).error, abs=1e-4)
    assert calibrated.summary["accuracy"] == evaluation.summary["accuracy"]
    assert evaluation.summary["calibration"]["raw_error"] == evaluation.summary["calibration"]["error"]
    page = (calibrated.path / "report.html").read_text("utf-8")
    assert "<h2>Calibration</h2>" in page
    assert "the temperature 0.700, which was fitted on validation" in page


@pytest.mark.slow
def test_selective_prediction_equals_a_loop(evaluation: Artifact) -> None:
    _, labels, probabilities, _ = predictions(evaluation)
    right, confidence = probabilities.argmax(1) == labels, probabilities.max(1)
    order = np.argsort(-confidence, kind="stable")
    risks = [float((~right[order[:k]]).mean()) for k in range(1, 61)]
    found = evaluation.summary["selective"]
    # Probabilities were written with six digits: faces whose confidence is equal then may be ordered differently.
    assert found["area"] == pytest.approx(np.mean(risks), abs=1e-3)
    assert found["coverage"] == [k / 10 for k in range(1, 11)]
    assert found["risk"] == pytest.approx([risks[6 * k - 1] for k in range(1, 11)], abs=1e-3)
    assert found["risk"][-1] == pytest.approx(1 - evaluation.summary["accuracy"])
    assert found["coverage_at_90"] == pytest.approx(max([k / 60 for k in range(1, 61) if risks[k - 1] <= 0.1] or [0]))
    assert 0 <= found["excess_area"] <= found["area"]
    assert "<h2>Selective prediction</h2>" in (evaluation.path / "report.html").read_text("utf-8")


@pytest.mark.slow
def test_summary_keys(evaluation: Artifact) -> None:
    summary = evaluation.summary
    assert set(summary) == KEYS
    assert list(summary["per_class"]) == summary["emotions"] == list(EMOTIONS)
    assert (summary["split"], summary["tta"], summary["without_leaks"]) == ("test", "none", None)
    assert summary["selection"] == "best of the epochs by validation accuracy (epoch 3)"
    assert json.loads((evaluation.path / "metrics.json").read_text()) == summary


@pytest.mark.slow
def test_predictions_csv(evaluation: Artifact) -> None:
    paths, labels, probabilities, emotions = predictions(evaluation)
    assert paths[:2] == ["test/angry/0.png", "test/disgust/1.png"]
    assert emotions == list(EMOTIONS)
    assert labels.tolist() == [0, 1, 2, 3, 4, 5] * 8 + [3] * 12
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_artifact_contents(evaluation: Artifact, run: Artifact, pack: Artifact) -> None:
    names = sorted(p.name for p in evaluation.path.iterdir())
    assert names == ["artifact.json", "confusion.png", "metrics.json", "predictions.csv", "report.html"]
    manifest = open_artifact(evaluation.path, "evaluation").manifest
    assert manifest.digest == digest_file(evaluation.path / "predictions.csv")
    assert [i.name for i in manifest.inputs] == ["checkpoint", "pack"]
    assert manifest.inputs[1].digest == pack.manifest.digest
    assert manifest.counts == {"test": {e: (20 if e == "happy" else 0 if e == "neutral" else 8) for e in EMOTIONS}}


def test_batch_size_is_not_part_of_the_key(evaluation: Artifact, run: Artifact, pack: Artifact) -> None:
    assert run_evaluate(run.path, pack, evaluation.path, batch_size=7).up_to_date
    assert run_evaluate(run.path / "best", pack, evaluation.path).up_to_date
    with pytest.raises(DataError, match="a different evaluation already exists"):
        run_evaluate(run.path, pack, evaluation.path, tta="flip")


@pytest.mark.slow
def test_batch_size_does_not_change_predictions(
    evaluation: Artifact, run: Artifact, pack: Artifact, tmp_path: Path
) -> None:
    other = run_evaluate(run.path, pack, tmp_path / "other", batch_size=7)
    np.testing.assert_allclose(predictions(other)[2], predictions(evaluation)[2], atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("tta", ["flip", "ten-crop"])
def test_tta_is_applied_and_reported(
    tta: str, evaluation: Artifact, run: Artifact, pack: Artifact, tmp_path: Path
) -> None:
    other = run_evaluate(run.path, pack, tmp_path / tta, tta=tta)
    assert other.summary["tta"] == tta
    assert np.abs(predictions(other)[2] - predictions(evaluation)[2]).max() > 1e-3


@pytest.mark.slow
def test_another_split(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    found = run_evaluate(run.path, pack, tmp_path / "validation", split="validation")
    assert (found.summary["split"], found.summary["n"]) == ("validation", 14)
    assert predictions(found)[0][0].startswith("validation/")


@pytest.mark.slow
def test_default_pack_is_the_training_pack(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    found = run_evaluate(run.path, None, tmp_path / "evaluation")
    assert found.manifest.inputs[1].digest == pack.manifest.digest


# --- leaks ---


@pytest.mark.slow
def test_without_leaks_excludes_training_images(pack: Artifact, run: Artifact, tmp_path: Path) -> None:
    leaked = draw_faces(np.arange(28) % 7, 16, "gray", 0)[:9]  # of the train split
    unseen = draw_faces(np.arange(12) % 7, 16, "gray", 99)
    labels = [*(k % 7 for k in range(9)), *(k % 7 for k in range(12))]
    order = np.random.default_rng(0).permutation(21)
    images = np.concatenate([leaked, unseen])[order]
    leaking = make_pack(
        tmp_path / "leaking", {"test": 21}, images={"test": images}, labels={"test": [labels[i] for i in order]}
    )
    found = run_evaluate(run.path, leaking, tmp_path / "evaluation", without_leaks=True).summary
    _, truth, probabilities, _ = predictions(open_artifact(tmp_path / "evaluation"))
    correct = probabilities.argmax(1) == truth
    kept = order >= 9
    assert found["n"] == 21
    assert found["accuracy"] == pytest.approx(correct.mean())
    assert set(found["without_leaks"]) == {"n", "accuracy", "accuracy_interval"}
    assert found["without_leaks"]["n"] == 12
    assert found["without_leaks"]["accuracy"] == pytest.approx(correct[kept].mean())
    assert found["without_leaks"]["accuracy_interval"] == list(wilson_interval(int(correct[kept].sum()), 12))
    assert "Without the 9 test images" in (tmp_path / "evaluation" / "report.html").read_text()


@pytest.mark.slow
def test_no_images_left_of_the_train_split(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    found = run_evaluate(run.path, pack, tmp_path / "evaluation", split="train", without_leaks=True).summary
    assert found["without_leaks"] == {"n": 0, "accuracy": None, "accuracy_interval": [0.0, 1.0]}


@pytest.mark.slow
def test_without_leaks_requires_the_run(run: Artifact, pack: Artifact, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(run.path / "best", tmp_path / "alone")
    with pytest.raises(DataError, match=r"--without-leaks requires training_sha256\.npy next to it; use a run"):
        run_evaluate(tmp_path / "alone", pack, tmp_path / "evaluation", without_leaks=True)
    assert run_evaluate(tmp_path / "alone", pack, tmp_path / "evaluation").summary["n"] == 60
    np.save(tmp_path / "training_sha256.npy", np.zeros((3, 31), np.uint8))
    with pytest.raises(DataError, match="not a list of digests"):
        run_evaluate(tmp_path / "alone", pack, tmp_path / "other", without_leaks=True)
    np.save(tmp_path / "training_sha256.npy", np.array([{}], dtype=object))
    with pytest.raises(DataError, match="--without-leaks requires"):
        run_evaluate(tmp_path / "alone", pack, tmp_path / "other", without_leaks=True)


# --- emotions ---


@pytest.mark.slow
def test_emotions_are_matched_by_name(pack: Artifact, run: Artifact, evaluation: Artifact, tmp_path: Path) -> None:
    # The same faces in a pack with the emotions in another order, without one that does not occur.
    other = ["surprise", "happy", "angry", "sad", "fear", "disgust"]
    names = [EMOTIONS[k] for k in [0, 1, 2, 3, 4, 5] * 8 + [3] * 12]
    images = draw_faces(np.array([0, 1, 2, 3, 4, 5] * 8 + [3] * 12), 16, "gray", 2)
    labels = {"test": [other.index(name) for name in names]}
    reordered = make_pack(tmp_path / "pack", {"test": 60}, emotions=other, images={"test": images}, labels=labels)
    found = run_evaluate(run.path, reordered, tmp_path / "evaluation")
    assert found.summary == evaluation.summary


def test_unknown_emotions_are_rejected(run: Artifact, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"test": 6}, emotions=["happy", "contempt"])
    with pytest.raises(
        DataError,
        match=r"does not know contempt, which the pack .* contains; .*, neutral; fer import --classes 7",
    ):
        run_evaluate(run.path, pack, tmp_path / "evaluation")
    assert not (tmp_path / "evaluation").exists()


def test_pack_without_the_split_is_rejected(run: Artifact, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"train": 7, "test": 0})
    with pytest.raises(DataError, match="the pack has no validation split; it has train, test"):
        run_evaluate(run.path, pack, tmp_path / "evaluation", split="validation")
    with pytest.raises(DataError, match="the test split is empty"):
        run_evaluate(run.path, pack, tmp_path / "evaluation")


@pytest.mark.slow
def test_roc_auc_is_undefined_for_one_emotion(run: Artifact, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"test": 5}, labels={"test": [3] * 5})
    found = run_evaluate(run.path, pack, tmp_path / "evaluation")
    assert found.summary["roc_auc"] is None
    assert "undefined" in (found.path / "report.html").read_text()


@pytest.mark.slow
def test_rgb_packs_work_with_gray_models(run: Artifact, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"test": 14}, color="rgb", side=24)
    assert run_evaluate(run.path, pack, tmp_path / "evaluation").summary["n"] == 14


def test_output_inside_the_run_is_rejected(run: Artifact, pack: Artifact) -> None:
    with pytest.raises(UsageError, match="the output is inside the input"):
        run_evaluate(run.path, pack, run.path / "evaluation")


# --- report ---


@pytest.mark.slow
def test_report_is_self_contained_and_escapes_names(tmp_path: Path) -> None:
    emotions = ["happy", "<script>alert(1)</script>", '" onload="x']
    paths = {"test": [f"test/<img src=x onerror=alert({i})>\n{i}.png" for i in range(30)]}
    pack = make_pack(tmp_path / "p<b>ack", {"train": 6, "test": 30}, emotions=emotions[:1], paths=paths)
    run = make_run(tmp_path / "run", pack, emotions)
    found = run_evaluate(run.path, pack, tmp_path / "evaluation", without_leaks=True)
    page = (found.path / "report.html").read_text()
    assert "<script" not in page
    assert "<img src=x" not in page
    assert 'onload="' not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert re.findall(r'(?:src|href)="(?!data:image/(?:png|svg\+xml);base64,)', page) == []
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert predictions(found)[0] == paths["test"]
    assert predictions(found)[3] == emotions


def test_report_shows_accuracy_and_lineage(evaluation: Artifact, run: Artifact, pack: Artifact) -> None:
    page = (evaluation.path / "report.html").read_text()
    assert f"{evaluation.summary['accuracy']:.1%}".rstrip("%") in page
    for digest in (run.manifest.digest, pack.manifest.digest[:12]):
        assert digest in page


@pytest.mark.slow
def test_report_mentions_leaks_of_the_pack(run: Artifact, tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"test": 7}, summary={"leaks": 1234})
    page = (run_evaluate(run.path, pack, tmp_path / "evaluation").path / "report.html").read_text()
    assert "1,234 pairs of identical images in two splits" in page
