"""`--by` and `--corrupt`: files, summary, key, page and terminal; without them an evaluation is what it was."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.emotions import EMOTIONS
from fercli.errors import UsageError
from fercli.evaluation.corruptions import CORRUPTIONS
from fercli.stages.evaluate.config import EvaluateConfig
from fercli.verification import verify
from tests.helpers.cli import CliResult
from tests.helpers.datasets import face, make_dataset
from tests.helpers.models import make_run

Fer = Callable[..., CliResult]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with a subject for each test image, its pack, and a run of random weights."""
    home = tmp_path_factory.mktemp("parts")
    paths = [f"{split}/{emotion}/{k}.png" for split in ("train", "test") for emotion in EMOTIONS for k in range(6)]
    columns = {path: {"subject": ("anna", "ben")[k % 2]} for k, path in enumerate(paths) if k % 5}
    data = make_dataset(home / "data", {path: face(k, 16) for k, path in enumerate(paths)}, columns=columns)
    fercli.pack(data.path, home / "pack")
    make_run(home / "run", open_artifact(home / "pack"))
    return home


@pytest.fixture(scope="module")
def evaluation(home: Path) -> Artifact:
    return fercli.evaluate(home / "run", home / "pack", home / "both", by="subject", corrupt="blur,eyes", device="cpu")


def test_options_are_not_in_the_key_if_not_given() -> None:
    assert EvaluateConfig.of(checkpoint="run").options() == {"split": "test", "tta": "none", "without_leaks": False}
    found = EvaluateConfig.of(checkpoint="run", by="subject", corrupt=["noise", "blur"]).options()
    assert (found["by"], found["corrupt"]) == ("subject", "blur,noise")
    assert EvaluateConfig.of(corrupt="all").options()["corrupt"] == ",".join(CORRUPTIONS)
    with pytest.raises(UsageError, match="corrupt: no corruption 'blurr'; did you mean blur"):
        EvaluateConfig.of(corrupt="blurr")


@pytest.mark.slow
def test_files_and_summary(evaluation: Artifact, home: Path) -> None:
    names = sorted(path.name for path in evaluation.path.iterdir())
    assert [name for name in names if name.startswith(("groups", "corruptions"))] == [
        "corruptions.csv",
        "corruptions.png",
        "groups.csv",
    ]
    plain = fercli.evaluate(home / "run", home / "pack", home / "plain", device="cpu")
    assert not {"groups", "corruptions"} & set(plain.summary)
    assert {k: v for k, v in evaluation.summary.items() if k not in ("groups", "corruptions")} == plain.summary
    assert (plain.path / "predictions.csv").read_bytes() == (evaluation.path / "predictions.csv").read_bytes()
    assert plain.manifest.digest == evaluation.manifest.digest
    assert verify(evaluation) == []
    groups, corruptions = evaluation.summary["groups"], evaluation.summary["corruptions"]
    with (evaluation.path / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    subjects = {row["path"]: row["subject"] for row in csv.DictReader((home / "data" / "index.csv").open(newline=""))}
    for name in ("anna", "ben", ""):
        own = [row for row in rows if subjects[row["path"]] == name]
        right = [max(EMOTIONS, key=lambda emotion, row=row: float(row[emotion])) == row["label"] for row in own]
        assert groups["groups"][name or "(none)"]["n"] == len(own) > 5
        assert groups["groups"][name or "(none)"]["accuracy"] == pytest.approx(np.mean(right))
    assert groups["gap"]["compared"] == 2
    assert list(corruptions["corruptions"]) == ["blur", "eyes"]
    assert corruptions["clean_error"] == pytest.approx(1 - plain.summary["accuracy"])


@pytest.mark.slow
def test_page_and_picture(evaluation: Artifact) -> None:
    page = (evaluation.path / "report.html").read_text("utf-8")
    for text in ("<h2>By subject</h2>", "permutation test of the largest gap", "<h2>Robustness to corruptions</h2>"):
        assert text in page
    assert (evaluation.path / "corruptions.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_table_is_an_input_identified_by_its_contents(home: Path, tmp_path: Path, fer: Fer) -> None:
    table = tmp_path / "ages.csv"
    rows = [f"test/{emotion}/{k}.png,{'<b>old' if k % 2 else '=young'}\n" for emotion in EMOTIONS for k in range(6)]
    table.write_text("path,group\n" + "".join(rows) + "unknown.png,x\n")
    arguments = ("evaluate", home / "run", home / "pack", tmp_path / "out", "--device", "cpu", "--by")
    result = fer(*arguments, table)
    assert result.code == 0, result.err
    assert "1 rows are of images that are not in the pack" in result.err
    assert "largest gap" in result.out
    assert "<b>old" in result.out
    found = open_artifact(tmp_path / "out")
    assert "by" not in found.manifest.options
    assert [one.name for one in found.manifest.inputs] == ["checkpoint", "pack", "groups"]
    assert "<b>old" not in (found.path / "report.html").read_text("utf-8")
    assert "'=young" in (found.path / "groups.csv").read_text("utf-8")
    copy = tmp_path / "copy.csv"
    copy.write_bytes(table.read_bytes())
    assert "up to date" in fer(*arguments, copy).out
    copy.write_text(table.read_text() + "another.png,x\n")
    assert "a different evaluation already exists" in fer(*arguments, copy).err


@pytest.mark.slow
def test_terminal_and_json(home: Path, tmp_path: Path, fer: Fer, evaluation: Artifact) -> None:
    arguments = ("evaluate", home / "run", home / "pack", evaluation.path, "--by=subject", "--corrupt", "eyes,blur")
    shown = fer(*arguments, "--device=cpu")
    assert shown.out.startswith("up to date")
    assert "by subject" in shown.out
    assert "mean corruption error" in shown.out
    assert json.loads(fer(*arguments, "--device=cpu", "--json").out)["groups"] == evaluation.summary["groups"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--by", "subjct"), 2, "fer evaluate: by: no column 'subjct'; did you mean subject"),
        (("--by", "no.csv"), 1, "fer evaluate: no.csv: no such table"),
        (("--by", "fold"), 1, "--by fold: the column is empty, so no image has a group"),
        (("--corrupt", "snow"), 2, "fer evaluate: corrupt: no corruption 'snow'; there are blur"),
    ],
)
def test_mistakes_are_one_line(
    options: tuple[str, ...], code: int, message: str, home: Path, tmp_path: Path, fer: Fer
) -> None:
    result = fer("evaluate", home / "run", home / "pack", tmp_path / "out", "--device=cpu", *options)
    assert result.code == code
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
