"""fercli's own models: complete, small, sound, found by name in every command, and as good as their cards say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import fercli
from fercli.artifacts import open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.emotions import CONTEMPT, EMOTIONS
from fercli.errors import DataError
from fercli.evaluation.predicting import training_digests
from fercli.models.checkpoints import load_checkpoint
from fercli.pretrained import DEFAULT, HOME, find_pretrained, pretrained_names, read_card, read_figures
from tests.helpers.datasets import python, write_tree
from tests.helpers.packs import make_pack
from tests.helpers.prediction import save_model

Fer = Callable[..., Any]
NAMES = pretrained_names()
MAX_BYTES = 6_000_000


def test_the_models() -> None:
    assert NAMES == ["ferplus", "fer2013"]
    assert DEFAULT == "ferplus"
    assert load_checkpoint(Path("ferplus")).metadata.emotions == [*EMOTIONS, CONTEMPT]
    assert load_checkpoint(Path("fer2013")).metadata.emotions == list(EMOTIONS)


@pytest.mark.parametrize("name", NAMES)
def test_files(name: str) -> None:
    folder = HOME / name
    assert sum(path.stat().st_size for path in folder.iterdir()) <= MAX_BYTES
    state = load_file(folder / "model.safetensors")
    assert {str(t.dtype) for t in state.values() if t.ndim == 4} == {"torch.float16"}
    checkpoint = load_checkpoint(Path(name))
    assert checkpoint.name == name
    assert checkpoint.digest == open_artifact(folder).manifest.digest
    assert checkpoint.metadata.temperature != 1
    digests = training_digests(checkpoint)
    assert 20_000 < len(digests) < 28_709
    for path in folder.iterdir():  # nothing of the machine that made them
        if path.suffix in (".json", ".md"):
            assert "/home/" not in path.read_text("utf-8")
            assert "/work" not in path.read_text("utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_card_has_the_figures(name: str) -> None:
    card, figures = read_card(name), read_figures(name)
    assert card.startswith(f"# {name}\n")
    for heading in ("Figures", "How it was made", "Terms", "Not for", "Known limits"):
        assert f"\n## {heading}\n" in card
    for figure in figures:
        low, high = figure.interval
        assert low < figure.accuracy < high
        cells = (figure.data, f"{figure.n:,}", f"{figure.accuracy:.1%}", f"{low:.1%} to {high:.1%}")
        assert f"| {' | '.join(cells)} | {figure.macro_f1:.3f} |" in card
    assert figures[0].error < 0.05
    assert figures[0].error < figures[0].raw_error


def test_a_run_of_the_same_name_takes_precedence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_pretrained("ferplus") == HOME / "ferplus"
    assert find_pretrained(Path("ferplus")) == HOME / "ferplus"
    write_tree(tmp_path / "ferplus", {"a.png": np.zeros((4, 4), np.uint8)})  # a folder of images does not
    assert find_pretrained("ferplus") == HOME / "ferplus"
    save_model(tmp_path / "ferplus")
    assert find_pretrained("ferplus") is None
    assert load_checkpoint(Path("ferplus")).metadata.emotions == ["happy", "sad", "neutral"]
    with pytest.raises(DataError, match=r"ferplsu: no such path; did you mean ferplus\?"):
        load_checkpoint(Path("ferplsu"))
    for other in ("ferplu", "./fer2013", "fer2013/best", "", "FERPLUS"):
        assert find_pretrained(other) is None
    (tmp_path / ".fer2013.partial").mkdir()
    with pytest.raises(DataError, match="this training has not finished"):
        load_checkpoint(Path("fer2013"))


@pytest.mark.slow
def test_torch_is_not_imported() -> None:
    out, errors = python("import sys, fercli.pretrained; print('torch' in sys.modules)").communicate()
    assert out == "False\n", errors


@pytest.mark.slow
def test_every_command_takes_the_names(tmp_path: Path, fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pack = make_pack(tmp_path / "pack", {"train": 42, "validation": 14, "test": 21}).path
    found = fercli.evaluate("ferplus", pack, "evaluation", device="cpu")
    assert found.summary.n == 21
    assert found.summary.calibration is not None
    (own,) = [one for one in found.manifest.inputs if one.name == "checkpoint"]
    assert (own.kind, Path(own.path).name) == ("pretrained", "ferplus")
    assert {one.name: one.state for one in ancestors(found)}["ferplus"] == "raw"
    for page in ("evaluation", "explanation"):
        if page == "explanation":
            fercli.explain(pack, split="test", limit=2, device="cpu", out="explanation")
        text = (tmp_path / page / "report.html").read_text("utf-8")
        assert "ferplus" in text
        assert str(HOME) not in text
    assert fercli.evaluate("ferplus", pack, "evaluation", device="cpu").up_to_date
    run = fercli.train(pack, "run", model="small", weights="fer2013", epochs=1, device="cpu")
    assert run.summary.weights["new"] == []
    together = fercli.ensemble([run.path, "fer2013"], "together", pack=pack, device="cpu")
    assert [member.checkpoint for member in together.summary.members] == ["run", "fer2013"]
    shown = fer("show", "evaluation")
    assert shown.code == 0
    assert "ferplus" in shown.out
    assert fer("show", "evaluation", "--verify").code == 0
    explained = fer("explain", pack, "--split=test", "--limit=2", "--device=cpu", "--out=explanation", "--json")
    assert json.loads(explained.out)["up_to_date"]
    predicted = fer("predict", "fer2013", pack, "--split=test", "--json", "--device=cpu")
    assert len(json.loads(predicted.out)["predictions"]) == 21


@pytest.mark.slow
def test_prediction_without_a_checkpoint(fer: Fer) -> None:
    import matplotlib

    photograph = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    found = json.loads(fer("predict", photograph, "--faces=crop", "--json", "--device=cpu").out)
    assert list(found["predictions"][0]["probabilities"]) == [*EMOTIONS, CONTEMPT]
    by_name = json.loads(fer("predict", "ferplus", photograph, "--faces=crop", "--json", "--device=cpu").out)
    assert by_name["predictions"] == found["predictions"]
    assert fercli.predict(photograph, faces="crop", device="cpu").rows[0].emotion == found["predictions"][0]["emotion"]
    model = fercli.load(device="cpu")
    assert model.predict(photograph, faces="crop")[0].emotion == found["predictions"][0]["emotion"]
    with torch.inference_mode():
        assert model.module(model.preprocessing(torch.zeros(1, 1, 48, 48, dtype=torch.uint8))).shape == (1, 8)
    assert "put several into a folder" in fer("predict", photograph, photograph).err
    assert "source: name what to predict" in fer("predict").err
    assert fer("predict", "ferplus").code == 2


@pytest.mark.slow
def test_a_folder_of_images_with_a_model_s_name(tmp_path: Path, fer: Fer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path / "ferplus", {"a.png": np.full((48, 48), 90, np.uint8)})
    for words in (("ferplus",), ("./ferplus",), ("ferplus", "ferplus"), ("fer2013", "ferplus")):
        found = fer("predict", *words, "--faces=crop", "--json", "--device=cpu")
        assert len(json.loads(found.out)["predictions"]) == 1


@pytest.mark.slow
def test_offline() -> None:
    """No connection is tried: every socket to an address is an error."""
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('a connection')\n"
        "socket.socket.connect = refuse\n"
        "import fercli, matplotlib\n"
        "file = matplotlib.get_data_path() + '/sample_data/grace_hopper.jpg'\n"
        "print(len(fercli.load().predict(file, faces='crop')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "1\n", done.stderr
