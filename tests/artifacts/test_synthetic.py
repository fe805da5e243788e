"""Detection of models trained on synthetic faces, and of images of such faces."""

from __future__ import annotations

from pathlib import Path

import pytest

import fercli
from fercli.artifacts import Artifact, artifact_input
from fercli.artifacts.building import build
from fercli.artifacts.synthetic import is_synthetic, shows_synthetic, synthetic_warning
from fercli.models.checkpoints import METADATA, read_metadata
from tests.helpers.datasets import face, write_tree
from tests.helpers.packs import make_pack
from tests.helpers.progress import Log


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("drawn") / "photographs"
    with build(folder, "photographs", "sample", options={}, inputs=[]) as builder:
        write_tree(builder.folder, {"test/happy/a.png": face(1)})
        builder.finish(digest="0" * 64)
    return builder.artifact


def derived(source: Artifact, out: Path) -> Artifact:
    """Build an empty dataset whose manifest names the artifact as input."""
    with build(out, "dataset", "detect", options={}, inputs=[artifact_input("photographs", source)]) as builder:
        builder.finish(digest="1" * 64)
    return builder.artifact


def test_is_synthetic_by_lineage(photographs: Artifact, tmp_path: Path) -> None:
    faces = derived(photographs, tmp_path / "faces")
    assert is_synthetic(photographs)
    assert is_synthetic(faces)
    assert not is_synthetic(make_pack(tmp_path / "pack"))


def test_shows_synthetic_and_warning(photographs: Artifact, tmp_path: Path) -> None:
    assert shows_synthetic(photographs.path)
    assert shows_synthetic(photographs.path / "test" / "happy" / "a.png")
    mine = write_tree(tmp_path / "mine", {"a.png": face(1), "broken/artifact.json": b"{", "broken/a.png": face(1)})
    assert not shows_synthetic(mine)
    assert not shows_synthetic(mine / "broken" / "a.png")
    assert synthetic_warning(Path("run"), False, mine) == synthetic_warning(Path("run"), True, photographs.path) == ""
    assert synthetic_warning(Path("run"), True, mine) == synthetic_warning(Path("run"), True, None)
    assert synthetic_warning(Path("run"), True, None).startswith("run: trained on synthetic faces")


@pytest.mark.slow
def test_training_records_it_and_evaluation_warns(photographs: Artifact, tmp_path: Path) -> None:
    plain = make_pack(tmp_path / "plain")
    synthetic = make_pack(
        tmp_path / "drawn", inputs=[artifact_input("dataset", derived(photographs, tmp_path / "faces"))]
    )
    options = {"model": "quick", "epochs": 1, "device": "cpu", "input_size": 16}
    runs = [fercli.train(pack.path, tmp_path / f"run-{pack.path.name}", **options) for pack in (plain, synthetic)]
    assert [read_metadata(run.path / "best").drawn_faces for run in runs] == [False, True]
    assert "drawn_faces" not in (runs[0].path / "best" / METADATA).read_text()

    def lines(run: Artifact, pack: Artifact) -> list[str]:
        log = Log()
        out = tmp_path / f"{run.path.name}-{pack.path.name}"
        fercli.evaluate(run.path, pack.path, out, device="cpu", progress=log)
        return [line for line in log.lines if "synthetic faces" in line]

    assert [len(lines(run, pack)) for run in runs for pack in (plain, synthetic)] == [0, 0, 1, 0]
