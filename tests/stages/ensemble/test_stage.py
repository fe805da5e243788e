"""`fer ensemble`: predictions checked against its members' evaluations, and selection on validation only."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.building import partial_path
from fercli.artifacts.digests import digest_file
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, FerError, UsageError
from fercli.evaluation.mixture import fit_weights
from fercli.evaluation.summary import EnsembleSummary, EvaluationSummary
from fercli.images import encode_png
from fercli.metrics.intervals import wilson_interval
from fercli.packs.file import read_split
from fercli.packs.opening import open_pack
from fercli.stages.ensemble.combining import TIE
from tests.helpers.models import make_run
from tests.helpers.packs import QUICK, draw_faces, make_pack

COUNTS = {"train": 28, "validation": 35, "test": 42}
REORDERED = [3, 1, 6, 0, 2, 5, 4]
MEMBER_METRICS = ["accuracy", "accuracy_interval", "validation_accuracy"]
MEMBER_KEYS = ["checkpoint", "architecture", "options", "weight", *MEMBER_METRICS, "selected"]
MCNEMAR_KEYS = ["best_member", "best_by", "both", "only_ensemble", "only_member", "neither", "p_value"]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_pack(tmp_path_factory.mktemp("pack") / "pack", COUNTS)


@pytest.fixture(scope="module")
def runs(pack: Artifact, tmp_path_factory: pytest.TempPathFactory) -> list[Artifact]:
    """Runs that differ in weights, input size and order of emotions."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        make_run(folder / "one", pack),
        make_run(folder / "small", pack, seed=1, side=8),
        make_run(folder / "turned", pack, seed=2, order=REORDERED),
    ]


