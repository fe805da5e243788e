"""Model cards."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import fercli
from fercli.artifacts import open_artifact
from fercli.datasets.readers import READERS
from fercli.errors import DataError, UsageError
from fercli.evaluation.card import NOT_FOR, TERMS, model_card
from fercli.pretrained import read_card
from tests.helpers.datasets import face, make_dataset
from tests.helpers.models import make_run

EMOTIONS = ("happy", "sad", "neutral")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on an imported dataset, and its evaluations, one by group."""
    home = tmp_path_factory.mktemp("card")
    images = {
        f"{split}/{emotion}/{n}.png": face(40 * s + 8 * e + n, 16)
        for s, split in enumerate(("train", "validation", "test"))
        for e, emotion in enumerate(EMOTIONS)
        for n in range(4)
    }
    data = fercli.import_dataset(make_dataset(home / "drawn", images).path, home / "faces")
    pack = fercli.pack(data, home / "pack")
    run = make_run(home / "run", pack, pack.manifest.emotions, options=None)
    make_run(home / "other", pack, pack.manifest.emotions, seed=1)
    fercli.evaluate(run.path, pack, home / "plain", device="cpu")
    groups = home / "groups.csv"
    groups.write_text(
        "path,group\n"
        + "".join(
            f"{row},{'a|b' if n % 2 else 'c'}\n"
            for n, row in enumerate(sorted(p for p in images if p.startswith("test")))
        )
    )
    fercli.evaluate(run.path, pack, home / "grouped", device="cpu", by=groups)
    return home


def test_it_says_what_the_model_is_and_how_it_was_made(home: Path) -> None:
    text = model_card(home / "run")
    assert text.startswith("# run\n\n3 emotions")
    assert 'fercli.load("run")' in text
    assert "- Architecture: `quick`" in text
    assert f"- Emotions, in order: {', '.join(open_artifact(home / 'run' / 'best').manifest.emotions)}." in text
    assert "Not evaluated" in text
    assert "- Epoch: 3, best of the epochs by validation accuracy." in text
    assert NOT_FOR in text
    assert "The terms of the training data are not known to fercli" in text
    assert "It never answers angry, disgust, fear, surprise." in text
    assert model_card(home / "run" / "best") == text


def test_it_shows_the_figures_of_evaluations(home: Path) -> None:
    text = model_card(home / "run", [home / "plain", home / "grouped"])
    summary = fercli.results.result_of(open_artifact(home / "plain")).summary
    low, high = summary.accuracy_interval
    row = f"| pack test | 12 | none | {summary.accuracy:.1%} | {low:.1%} to {high:.1%} | {summary.macro_f1:.3f} |"
    assert text.count(row) == 2
    for emotion, own in summary.per_class.items():
        assert f"| {emotion} | {own.support} | " in text
    assert "By groups.csv, on pack test:" in text
    assert re.search(r"\| a\\\|b \| 6 \| ", text)
    assert "Not evaluated" not in text
    assert "were not measured here" not in text


def test_another_models_evaluation_is_refused(home: Path) -> None:
    with pytest.raises(DataError, match=r"plain: is not an evaluation of .*other; evaluate that, or leave it out"):
        model_card(home / "other", [home / "plain"])
    with pytest.raises(DataError, match="pack"):
        model_card(home / "run", [home / "pack"])


def test_an_ensembles_evaluation_is_refused(home: Path, tmp_path: Path) -> None:
    made = fercli.ensemble([home / "run", home / "other"], pack=home / "pack", out=tmp_path / "ensemble", device="cpu")
    with pytest.raises(DataError, match="ensemble: is an evaluation of an ensemble, not of one model"):
        model_card(home / "run", [made.path])


def test_exported_models_have_it_with_them(home: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.onnx: no such model of fer export"):
        model_card(tmp_path / "x.onnx")
    with pytest.raises(UsageError, match=r"x\.onnx has its card with it; leave out the evaluations"):
        model_card(tmp_path / "x.onnx", [home / "plain"])
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)
    made = fercli.export(home / "run", tmp_path / "exported").path
    expected = model_card(home / "run")
    assert model_card(made) == model_card(made / "model.onnx") == expected
    assert model_card((made / "model.onnx").rename(tmp_path / "alone.onnx")) == expected


def test_names_can_be_copied_into_a_shell_and_python(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shutil.copytree(home / "run", tmp_path / 'my "best"\nrun')
    text = model_card(run)
    assert text.startswith('# my "best" run\n')
    assert "    fer predict 'my \"best\" run' photo.jpg\n" in text
    assert '    fercli.load("my \\"best\\" run").predict("photo.jpg")\n' in text
    monkeypatch.chdir(home / "run")
    assert model_card(Path()) == model_card(Path("best")) == model_card(home / "run")
    assert 'fercli.load("run/last")' in model_card(home / "run" / "last")


def test_own_models_have_their_card(home: Path) -> None:
    assert model_card(Path("ferplus")) == read_card("ferplus")
    with pytest.raises(UsageError, match="card: ferplus has its card with it; leave out the evaluations"):
        model_card(Path("ferplus"), [home / "plain"])


def test_every_term_belongs_to_a_reader() -> None:
    names = [reader.name for reader in READERS]
    for prefix in TERMS:
        assert any(name.startswith(prefix) for name in names), prefix
