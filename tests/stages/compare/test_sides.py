"""What cannot be compared is refused in one line, and what weakens a comparison is said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact, artifact_input
from fercli.errors import DataError, FerError, UsageError
from tests.helpers.comparison import make_cross_validation, make_evaluation, make_folds, predict
from tests.helpers.models import make_run
from tests.helpers.packs import make_pack

LABELS = np.arange(60) % 3


def evaluation(folder: Path, name: str, seed: int = 0, labels: np.ndarray = LABELS, **options: Any) -> Artifact:
    return make_evaluation(folder / name, labels, predict(labels, 0.5, seed), **options)


def compare(*sides: Any, **options: Any) -> fercli.Comparison:
    out = Path(options.pop("out"))
    return fercli.compare(list(sides), out, resamples=100, **options)


def cross_validation(folder: Path, name: str, seed: int = 0, number: int = 3, **options: Any) -> Artifact:
    folds = make_folds(1, number, len(LABELS), options.pop("fold_seed", 0))
    return make_cross_validation(folder / name, LABELS, predict(LABELS, 0.5, seed)[None], folds, **options)


@pytest.mark.slow
def test_what_is_the_same_on_both_sides_is_refused(tmp_path: Path) -> None:
    a, b = evaluation(tmp_path, "a-0", 0), evaluation(tmp_path, "a-1", 1)
    out = tmp_path / "c"
    with pytest.raises(UsageError, match="are the same evaluation: a comparison of one evaluation with itself says"):
        compare(a, a, out=out)
    pattern = str(tmp_path / "a-*")
    with pytest.raises(UsageError, match="are the same group: a comparison of one group with itself says nothing"):
        compare(pattern, pattern, out=out)
    with pytest.raises(UsageError, match=r"a-1 is on both sides, in a-\* and in a-1; narrow the patterns"):
        compare(pattern, b, out=out)
    shutil.copytree(a.path, tmp_path / "copy")
    with pytest.raises(UsageError, match="a-0 and copy are the same evaluation"):
        compare(a, tmp_path / "copy", out=out)


def test_a_copy_within_a_group_is_refused(tmp_path: Path) -> None:
    a, b = evaluation(tmp_path, "a-0", 0), evaluation(tmp_path, "b", 1)
    shutil.copytree(a.path, tmp_path / "a-1")
    with pytest.raises(UsageError, match=r"a-1 in a-\* are the same evaluation; a group counts each once"):
        compare(str(tmp_path / "a-*"), b, out=tmp_path / "c")


@pytest.mark.slow
def test_what_is_no_side_is_refused(tmp_path: Path) -> None:
    a, pack = evaluation(tmp_path, "a"), make_pack(tmp_path / "pack")
    out = tmp_path / "c"
    for side, message in (
        (tmp_path / "none", "none: no such path"),
        (str(tmp_path / "x-*"), r"x-\*: no artifact matches this pattern"),
        (pack, "pack: is a pack; compare takes an evaluation or a run or a crossvalidation"),
    ):
        with pytest.raises(DataError, match=message):
            compare(a, side, out=out)
    with pytest.raises(UsageError, match="at least two sides"):
        compare(a, out=out)
    with pytest.raises(UsageError, match="split: applies to runs"):
        compare(a, evaluation(tmp_path, "b", 1), out=out, split="test")
    cross = [cross_validation(tmp_path, name, seed) for seed, name in enumerate(("c1", "c2"))]
    with pytest.raises(UsageError, match="predicted here; each crossvalidation has its own"):
        compare(*cross, out=out, split="test")
    with pytest.raises(UsageError, match=r"is an evaluation, but .* is a crossvalidation; all sides must be of one"):
        compare(a, cross_validation(tmp_path, "cv"), out=out)
    with pytest.raises(UsageError, match=r"is an evaluation, but .* is a run; .* evaluate the runs first"):
        compare(a, make_run(tmp_path / "run", pack), out=out)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "validation"}, r"is of the test split, but .* of validation"),
        ({"emotions": ("happy", "sad", "fear")}, "their emotions differ in fear, neutral"),
        ({"labels": LABELS[:-2]}, r"not the same images: 2 of 60 are in one only \(such as test/neutral/59.png, in"),
        (
            {"labels": np.where(np.arange(60) == 4, 2, LABELS), "paths": [f"{i}.png" for i in range(60)]},
            r"1 of 60 labels differ \(such as 4.png: sad, neutral\)",
        ),
    ],
)
def test_different_images_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    first = {"paths": options["paths"]} if "paths" in options else {}
    a, b = evaluation(tmp_path, "a", **first), evaluation(tmp_path, "b", 1, **options)
    with pytest.raises(DataError, match=message):
        compare(a, b, out=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_different_folds_are_refused(tmp_path: Path) -> None:
    a, other = cross_validation(tmp_path, "a"), cross_validation(tmp_path, "b", 1, fold_seed=1)
    with pytest.raises(DataError, match="images are in different folds"):
        compare(a, other, out=tmp_path / "c")
    more = cross_validation(tmp_path, "more", 1, number=4)
    with pytest.raises(DataError, match="images are in different folds"):
        compare(a, more, out=tmp_path / "c")
    with pytest.raises(UsageError, match=r"a group of cross-validations; give one a side"):
        compare(str(tmp_path / "[ab]"), more, out=tmp_path / "c")


def notices(*sides: Any, out: Path) -> str:
    return "\n".join(compare(*sides, out=out).summary.notices)


@pytest.mark.slow
def test_what_weakens_a_comparison_is_said(tmp_path: Path) -> None:
    pack = make_pack(tmp_path / "pack", summary={"leaks": 12})
    clean = make_pack(tmp_path / "clean", {"train": 14, "validation": 7, "test": 14})
    a = evaluation(tmp_path, "a", inputs=[artifact_input("pack", pack)])
    b = evaluation(
        tmp_path,
        "b",
        1,
        tta="flip",
        selection="published weights, selection unknown",
        inputs=[artifact_input("pack", clean)],
        without_leaks={"n": 50, "accuracy": 0.5, "accuracy_interval": [0.4, 0.6]},
    )
    found = notices(a, b, out=tmp_path / "c")
    for text in (
        "was written with 12 pairs of identical images in two splits",
        "the images come from different packs",
        "b was trained on 10 of the images",
        "may have been selected on these images (published weights, selection unknown)",
        "test-time augmentation differs (none, flip)",
        "one run a side says nothing about training: train several seeds",
    ):
        assert text in found
    page = (tmp_path / "c" / "report.html").read_text()
    assert "one run a side says nothing" in page  # as they are: many begin with a name, which capitals would change
    on_validation = [evaluation(tmp_path, f"v{seed}", seed, split="validation") for seed in (0, 1)]
    assert "validation images, on which each run's epoch was chosen" in notices(*on_validation, out=tmp_path / "d")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of two recipes, each with two seeds."""
    folder = tmp_path_factory.mktemp("runs")
    pack = make_pack(folder / "pack")
    for seed in (0, 1):
        make_run(folder / f"plain-{seed}", pack, seed=seed)
        make_run(folder / f"small-{seed}", pack, seed=10 + seed, options={"reduced": True})
    return folder