@pytest.fixture(scope="module")
def result(runs: list[Artifact], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A weighted ensemble for tests that do not modify it."""
    return run_ensemble(runs, tmp_path_factory.mktemp("found") / "ensemble", method="weighted")


@pytest.fixture(autouse=True)
def _no_plots(result: Artifact, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the plots after the first ensemble, which draws them."""
    for name in ("confusion_plot", "roc_plot", "curves_plot"):
        monkeypatch.setattr(f"fercli.evaluation.files.{name}", lambda *_: encode_png(np.zeros((1, 1), np.uint8)))


def run_ensemble(runs: Sequence[Artifact], out: Path, **options: Any) -> Artifact:
    return fercli.ensemble([run.path for run in runs], out, device="cpu", **options)


def predictions(evaluation: Artifact) -> tuple[np.ndarray, np.ndarray]:
    """Return labels (N,) and probabilities (N, C) of predictions.csv, in the canonical order of emotions."""
    with (evaluation.path / "predictions.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    columns = [header.index(emotion) for emotion in EMOTIONS]
    values = np.array([[float(row[column]) for column in columns] for row in rows])
    return np.array([EMOTIONS.index(row[1]) for row in rows]), values


def member_probabilities(runs: Sequence[Artifact], pack: Artifact, folder: Path, split: str = "test") -> np.ndarray:
    """Return the members' probabilities from evaluate, (K, N, C)."""
    each = [fercli.evaluate(run.path, pack.path, folder / run.path.name, split=split, device="cpu") for run in runs]
    return np.stack([predictions(one)[1] for one in each])


# --- predictions, by hand ---


@pytest.mark.slow
def test_mean_is_the_members_mean(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    result = run_ensemble(runs, tmp_path / "ensemble")
    labels, combined = predictions(result)
    assert labels.tolist() == read_split(open_pack(pack), "test").labels.tolist()
    np.testing.assert_allclose(combined, member_probabilities(runs, pack, tmp_path / "alone").mean(0), atol=2e-6)
    assert [member["weight"] for member in result.summary["members"]] == pytest.approx([1 / 3] * 3)


@pytest.mark.slow
def test_vote_is_the_majority(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    result = run_ensemble(runs, tmp_path / "ensemble", method="vote")
    members = member_probabilities(runs, pack, tmp_path / "alone")
    votes = np.eye(7)[members.argmax(2)].mean(0)
    combined = predictions(result)[1]
    np.testing.assert_allclose(combined, votes, atol=TIE)
    order = votes + 1e-3 * members.mean(0)
    assert combined.argmax(1).tolist() == order.argmax(1).tolist()
    assert result.summary["accuracy"] == pytest.approx((order.argmax(1) == predictions(result)[0]).mean())


@pytest.mark.slow
def test_weights_are_fitted_on_validation(
    result: Artifact, runs: list[Artifact], pack: Artifact, tmp_path: Path
) -> None:
    validation = member_probabilities(runs, pack, tmp_path / "validation", split="validation")
    labels = read_split(open_pack(pack), "validation").labels
    weights = fit_weights(validation[:, np.arange(len(labels)), labels].T)
    found_weights = [member["weight"] for member in result.summary["members"]]
    assert found_weights == pytest.approx(weights, abs=1e-4)
    assert max(found_weights) - min(found_weights) > 0.05
    expected = (weights[:, None, None] * member_probabilities(runs, pack, tmp_path / "test")).sum(0)
    np.testing.assert_allclose(predictions(result)[1], expected, atol=1e-4)


@pytest.mark.slow
def test_order_of_emotions_does_not_matter(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    straight = [*runs[:2], make_run(tmp_path / "straight", pack, seed=2)]
    a = run_ensemble(straight, tmp_path / "a", method="weighted")
    b = run_ensemble([*runs[:2], runs[2]], tmp_path / "b", method="weighted")
    c = run_ensemble(
        [runs[2], *runs[:2]], tmp_path / "c", method="weighted"
    )  # the ensemble has the first member's order
    for one in (b, c):
        np.testing.assert_allclose(predictions(one)[1], predictions(a)[1], atol=2e-6)
        assert one.summary["accuracy"] == a.summary["accuracy"]
        for emotion in EMOTIONS:
            assert one.summary["per_class"][emotion] == a.summary["per_class"][emotion]
    assert c.manifest.emotions == [EMOTIONS[k] for k in REORDERED]


@pytest.mark.slow
def test_members_of_different_architecture_and_colour(runs: list[Artifact], tmp_path: Path) -> None:
    rgb = make_pack(tmp_path / "rgb", COUNTS, color="rgb", side=24)
    other = make_run(tmp_path / "resnet", rgb, model="resnet18", side=32, options={"reduced": True})
    both = [runs[0], other, make_run(tmp_path / "attentive", rgb, seed=3, options={"attention": "eca"})]
    result = run_ensemble(both, tmp_path / "ensemble", pack=rgb.path)
    np.testing.assert_allclose(
        predictions(result)[1], member_probabilities(both, rgb, tmp_path / "alone").mean(0), atol=2e-6
    )
    assert [member["architecture"] for member in result.summary["members"]] == ["quick", "resnet18", "quick"]
    options = [member["options"] for member in result.summary["members"]]
    assert options == [{}, {"reduced": "reduced"}, {"attention": "eca"}]
    page = (result.path / "report.html").read_text()
    assert "<td>resnet18 reduced</td>" in page
    assert "<td>quick eca</td>" in page


@pytest.mark.slow
def test_tta_is_applied_to_each_member(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    result = run_ensemble(runs[:2], tmp_path / "ensemble", tta="flip")
    each = [fercli.evaluate(run.path, out=tmp_path / run.path.name, tta="flip", device="cpu") for run in runs[:2]]
    np.testing.assert_allclose(predictions(result)[1], np.mean([predictions(one)[1] for one in each], 0), atol=2e-6)
    assert result.summary["tta"] == "flip"


# --- summary and report ---


@pytest.mark.slow
def test_summary_keys(result: Artifact, runs: list[Artifact], tmp_path: Path) -> None:
    evaluation = fercli.evaluate(runs[0].path, out=tmp_path / "evaluation", device="cpu")
    keys = list(evaluation.summary)
    assert list(result.summary) == [*keys, "method", "members", "mcnemar"]
    assert set(EvaluationSummary.model_fields) - {"groups", "corruptions", "affect"} == set(keys)
    assert set(EnsembleSummary.model_fields) - {"groups", "corruptions", "affect"} == set(result.summary)
    assert [list(member) for member in result.summary["members"]] == [MEMBER_KEYS] * 3
    assert list(result.summary["mcnemar"]) == MCNEMAR_KEYS
    assert json.loads((result.path / "metrics.json").read_text()) == result.summary
    names = sorted(path.name for path in evaluation.path.iterdir())
    assert sorted(path.name for path in result.path.iterdir()) == names


@pytest.mark.slow
def test_artifact_contents(result: Artifact, runs: list[Artifact], pack: Artifact) -> None:
    manifest = open_artifact(result.path, "evaluation").manifest
    assert manifest.digest == digest_file(result.path / "predictions.csv")
    assert [one.kind for one in manifest.inputs] == ["checkpoint"] * 3 + ["pack"]
    assert manifest.inputs[3].digest == pack.manifest.digest
    assert manifest.options == {
        "method": "weighted", "select": False, "split": "test", "tta": "none", "without_leaks": False
    }  # fmt: skip
    assert sum(manifest.counts["test"].values()) == 42
    assert run_ensemble(runs, result.path, method="weighted").up_to_date


@pytest.mark.slow
def test_member_metrics_match_evaluate(result: Artifact, runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    for run, member in zip(runs, result.summary["members"], strict=True):
        test = fercli.evaluate(run.path, pack.path, tmp_path / f"{run.path.name}-t", device="cpu").summary
        seen = fercli.evaluate(
            run.path, pack.path, tmp_path / f"{run.path.name}-v", split="validation", device="cpu"
        ).summary
        assert (member["checkpoint"], member["architecture"]) == (run.path.name, "quick")
        assert member["accuracy"] == test["accuracy"]
        assert member["accuracy_interval"] == test["accuracy_interval"]
        assert member["validation_accuracy"] == pytest.approx(seen["accuracy"])
        assert member["selected"] is True
    assert result.summary["selection"] == (
        "all 3 members, weights by validation negative log likelihood; "
        "each best of the epochs by validation accuracy (epochs 3, 3, 3)"
    )


def test_mcnemar_is_against_the_best_member_by_validation(
    result: Artifact, runs: list[Artifact], pack: Artifact, tmp_path: Path
) -> None:
    mcnemar, members = result.summary["mcnemar"], result.summary["members"]
    best = max(range(3), key=lambda k: members[k]["validation_accuracy"])
    assert mcnemar["best_member"] == members[best]["checkpoint"]
    assert mcnemar["best_by"] == "validation accuracy"
    labels, combined = predictions(result)
    ensemble = combined.argmax(1) == labels
    member = member_probabilities([runs[best]], pack, tmp_path)[0].argmax(1) == labels
    assert mcnemar["both"] == (ensemble & member).sum()
    assert mcnemar["only_ensemble"] == (ensemble & ~member).sum() > 0
    assert mcnemar["only_member"] == (member & ~ensemble).sum()
    assert mcnemar["both"] + mcnemar["only_ensemble"] + mcnemar["only_member"] + mcnemar["neither"] == 42
    count = mcnemar["only_ensemble"] + mcnemar["only_member"]
    assert mcnemar["p_value"] == pytest.approx(binomtest(mcnemar["only_member"], count).pvalue)


def test_report_lists_the_members(result: Artifact, runs: list[Artifact]) -> None:
    page = (result.path / "report.html").read_text()
    number = sum(member["weight"] > 0 for member in result.summary["members"])
    assert f"Ensemble of {number} (weighted) on pack, test split" in page
    for run, member in zip(runs, result.summary["members"], strict=True):
        assert f"{member['checkpoint']}</th>" in page
        assert f"{member['weight']:.3f}</td>" in page
        assert run.manifest.digest in page
    assert "McNemar" in page
    assert 'alt="Loss, accuracy' not in page  # no curves for several runs


@pytest.mark.slow
def test_member_names_are_distinct(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    for folder, seed in (("a", 4), ("b", 5)):
        (tmp_path / folder).mkdir()
        make_run(tmp_path / folder / "run", pack, seed=seed)
    paths = [tmp_path / "a" / "run", tmp_path / "b" / "run" / "last", runs[0].path / "best"]
    result = fercli.ensemble(paths, tmp_path / "ensemble", pack=pack.path, device="cpu")
    assert [m["checkpoint"] for m in result.summary["members"]] == ["run", "run/last", "one"]
    result = fercli.ensemble([paths[0], tmp_path / "b" / "run"], tmp_path / "other", device="cpu")
    assert [m["checkpoint"] for m in result.summary["members"]] == ["a/run", "b/run"]


# --- selection on validation ---


@pytest.mark.slow
def test_weights_and_members_do_not_depend_on_test(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    info = open_pack(pack)
    images = {split: read_split(info, split).images for split in COUNTS}
    labels = {split: read_split(info, split).labels.tolist() for split in COUNTS}
    labels["test"] = np.random.default_rng(0).permutation(labels["test"]).tolist()
    shuffled = make_pack(tmp_path / "shuffled", COUNTS, images=images, labels=labels)
    for options in ({"method": "weighted"}, {"select": True}, {"method": "weighted", "select": True}):
        name = "-".join(map(str, options.values()))
        a = run_ensemble(runs, tmp_path / f"{name}-a", pack=pack.path, **options).summary
        b = run_ensemble(runs, tmp_path / f"{name}-b", pack=shuffled.path, **options).summary
        assert a["accuracy"] != b["accuracy"]
        for key in ("weight", "validation_accuracy", "selected"):
            assert [m[key] for m in a["members"]] == [m[key] for m in b["members"]]
        assert a["mcnemar"]["best_member"] == b["mcnemar"]["best_member"]


@pytest.mark.slow
def test_selection_excludes_useless_members(pack: Artifact, tmp_path: Path) -> None:
    """Two trained members among two random ones, which only lower the accuracy."""
    good = [
        fercli.train(pack.path, tmp_path / f"good-{seed}", **{**QUICK, "epochs": 12, "seed": seed, "lr": 0.02})
        for seed in (0, 1)
    ]
    assert all(run.summary["validation"]["accuracy"] > 0.6 for run in good)
    bad = [make_run(tmp_path / f"bad-{seed}", pack, seed=seed) for seed in (7, 8)]
    result = run_ensemble([bad[0], *good, bad[1]], tmp_path / "ensemble", select=True).summary
    chosen = [member["checkpoint"] for member in result["members"] if member["selected"]]
    assert set(chosen) <= {"good-0", "good-1"}
    assert chosen
    for member in result["members"]:
        assert member["weight"] == pytest.approx(1 / len(chosen) if member["selected"] else 0)
    assert result["selection"].startswith(f"{len(chosen)} of 4 members by validation accuracy, equal weights; ")
    page = (tmp_path / "ensemble" / "report.html").read_text()
    assert "bad-7 (left out)" in page
    assert f"Ensemble of {len(chosen)} (mean)" in page


@pytest.mark.parametrize("options", [{"select": True}, {"method": "weighted"}])
def test_selection_split_cannot_be_evaluated(options: dict[str, Any], runs: list[Artifact], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="weights and members are selected on validation; evaluate them"):
        run_ensemble(runs, tmp_path / "ensemble", split="validation", **options)


def test_best_by_notes_evaluation_on_validation(runs: list[Artifact], tmp_path: Path) -> None:
    result = run_ensemble(runs, tmp_path / "ensemble", split="validation").summary
    assert result["mcnemar"]["best_by"] == "validation accuracy, on the evaluated split itself"
    assert [m["accuracy"] for m in result["members"]] == [m["validation_accuracy"] for m in result["members"]]


@pytest.mark.slow
def test_pack_without_validation(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    tests = make_pack(tmp_path / "tests", {"test": 14})
    for options, what in (({"method": "weighted"}, "--method weighted"), ({"select": True}, "--select")):
        with pytest.raises(DataError, match=f"no validation split, which {what} requires"):
            run_ensemble(runs, tmp_path / "ensemble", pack=tests.path, **options)
    assert not (tmp_path / "ensemble").exists()
    result = run_ensemble(runs, tmp_path / "mean", pack=tests.path).summary
    assert result["mcnemar"] is None
    assert [m["validation_accuracy"] for m in result["members"]] == [None] * 3
    # The best member is determined by the metadata's validation metrics, if all have them.
    known = [
        make_run(tmp_path / f"known-{k}", pack, seed=k, validation={"validation_accuracy": 0.3 + k / 10})
        for k in (1, 2)
    ]
    result = run_ensemble(known, tmp_path / "known", pack=tests.path, method="vote").summary
    assert result["mcnemar"]["best_member"] == "known-2"
    assert result["mcnemar"]["best_by"] == "validation accuracy in training"


@pytest.mark.slow
def test_note_on_members_trained_on_validation_images(runs: list[Artifact], tmp_path: Path) -> None:
    leaked = draw_faces(np.arange(28) % 7, 16, "gray", 0)[:9]  # of the train split
    fresh = draw_faces(np.arange(5) % 7, 16, "gray", 99)
    labels = {"validation": [*(k % 7 for k in range(9)), *range(5)]}
    pack = make_pack(
        tmp_path / "pack", {"validation": 14, "test": 7}, images={"validation": np.concatenate([leaked, fresh])},
        labels=labels,
    )  # fmt: skip
    result = run_ensemble(runs, tmp_path / "ensemble", pack=pack.path)
    assert "Members were trained on 9 of the 14 validation images." in (result.path / "report.html").read_text()


@pytest.mark.slow
def test_without_leaks_excludes_training_images_of_all_members(
    runs: list[Artifact], pack: Artifact, tmp_path: Path
) -> None:
    images = [draw_faces(np.arange(28) % 7, 16, "gray", seed) for seed in (0, 50, 99)]
    own = make_pack(tmp_path / "own", {"train": 28, "test": 7}, images={"train": images[1]})
    other = make_run(tmp_path / "other", own, seed=9)
    parts = [images[0][:9], images[1][:5], images[2][:12]]
    labels = {"test": [k % 7 for part in parts for k in range(len(part))]}
    leaking = make_pack(tmp_path / "leaking", {"test": 26}, images={"test": np.concatenate(parts)}, labels=labels)
    result = run_ensemble([runs[0], other], tmp_path / "ensemble", pack=leaking.path, without_leaks=True)
    truth, combined = predictions(result)
    right = (combined.argmax(1) == truth)[14:]
    assert result.summary["without_leaks"] == {
        "n": 12,
        "accuracy": pytest.approx(right.mean()),
        "accuracy_interval": list(wilson_interval(int(right.sum()), 12)),
    }
    page = (result.path / "report.html").read_text()
    assert "Without the 14 test images whose pixels any member was trained on" in page


# --- invalid input ---


def test_default_pack_is_that_of_the_first_member(
    result: Artifact, runs: list[Artifact], pack: Artifact, tmp_path: Path
) -> None:
    assert result.manifest.inputs[-1].digest == pack.manifest.digest
    shutil.copytree(runs[0].path / "best", tmp_path / "alone")
    with pytest.raises(FerError, match="no pack given, and none found under artifacts/"):
        fercli.ensemble([tmp_path / "alone", runs[1].path], tmp_path / "ensemble", device="cpu")


@pytest.mark.parametrize("number", [0, 1])
def test_fewer_than_two_members_are_rejected(number: int, runs: list[Artifact], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"an ensemble needs at least two members; add another \(fer evaluate"):
        run_ensemble(runs[:number], tmp_path / "ensemble")


@pytest.mark.slow
def test_repeated_model_is_rejected(runs: list[Artifact], tmp_path: Path) -> None:
    shutil.copytree(runs[0].path, tmp_path / "copy")
    for path in (runs[0].path, runs[0].path / "best", tmp_path / "copy", runs[0].path / "last"):
        with pytest.raises(UsageError, match=r"one/best and .* are the same model; name each once"):
            fercli.ensemble([runs[0].path, runs[1].path, path], tmp_path / "ensemble", device="cpu")
    # Equal weights with different metadata (the last epoch being the best) are the same model too.
    metadata = tmp_path / "copy" / "best" / "model.json"
    metadata.write_text(metadata.read_text().replace("best of the epochs", "last epoch of"))
    with pytest.raises(UsageError, match="are the same model"):
        fercli.ensemble([runs[0].path, tmp_path / "copy"], tmp_path / "ensemble", device="cpu")


def test_members_with_different_emotions_are_rejected(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    other = make_run(tmp_path / "other", pack, ["happy", "contempt", "sad"])
    with pytest.raises(DataError, match=r"best has angry, disgust, .*; only .*other/best has contempt$") as raised:
        run_ensemble([runs[0], other], tmp_path / "ensemble")
    assert "happy" not in str(raised.value)
    fewer = make_run(tmp_path / "fewer", pack, EMOTIONS[:6])
    with pytest.raises(DataError, match=r"but only .*one/best has neutral$"):
        run_ensemble([runs[0], fewer], tmp_path / "ensemble")


def test_pack_with_unknown_emotions_is_rejected(runs: list[Artifact], tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", {"test": 6}, emotions=["happy", "contempt"])
    with pytest.raises(DataError, match="does not know contempt, which the pack"):
        run_ensemble(runs, tmp_path / "ensemble", pack=pack.path)


def test_unfinished_run_is_rejected(runs: list[Artifact], tmp_path: Path) -> None:
    partial_path(tmp_path / "running").mkdir()
    with pytest.raises(DataError, match="running: this training has not finished; wait for it, or repeat the call"):
        fercli.ensemble([runs[0].path, tmp_path / "running"], tmp_path / "ensemble")
    with pytest.raises(DataError, match="nothing: no such path"):
        fercli.ensemble([runs[0].path, tmp_path / "nothing"], tmp_path / "ensemble")


def test_corrupt_member_is_rejected(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    broken = make_run(tmp_path / "broken", pack, seed=6)
    weights = broken.path / "best" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:999])
    with pytest.raises(DataError, match="not a valid safetensors file"):
        run_ensemble([runs[0], broken], tmp_path / "ensemble")
    with pytest.raises(DataError, match="is a pack; expected a checkpoint or run"):
        run_ensemble([runs[0], pack], tmp_path / "ensemble")


def test_nan_weights_are_rejected(runs: list[Artifact], pack: Artifact, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = make_run(tmp_path / "broken", pack, seed=6)
    file = broken.path / "best" / "model.safetensors"
    state = load_file(file)
    state["classifier.bias"][0] = float("nan")
    save_file(state, file)
    with pytest.raises(DataError, match=r"model\.safetensors: invalid weights: classifier\.bias contains NaN"):
        run_ensemble([runs[0], broken], tmp_path / "ensemble")
    assert not (tmp_path / "ensemble").exists()


def test_output_inside_an_input_is_rejected(runs: list[Artifact], pack: Artifact) -> None:
    for folder in (runs[0].path, runs[1].path, pack.path):
        with pytest.raises(UsageError, match="the output is inside the input"):
            run_ensemble(runs, folder / "ensemble", pack=pack.path)
