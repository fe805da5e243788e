"""`fer show`: metrics first, sortable lists that fit the terminal, broken artifacts, `--verify`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fercli
from fercli.artifacts import open_artifact
from tests.helpers.cli import CliResult
from tests.helpers.datasets import face, make_dataset
from tests.helpers.models import make_run

Fer = Callable[..., CliResult]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """faces -> cleaned -> pack -> two runs, an evaluation of one and an ensemble of both."""
    home = tmp_path_factory.mktemp("made")
    images = {
        f"{split}/{emotion}/0.png": face(7 * s + e, 16)
        for s, split in enumerate(("train", "validation", "test"))
        for e, emotion in enumerate(("happy", "sad", "neutral"))
        if (split, emotion) != ("test", "neutral")
    }
    faces = make_dataset(home / "faces", images)
    cleaned = fercli.clean(faces.path, home / "cleaned")
    pack = fercli.pack(cleaned.path, home / "fer-pack")
    emotions = pack.manifest.emotions
    for seed in (0, 1):
        run = make_run(home / f"run-{seed}", pack, emotions, seed=seed)
        finish_run(run.path, seed)
        inputs = [{"name": "pack", "path": "../../fer-pack", "kind": "pack", "digest": pack.manifest.digest}]
        edit(run.path / "best", lambda m, inputs=inputs: m.update(inputs=inputs))
    fercli.evaluate(home / "run-0", pack.path, home / "evaluation", device="cpu")
    fercli.ensemble([home / "run-0", home / "run-1"], home / "together", pack=pack.path, device="cpu")
    return home


def finish_run(run: Path, seed: int) -> None:
    """Give an untrained run the summary of a trained one."""
    metrics = {"n": 3, "accuracy": 0.5 + seed / 8, "accuracy_interval": [0.25, 0.75], "macro_f1": 0.6 - seed / 8}
    summary = {"model": "quick", "epochs": 10, "best_epoch": 7, "selection": "best of 10 epochs", "validation": metrics}
    counts = {"train": {"happy": 1, "sad": 1, "neutral": 1}, "validation": {"happy": 1, "sad": 1, "neutral": 1}}
    edit(run, lambda m: m.update(summary=summary, seed=seed, counts=counts))


def edit(artifact: Path, change: Callable[[dict[str, Any]], None]) -> None:
    file = artifact / "artifact.json"
    manifest = json.loads(file.read_text())
    change(manifest)
    file.write_text(json.dumps(manifest))


def normalise(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.slow
def test_run_shows_its_metrics_first(artifacts: Path, fer: Fer) -> None:
    lines = fer("show", artifacts / "run-1").out.replace("\n ", " ").splitlines()
    text = normalise(fer("show", artifacts / "run-1").out)
    assert lines[0].startswith("run ")
    assert "quick, seed 1, epoch 7 of 10 (best of 10 epochs)" in text
    assert "validation of pack fer-pack (dataset cleaned), n = 3" in text
    assert "accuracy 62.50% [25.00%, 75.00%] macro F1 0.475" in text
    assert text.index("accuracy 62.50%") < text.index("created by")


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["show", "run-1"], ["show", "."], ["show", "--verify", "fer-pack"], ["models"]])
def test_quiet_prints_only_errors(
    artifacts: Path, fer: Fer, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(artifacts)
    result = fer(*arguments, "--quiet")
    assert result.out == ""
    assert bool(result.err) == bool(result.code)


@pytest.mark.slow
def test_evaluation_shows_its_metrics_and_data_first(artifacts: Path, fer: Fer) -> None:
    text = normalise(fer("show", artifacts / "evaluation").out)
    assert "quick, seed 0, best of the epochs by validation accuracy (epoch 3)" in text
    assert "test of pack fer-pack (dataset cleaned), n = 2, test-time augmentation none" in text
    assert "(over the 2 of 3 emotions that occur)" in text
    summary = open_artifact(artifacts / "evaluation").summary
    assert f"accuracy {summary['accuracy']:.2%} [" in text
    assert f"macro F1 {summary['macro_f1']:.3f}, balanced accuracy" in text
    assert re.search(r"emotion precision recall specificity F1 n happy ", text)
    assert text.index("accuracy ") < text.index("created by")


def test_matrix_shows_its_cells(artifacts: Path, fer: Fer, tmp_path: Path) -> None:
    paths = [artifacts / name for name in ("run-0", "run-1", "fer-pack")]
    cells = fercli.matrix(paths, tmp_path / "matrix", device="cpu").summary["cells"]
    text = normalise(fer("show", tmp_path / "matrix").out)
    assert len(cells) == 2
    for cell in cells:
        low, high = cell["accuracy_interval"]
        shown = f"{cell['accuracy']:.2%} {low:.2%}, {high:.2%} {cell['macro_f1']:.3f} {cell['n']}"
        assert f"{cell['checkpoint']} fer-pack {shown}" in text


def test_ensemble_lists_its_members(artifacts: Path, fer: Fer) -> None:
    text = normalise(fer("show", artifacts / "together").out)
    assert "ensemble (mean) of 2 x quick, seeds 0, 1, all 2 members" in text
    assert re.search(r"run-0 quick 0\.500 .*run-1 quick 0\.500 ", text)
    lineage = text[text.index("lineage of together") :]
    assert lineage.count("pack fer-pack") == 3
    assert re.search(r"checkpoint run-0 \w+ .*dataset cleaned .*dataset faces .*checkpoint run-1 ", lineage)


def test_metrics_remain_when_the_inputs_are_gone(artifacts: Path, fer: Fer, tmp_path: Path) -> None:
    shutil.copytree(artifacts / "together", tmp_path / "together")
    text = normalise(fer("show", tmp_path / "together").out)
    assert "of 2 x quick, seeds 0, 1" in text
    assert "test of pack fer-pack (dataset cleaned), n = 2" in text
    row = json.loads(fer("show", tmp_path, "--json").out)[0]
    assert (row["model"], row["seeds"], row["pack"], row["dataset"]) == ("2 x quick", [0, 1], "fer-pack", "cleaned")


def test_list_has_the_metrics(artifacts: Path, fer: Fer) -> None:
    rows = {row["name"]: row for row in json.loads(fer("show", artifacts, "--json").out)}
    assert list(rows) == [row["name"] for row in json.loads(fer("show", artifacts, "--json").out)]
    assert rows["faces"]["images"] == 8
    run = rows["run-1"]
    assert (run["model"], run["seeds"], run["macro_f1"], run["accuracy"]) == ("quick", [1], 0.475, 0.625)
    assert (run["split"], run["pack"], run["dataset"]) == ("validation", "fer-pack", "cleaned")
    assert rows["evaluation"]["macro_f1"] == open_artifact(artifacts / "evaluation").summary["macro_f1"]
    header = fer("show", artifacts).out.splitlines()[0].split("  ")
    assert [cell.strip() for cell in header if cell] == [
        *("artifact", "kind", "model", "seed", "images", "seconds", "accuracy", "95 % interval", "macro F1", "on")
    ]


@pytest.mark.parametrize(
    ("column", "first"),
    [("accuracy", "run-1"), ("macro-f1", "run-0"), ("Macro F1", "run-0"), ("images", "faces"), ("artifact", "cleaned")],
)
def test_list_sorted_by_a_column(artifacts: Path, fer: Fer, tmp_path: Path, column: str, first: str) -> None:
    for name in ("cleaned", "faces", "run-0", "run-1"):
        shutil.copytree(artifacts / name, tmp_path / name)
    edit(tmp_path / "faces", lambda m: m["counts"]["train"].update(happy=50))
    rows = json.loads(fer("show", tmp_path, "--sort", column, "--json").out)
    assert rows[0]["name"] == first
    assert len(rows) == 4
    assert fer("show", tmp_path, "--sort", column).out.splitlines()[1].startswith(first)


def test_unknown_column_is_an_error(artifacts: Path, fer: Fer) -> None:
    result = fer("show", artifacts, "--sort", "acuracy")
    assert (result.code, result.lines) == (2, ["fer show: --sort: no column 'acuracy'; did you mean accuracy?"])
    assert fer("show", artifacts / "faces", "--sort", "seed").code == 2


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_list_fits_the_terminal(artifacts: Path, fer: Fer, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = fer("show", artifacts).out.splitlines()
    assert len(lines) == 8
    assert max(map(len, lines)) <= width
    assert all(text in lines[-1] for text in (f"{open_artifact(artifacts / 'together').summary['accuracy']:.1%}",))


def test_long_names_are_shortened_only_on_a_terminal(
    artifacts: Path, fer: Fer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = "import-" + "x" * 90 + "-1a2b3c"
    shutil.copytree(artifacts / "run-0", tmp_path / long)
    assert long in fer("show", tmp_path).out
    monkeypatch.setenv("COLUMNS", "80")
    lines = fer("show", tmp_path).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert re.match(r"import-x+…x*-1a2b3c ", lines[1])


def test_broken_artifacts_are_listed_with_the_reason(artifacts: Path, fer: Fer, tmp_path: Path) -> None:
    for name in ("faces", "run-0", "run-1"):
        shutil.copytree(artifacts / name, tmp_path / name)
    (tmp_path / "run-0" / "artifact.json").write_text("{")
    edit(tmp_path / "run-1", lambda m: m.update(ended="yesterday"))
    result = fer("show", tmp_path)
    assert result.code == 0
    assert re.search(r"(?m)^run-0 +broken", result.out)
    assert len(re.findall(r"(?m)^broken: ", result.out)) == 2
    assert "not a valid manifest (ended: " in normalise(result.out)
    rows = json.loads(fer("show", tmp_path, "--json").out)
    assert [(row["name"], row["kind"]) for row in rows] == [("faces", "dataset"), ("run-0", None), ("run-1", None)]
    assert "not a valid manifest" in rows[1]["error"]
    shutil.rmtree(tmp_path / "faces")
    assert fer("show", tmp_path).code == 0


def test_verify_reports_intact_artifacts_and_fails_on_faults(artifacts: Path, fer: Fer, tmp_path: Path) -> None:
    for name in ("faces", "cleaned", "fer-pack"):
        shutil.copytree(artifacts / name, tmp_path / name)
    assert normalise(fer("show", "--verify", tmp_path / "faces").out).startswith("verified dataset ")
    result = fer("show", tmp_path, "--verify")
    assert (result.code, len(result.out.splitlines())) == (0, 3)
    for k, emotion in enumerate(("happy", "sad", "neutral")):
        (tmp_path / "faces" / "train" / emotion / "0.png").unlink()
        (tmp_path / "faces" / "validation" / emotion / "0.png").write_bytes(bytes(k))
    result = fer("show", "--verify", tmp_path / "faces")
    assert (result.code, result.out, len(result.lines)) == (1, "", 1)
    assert re.search(
        r"faces: verification failed, 6 faults: .*train/happy/0.png: is missing; .* and 3 more", result.err
    )
    result = fer("show", "--verify", tmp_path / "faces", "--json")
    assert (result.code, len(result.lines)) == (1, 1)
    found = json.loads(result.out)
    assert found["error"]["message"] in result.err
    assert (found["kind"], found["verified"], len(found["faults"])) == ("dataset", False, 6)
    assert {"path": "train/sad/0.png", "what": "is missing"} in found["faults"]
    (tmp_path / "cleaned" / "artifact.json").write_text("")
    result = fer("show", "--verify", tmp_path)
    assert re.search(
        r"2 of 3 artifacts failed verification: faces/.* and 5 more; cleaned/.*; re-create them", result.err
    )
    listed = fer("show", "--verify", tmp_path, "--json")
    assert listed.code == 1
    assert [(a["kind"], a["verified"]) for a in json.loads(listed.out)["artifacts"]] == [
        ("dataset", False),
        ("pack", True),
        (None, False),
    ]
    assert fer("show", "--verify", tmp_path / "nothing").code == 1
