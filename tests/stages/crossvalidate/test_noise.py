"""`fer crossvalidate --noise`: swapped training labels, the metrics by rate, and what reads them."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.errors import DataError, UsageError
from fercli.models.checkpoints import TRAINING_DIGESTS
from fercli.packs.file import FILE
from fercli.stages.crossvalidate.config import CrossvalidateConfig
from fercli.verification import verify
from tests.helpers.crossvalidation import OPTIONS, make_faces, rows_of
from tests.helpers.progress import Log

SHORT = {**OPTIONS, "epochs": 1}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_faces(tmp_path_factory.mktemp("data") / "faces")


@pytest.fixture(scope="module")
def curve(dataset: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A cross-validation at two rates, whose packs are kept."""
    return fercli.crossvalidate(
        dataset, tmp_path_factory.mktemp("curve") / "curve", noise="0.5,0", keep_packs=True, **SHORT
    )


def labels_of(pack: Path, split: str) -> dict[str, int]:
    with h5py.File(pack / FILE) as file:
        paths = [path.decode() for path in file[split]["paths"][()]]
        return dict(zip(paths, file[split]["labels"][()].tolist(), strict=True))


def test_labels_of_train_alone_are_swapped(curve: Artifact) -> None:
    for fold in ("r1-f01", "r1-f02", "r1-f03"):
        clean, noisy = curve.path / "packs" / fold, curve.path / "packs" / f"noise-0.5-{fold}"
        before, after = labels_of(clean, "train"), labels_of(noisy, "train")
        assert before.keys() == after.keys()
        assert sum(before[path] != after[path] for path in before) == round(0.5 * len(before))
        for split in ("validation", "test"):
            assert labels_of(clean, split) == labels_of(noisy, split)
        assert open_artifact(noisy).manifest.options["noise"] == 0.5
        assert "noise" not in open_artifact(clean).manifest.options


def test_summary_tables_and_page(dataset: Artifact, curve: Artifact, fer: Callable[..., Any]) -> None:
    noise = curve.summary["noise"]
    assert (noise["rate"], noise["seed"], [one["rate"] for one in noise["rates"]]) == (0.0, 0, [0.0, 0.5])
    assert noise["rates"][0]["metrics"] == curve.summary["metrics"]  # the others are those of the lowest rate
    rows = rows_of(curve, "noise.csv")
    assert [row["rate"] for row in rows] == ["0.0"] * 3 + ["0.5"] * 3
    front = [{name: row[name] for name in row if name != "rate"} for row in rows[:3]]
    assert front == rows_of(curve, "folds.csv")
    for one, part in zip(noise["rates"], (rows[:3], rows[3:]), strict=True):
        mean = np.mean([float(row["macro_f1"]) for row in part])
        assert one["metrics"]["macro_f1"]["mean"] == pytest.approx(mean)
        low, high = one["metrics"]["macro_f1"]["interval"]
        assert low <= mean <= high
    assert len(rows_of(curve, "predictions.csv")) == 36
    page = (curve.path / "report.html").read_text("utf-8")
    assert "By label noise" in page
    assert "label noise: in train the labels of a share of the images (0, 0.5) are swapped" in page
    assert verify(curve) == []
    flags = [text for name, value in SHORT.items() for text in (f"--{name.replace('_', '-')}", str(value))]
    shown = fer("crossvalidate", dataset.path, curve.path, "--noise", "0,0.5", "--keep-packs", *flags)
    assert shown.code == 0
    assert "swapped labels" in shown.out
    assert re.search(r"^0\.5 +\d+\.\d\d% \[", shown.out, re.MULTILINE)


def test_manifests_record_rate_and_seed_and_digests_are_of_the_images(curve: Artifact) -> None:
    assert curve.manifest.options["noise"] == [0.0, 0.5]
    clean, noisy = (open_artifact(curve.path / "runs" / name) for name in ("r1-f01", "noise-0.5-r1-f01"))
    assert (noisy.manifest.options["noise"], noisy.manifest.options["noise_seed"]) == (0.5, 0)
    assert "noise" not in clean.manifest.options
    digests = [np.load(run.path / TRAINING_DIGESTS) for run in (clean, noisy)]
    assert np.array_equal(*digests)
    assert [run.name for run in curve.runs] == ["r1-f01", "r1-f02", "r1-f03"]


