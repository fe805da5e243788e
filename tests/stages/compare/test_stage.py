"""Comparisons of evaluations, groups of seeds and cross-validations: which test, which figures, which files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import fercli
from fercli.artifacts import Artifact
from fercli.errors import DataError, UsageError
from fercli.metrics.significance import mcnemar
from fercli.verification import verify
from tests.helpers.cli import CliResult
from tests.helpers.comparison import (
    EMOTIONS,
    make_cross_validation,
    make_evaluation,
    make_folds,
    path_of,
    predict,
)

Fer = Callable[..., CliResult]
LABELS = np.random.default_rng(3).integers(0, 3, 300)
OPTIONS = {"resamples": 500}


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def compare(*sides: str | Path | Artifact, out: Path, **options: Any) -> fercli.Comparison:
    return fercli.compare(list(sides), out, **{**OPTIONS, **options})


def group(folder: Path, name: str, accuracy: float, seeds: int, **options: Any) -> str:
    """Build the evaluations of several seeds; return their pattern."""
    for seed in range(seeds):
        make_evaluation(folder / f"{name}-{seed}", LABELS, predict(LABELS, accuracy, 10 * seed + len(name)), **options)
    return str(folder / f"{name}-*")


@pytest.mark.slow
def test_two_evaluations_by_mcnemars_test(tmp_path: Path) -> None:
    predicted = predict(LABELS, 0.7, 1), predict(LABELS, 0.45, 2)
    a, b = (make_evaluation(tmp_path / name, LABELS, own) for name, own in zip("ab", predicted, strict=True))
    found = compare(a, b, out=tmp_path / "c")
    s, (pair,) = found.summary, found.summary.pairs
    test = mcnemar(predicted[0] == LABELS, predicted[1] == LABELS)
    assert (pair.method, s.correction, pair.corrected_p) == ("images", None, None)
    assert [one.p_value for one in pair.tests] == [test.mid_p, test.p_value]
    assert pair.discordant == {
        "both": test.both,
        "only_first": test.only_first,
        "only_second": test.only_second,
        "neither": test.neither,
    }
    accuracy = pair.differences["accuracy"]
    assert accuracy.difference == pytest.approx(((predicted[0] == LABELS) * 1.0 - (predicted[1] == LABELS)).mean())
    assert accuracy.interval is not None
    assert 0 < accuracy.interval[0] < accuracy.difference < accuracy.interval[1]
    assert pair.significant
    assert pair.verdict.startswith("a is more accurate than b (+")
    assert list(pair.differences) == [
        "accuracy", "balanced_accuracy", "macro_f1", *(f"recall {emotion}" for emotion in EMOTIONS),
    ]  # fmt: skip
    assert any("one run a side says nothing about training: train several seeds" in notice for notice in s.notices)


@pytest.mark.slow
def test_the_files(tmp_path: Path) -> None:
    predicted = predict(LABELS, 0.7, 1), predict(LABELS, 0.45, 2)
    a, b = (make_evaluation(tmp_path / name, LABELS, own) for name, own in zip("ab", predicted, strict=True))
    found = compare(a, b, out=tmp_path / "c")
    assert json.loads((found.path / "comparison.json").read_text()) == found.manifest.summary
    differences = rows_of(found.path / "differences.csv")
    assert [row["metric"] for row in differences] == list(found.summary.pairs[0].differences)
    assert float(differences[0]["difference"]) == pytest.approx(
        found.summary.pairs[0].differences["accuracy"].difference, rel=1e-5
    )
    where = np.flatnonzero(predicted[0] != predicted[1])
    disagreements = rows_of(found.path / "disagreements.csv")
    assert [row["path"] for row in disagreements] == [path_of(i, EMOTIONS[LABELS[i]]) for i in where]
    assert [row["b"] for row in disagreements] == [EMOTIONS[predicted[1][i]] for i in where]
    assert found.summary.disagreements == len(where)
    page = (found.path / "report.html").read_text()
    assert "McNemar&#39;s test, mid-p" in page
    assert "is gone or changed; disagreements.csv lists their paths" in page
    assert (found.path / "comparison.png").read_bytes().startswith(b"\x89PNG")
    assert verify(found) == []
    assert compare(a, b, out=tmp_path / "c").up_to_date


@pytest.mark.slow
def test_groups_of_seeds_by_welchs_test(tmp_path: Path) -> None:
    a, b = group(tmp_path, "good", 0.7, 5), group(tmp_path, "worse", 0.5, 6)
    found = compare(a, b, out=tmp_path / "c")
    (pair,), sides = found.summary.pairs, found.summary.sides
    values = [side.metrics["accuracy"].each for side in sides]
    expected = stats.ttest_ind(*values, equal_var=False)
    assert (pair.method, [side.runs for side in sides]) == ("seeds", [5, 6])
    assert (pair.tests[0].statistic, pair.p_value) == pytest.approx((expected.statistic, expected.pvalue))
    assert sides[0].metrics["accuracy"].mean == pytest.approx(np.mean(values[0]))
    assert sides[0].metrics["accuracy"].deviation == pytest.approx(np.std(values[0], ddof=1))
    assert pair.differences["accuracy"].difference == pytest.approx(np.mean(values[0]) - np.mean(values[1]))
    assert found.summary.notices == []
    assert pair.notes == []


@pytest.mark.slow
def test_one_run_against_a_group_does_what_can_be_done(tmp_path: Path) -> None:
    single = make_evaluation(tmp_path / "one", LABELS, predict(LABELS, 0.9, 1))
    found = compare(single, group(tmp_path, "seeds", 0.5, 3), out=tmp_path / "c")
    (pair,) = found.summary.pairs
    values = found.summary.sides[1].metrics["accuracy"].each
    t = (found.summary.sides[0].metrics["accuracy"].mean - np.mean(values)) / (
        np.std(values, ddof=1) * np.sqrt(1 + 1 / 3)
    )
    assert pair.method == "one run against seeds"
    assert pair.p_value == pytest.approx(2 * stats.t.sf(abs(t), 2))
    assert pair.tests[0].statistic == pytest.approx(t)
    assert "One side has a single run" in pair.notes[0]
    (turned,) = compare(str(tmp_path / "seeds-*"), single, out=tmp_path / "turned").summary.pairs
    assert (turned.tests[0].statistic, turned.p_value) == pytest.approx((-t, pair.p_value))


def folds_of(folder: Path, name: str, accuracy: float, repeats: int, number: int, **options: Any) -> Artifact:
    predicted = np.stack([predict(LABELS, accuracy, 7 * repeat + len(name)) for repeat in range(repeats)])
    folds = make_folds(repeats, number, len(LABELS))
    return make_cross_validation(folder / name, LABELS, predicted, folds, **options)


def fold_accuracies(artifact: Artifact) -> np.ndarray:
    return np.array([float(row["accuracy"]) for row in rows_of(artifact.path / "folds.csv")])


@pytest.mark.slow
def test_cross_validations_by_the_corrected_test(tmp_path: Path) -> None:
    a, b = folds_of(tmp_path, "first", 0.7, 2, 5), folds_of(tmp_path, "other-one", 0.5, 2, 5)
    found = compare(a, b, out=tmp_path / "c")
    (pair,) = found.summary.pairs
    d = fold_accuracies(a) - fold_accuracies(b)
    error = np.sqrt((1 / 10 + 1 / 4) * d.var(ddof=1))
    assert (pair.method, found.summary.n, found.summary.repeats) == ("kfold", 300, 2)
    assert [side.runs for side in found.summary.sides] == [10, 10]
    assert pair.tests[0].statistic == pytest.approx(d.mean() / error)
    assert pair.p_value == pytest.approx(2 * stats.t.sf(abs(d.mean() / error), 9))
    half = stats.t.ppf(0.975, 9) * error
    assert pair.differences["accuracy"].interval == pytest.approx([d.mean() - half, d.mean() + half])
    assert {row["repeat"] for row in rows_of(found.path / "disagreements.csv")} == {"1", "2"}


@pytest.mark.slow
def test_five_by_two_by_alpaydin_and_dietterich(tmp_path: Path) -> None:
    a, b = (folds_of(tmp_path, name, share, 5, 2, scheme="5x2") for name, share in (("a", 0.7), ("other", 0.5)))
    (pair,) = compare(a, b, out=tmp_path / "c").summary.pairs
    d = (fold_accuracies(a) - fold_accuracies(b)).reshape(5, 2)
    variances = (d[:, 0] - d[:, 1]) ** 2 / 2
    f, t = (d**2).sum() / (2 * variances.sum()), d[0, 0] / np.sqrt(variances.mean())
    assert [one.statistic for one in pair.tests] == pytest.approx([f, t])
    assert pair.p_value == pytest.approx(stats.f.sf(f, 10, 5))
    assert pair.tests[1].p_value == pytest.approx(2 * stats.t.sf(abs(t), 5))


@pytest.mark.slow
def test_several_sides_are_corrected_by_holm(tmp_path: Path) -> None:
    sides = [
        make_evaluation(tmp_path / name, LABELS, predict(LABELS, share, seed))
        for seed, (name, share) in enumerate((("a", 0.55), ("b", 0.5), ("c", 0.75)))
    ]
    s = compare(*sides, out=tmp_path / "all").summary
    assert [(pair.first, pair.second) for pair in s.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [pair.p_value for pair in s.pairs]
    order = np.argsort(raw)
    expected = np.maximum.accumulate(np.minimum(1, np.array(raw)[order] * [3, 2, 1]))
    assert [s.pairs[k].corrected_p for k in order] == pytest.approx(expected)
    assert s.correction == "Holm"
    assert "after correction" in s.pairs[1].verdict
    referred = compare(*sides, out=tmp_path / "first", reference=True).summary
    assert [(pair.first, pair.second) for pair in referred.pairs] == [("b", "a"), ("c", "a")]
    assert referred.pairs[0].differences["accuracy"].difference == pytest.approx(
        -s.pairs[0].differences["accuracy"].difference
    )


@pytest.mark.slow
def test_order_of_images_and_emotions_does_not_matter(tmp_path: Path) -> None:
    predicted = predict(LABELS, 0.6, 1), predict(LABELS, 0.5, 2)
    a, b = (make_evaluation(tmp_path / name, LABELS, own) for name, own in zip("ab", predicted, strict=True))
    order, emotions = np.random.default_rng(0).permutation(len(LABELS)), [EMOTIONS[k] for k in (2, 0, 1)]
    place = np.array([emotions.index(emotion) for emotion in EMOTIONS])
    paths = [path_of(int(i), EMOTIONS[LABELS[i]]) for i in order]
    other = make_evaluation(
        tmp_path / "other", place[LABELS[order]], place[predicted[1][order]], emotions=emotions, paths=paths
    )
    pairs = [compare(a, one, out=tmp_path / f"c-{one.path.name}").summary.pairs[0] for one in (b, other)]
    assert pairs[0].differences == pairs[1].differences
    assert pairs[0].p_value == pairs[1].p_value


@pytest.mark.slow
def test_groups_of_images(tmp_path: Path) -> None:
    a, b = (make_evaluation(tmp_path / name, LABELS, predict(LABELS, s, 1)) for name, s in (("a", 0.9), ("b", 0.3)))
    table = tmp_path / "groups.csv"
    lines = [f"{path_of(i, EMOTIONS[label])},{'young' if i < 200 else 'old'}" for i, label in enumerate(LABELS)]
    table.write_text("\n".join(["path,group", *lines[:-1]]) + "\n")
    found = compare(a, b, out=tmp_path / "c", by=table)
    assert [(one.group, one.n) for one in found.summary.groups] == [("young", 200), ("old", 99), ("(none)", 1)]
    first = [np.array([row["label"] for row in rows_of(one.path / "predictions.csv")][:200]) for one in (a, b)]
    assert (first[0] == first[1]).all()
    young = found.summary.groups[0].difference
    right = [predict(LABELS, share, 1)[:200] == LABELS[:200] for share in (0.9, 0.3)]
    assert young.difference == pytest.approx(right[0].mean() - right[1].mean())
    assert {row["group"] for row in rows_of(found.path / "differences.csv")} == {"", "young", "old", "(none)"}
    assert "By " in (found.path / "report.html").read_text()


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("subjet", "no column 'subjet'; did you mean subject"),
        ("subject", "names no dataset, for --by subject"),
    ],
)
def test_groups_that_are_not_there(tmp_path: Path, by: str, message: str) -> None:
    a, b = (make_evaluation(tmp_path / n, LABELS, predict(LABELS, 0.5, s)) for s, n in enumerate("ab"))
    with pytest.raises((UsageError, DataError), match=message):
        compare(a, b, out=tmp_path / "c", by=by)
    assert not (tmp_path / "c").exists()


@pytest.mark.slow
def test_the_command_line_says_what_it_found(tmp_path: Path, fer: Fer) -> None:
    a, b = group(tmp_path, "good", 0.8, 3), group(tmp_path, "worse", 0.5, 2)
    result = fer("compare", a, b, "--out", tmp_path / "c", "--resamples", "200")
    assert result.code == 0, result.err
    for text in ("3 and 2 runs", "Welch's t-test", "is more accurate than", "recall happy", "fewer than 5 runs"):
        assert text in " ".join(result.out.split())
    again = fer("compare", a, b, "--out", tmp_path / "c", "--resamples", "200", "--json")
    assert json.loads(again.out)["pairs"][0]["method"] == "seeds"
    shown = fer("show", tmp_path / "c")
    assert "is more accurate than" in " ".join(shown.out.split())