@pytest.mark.slow
def test_runs_are_predicted_on_validation_unless_told_otherwise(runs: Path, tmp_path: Path) -> None:
    sides = [str(runs / "plain-*"), str(runs / "small-*")]
    found = compare(*sides, out=tmp_path / "validation", device="cpu").summary
    assert (found.compared, found.split, found.n) == ("run", "validation", 14)
    assert any("each run's epoch was chosen" in notice for notice in found.notices)
    test = compare(*sides, out=tmp_path / "test", split="test", device="cpu").summary
    assert (test.split, test.n) == ("test", 21)
    evaluated = [
        fercli.evaluate(runs / f"plain-{seed}", out=tmp_path / f"ev-{seed}", device="cpu").summary.accuracy
        for seed in (0, 1)
    ]
    assert test.sides[0].metrics["accuracy"].each == pytest.approx(evaluated)
    page = (tmp_path / "test" / "report.html").read_text()
    assert "Below each image its label" in page  # the pack is there, so the images are shown


@pytest.mark.slow
def test_a_group_of_different_recipes_is_told(runs: Path, tmp_path: Path) -> None:
    for name in ("plain-0", "plain-1", "small-0", "small-1"):
        fercli.evaluate(runs / name, out=tmp_path / f"ev-{name}", device="cpu")
    mixed = notices(str(tmp_path / "ev-*-0"), str(tmp_path / "ev-*-1"), out=tmp_path / "mixed")
    assert "ev-*-0 mixes recipes: ev-plain-0 and ev-small-0 differ in" in mixed


@pytest.mark.slow
def test_a_run_without_its_pack_is_refused(tmp_path: Path) -> None:
    packs = [make_pack(tmp_path / f"pack-{k}", {"train": 7 + k, "validation": 7}) for k in (0, 1)]
    sides = [make_run(tmp_path / f"run-{k}", pack, seed=k).path for k, pack in enumerate(packs)]
    shutil.rmtree(tmp_path / "pack-1")
    with pytest.raises(FerError, match="run-1: its pack is gone or changed; evaluate it with"):
        compare(*sides, out=tmp_path / "c", device="cpu")