def test_a_table_of_rates_that_was_changed_is_found(dataset: Artifact, curve: Artifact, tmp_path: Path) -> None:
    copy = tmp_path / "curve"
    shutil.copytree(curve.path, copy)
    (copy / "noise.csv").write_text((copy / "noise.csv").read_text().replace("0.5", "0.4"))
    assert verify(open_artifact(copy)) != []


def test_without_noise_nothing_changes(dataset: Artifact, curve: Artifact, tmp_path: Path) -> None:
    plain = fercli.crossvalidate(dataset, tmp_path / "plain", **SHORT)
    assert "noise" not in plain.manifest.options
    assert "noise" not in plain.summary
    assert not (plain.path / "noise.csv").exists()
    assert (plain.path / "predictions.csv").read_bytes() == (curve.path / "predictions.csv").read_bytes()
    again = fercli.crossvalidate(dataset, tmp_path / "plain", noise=0, **SHORT)
    assert again.up_to_date


def test_comparing_different_noise_is_refused(dataset: Artifact, curve: Artifact, tmp_path: Path) -> None:
    noisy = fercli.crossvalidate(dataset, tmp_path / "noisy", noise=0.5, **SHORT)
    assert noisy.summary["noise"]["rate"] == 0.5
    by_rate = {row["run"]: row["accuracy"] for row in rows_of(curve, "noise.csv")}
    for row in rows_of(noisy, "folds.csv"):  # one rate alone is the same as among others
        assert row["accuracy"] == by_rate[f"runs/noise-0.5-{row['run'].removeprefix('runs/')}"]
    with pytest.raises(
        DataError, match=r"curve was trained with label noise 0, but \S+noisy with 0\.5; cross-validate"
    ):
        fercli.compare([curve, noisy], tmp_path / "comparison")
    first = fercli.crossvalidate(dataset, tmp_path / "first", **{**SHORT, "seed": 1})
    found = fercli.compare([curve, first], tmp_path / "with-curve").summary["notices"]
    assert any(
        "curve has 2 rates of label noise; compared are its predictions at the lowest, 0" in one for one in found
    )
    other = fercli.crossvalidate(dataset, tmp_path / "other", noise=0.5, **{**SHORT, "seed": 1})
    assert fercli.compare([noisy, other], tmp_path / "comparison").summary["compared"] == "crossvalidation"


@pytest.mark.slow
def test_killed_curve_resumes(dataset: Artifact, curve: Artifact, tmp_path: Path) -> None:
    class Stop(Log):
        def log(self, message: str) -> None:
            super().log(message)
            if message.startswith("noise 0.5, fold 1/3: accuracy"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fercli.crossvalidate(dataset, tmp_path / "curve", noise=(0, 0.5), progress=Stop(), **SHORT)
    log = Log()
    made = fercli.crossvalidate(dataset, tmp_path / "curve", noise=[0.5, 0], progress=log, **SHORT)
    assert "4 of 6 folds were finished by an earlier call" in log.lines
    assert (made.path / "noise.csv").read_bytes() == (curve.path / "noise.csv").read_bytes()


@pytest.mark.slow
def test_balancing_copies_have_the_swapped_label(dataset: Artifact, tmp_path: Path) -> None:
    made = fercli.crossvalidate(dataset, tmp_path / "cross", noise=0.3, balance="level", keep_packs=True, **SHORT)
    labels = labels_of(made.path / "packs" / "r1-f01", "train")
    copies = {path: label for path, label in labels.items() if "-aug-" in path}
    assert copies
    assert all(labels[path.partition("-aug-")[0] + ".png"] == label for path, label in copies.items())
    assert len(set(Counter(labels.values()).values())) == 1


def test_rates() -> None:
    assert CrossvalidateConfig.of(noise="0.2, 0,0.1").noise == (0.0, 0.1, 0.2)
    assert CrossvalidateConfig.of(noise=[0.2, 0.1]).noise == (0.1, 0.2)
    assert CrossvalidateConfig.of(noise=0).noise == CrossvalidateConfig.of(noise="0").noise == ()
    assert "noise" not in CrossvalidateConfig.of().options()


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        ("1", "noise: rates from 0 to below 1, comma-separated, such as 0,0.1,0.2"),
        ("-0.1", "noise: rates from 0"),
        ("0.1,nan", "noise: rates from 0"),
        ("a", "noise: rates from 0"),
        ("", "noise: rates from 0"),
        ("0.1,", "noise: rates from 0"),
        (True, "noise: rates from 0"),
        ("0.1,0.10", "noise: rate 0.1 is given twice"),
    ],
)
def test_wrong_rates(noise: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        CrossvalidateConfig.of(noise=noise)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
