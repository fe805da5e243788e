"""fercli's own models have the figures of their cards on FER2013 and FER+."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fercli
from fercli.pretrained import Figure, read_figures

HOME = os.environ.get("FERCLI_REAL_DATA", "")
pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.skipif(not HOME, reason="FERCLI_REAL_DATA is not set"),
]
ONE_FACE = 1 / 3000
"""Another processor rounds otherwise, which may change the prediction of a face between two emotions."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("pretrained")
    source = home / "source"
    source.mkdir()
    subprocess.run([sys.executable, Path(HOME) / "unpack.py", "csv", source / "fer2013.csv"], check=True)
    shutil.copyfile(Path(HOME) / "fer2013new.csv", source / "fer2013new.csv")
    fercli.import_dataset(source / "fer2013.csv", home / "fer2013")
    fercli.import_dataset(source, home / "ferplus", format="ferplus", votes="majority", classes="8")
    for name in ("fer2013", "ferplus"):
        fercli.clean(home / name, home / f"{name}-cleaned")
        fercli.pack(home / f"{name}-cleaned", home / f"{name}-pack")
    return home


@pytest.mark.parametrize(("model", "pack", "data"), [
    ("ferplus", "ferplus", "FER+ test, majority"),
    ("ferplus", "fer2013", "FER2013 PrivateTest"),
    ("fer2013", "fer2013", "FER2013 PrivateTest"),
])  # fmt: skip
def test_figures_of_the_card(folder: Path, model: str, pack: str, data: str) -> None:
    (figure,) = [one for one in read_figures(model) if one.data == data]
    s = fercli.evaluate(model, folder / f"{pack}-pack", folder / f"{model}-on-{pack}", tta=figure.tta).summary
    assert s.calibration is not None
    assert s.calibration.raw_error is not None
    found = Figure(
        data, s.n, s.accuracy, (s.accuracy_interval[0], s.accuracy_interval[1]), s.macro_f1, s.calibration.error,
        s.calibration.raw_error, s.tta, figure.seen,
    )  # fmt: skip
    assert found.n == figure.n
    assert found.accuracy == pytest.approx(figure.accuracy, abs=1.5 * ONE_FACE)
    assert found.macro_f1 == pytest.approx(figure.macro_f1, abs=3e-3)
    assert found.error == pytest.approx(figure.error, abs=1e-3)
