"""A cleaning that was killed goes on with the images that are missing, and gives the same dataset."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

import fercli
from fercli.artifacts import Artifact
from fercli.artifacts.staging import partial_path
from fercli.errors import DataError
from fercli.stages.clean.config import CleanConfig
from fercli.stages.clean.stage import clean
from tests.helpers.crashes import CLEAN_PLACES, clean_and_die
from tests.helpers.datasets import face, make_dataset, noise
from tests.helpers.progress import Log

DONE = {"in the first chunk": 0, "in the third chunk": 256}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """300 images: with exact and near copies across splits, mirrored ones and one of constant colour."""
    images = {f"train/happy/{i:03d}.png": noise(i, 48, 48) for i in range(280)}
    images |= {f"test/happy/{i}.png": noise(i * 20, 48, 48) for i in range(10)}
    images |= {f"train/sad/{i}.png": face(i) for i in range(5)} | {
        f"test/sad/{i}.png": face(i)[:, ::-1] for i in range(4)
    }
    images |= {"validation/sad/grey.png": noise(0, 48, 48) * 0 + 9}
    return make_dataset(tmp_path_factory.mktemp("clean") / "faces", images)


@pytest.fixture(scope="module")
def whole(faces: Artifact) -> Artifact:
    return fercli.clean(faces, faces.path.parent / "whole", near=True, workers=1)


def contents(found: Artifact) -> dict[str, bytes]:
    return {
        path.relative_to(found.path).as_posix(): path.read_bytes()
        for path in found.path.rglob("*.*")
        if path.name not in ("artifact.json", "report.html")  # the page shows its own path
    }


@pytest.mark.slow
@pytest.mark.parametrize("place", CLEAN_PLACES)
def test_after_a_kill(place: str, faces: Artifact, whole: Artifact, tmp_path: Path) -> None:
    out = tmp_path / "whole"
    options = {"dataset": faces.path, "out": out, "near": True, "workers": 1}
    assert clean_and_die(place, options) == -signal.SIGKILL
    assert not out.exists()
    log = Log()
    found = clean(CleanConfig.of(**options), log)
    done = [int(line.split()[0]) for line in log.lines if "read by an earlier call" in line]
    assert sum(done) == DONE.get(place, 300)
    assert contents(found) == contents(whole)
    assert found.manifest.digest == whole.manifest.digest
    assert found.summary == whole.summary
    assert not partial_path(out).exists()


@pytest.mark.slow
def test_scan_of_another_length_is_not_continued(faces: Artifact, whole: Artifact, tmp_path: Path) -> None:
    out = tmp_path / "whole"
    options = {"dataset": faces.path, "out": out, "near": True, "workers": 1}
    clean_and_die("before comparing", options)
    with (partial_path(out) / "scan.bin").open("ab") as file:
        file.write(b"0")
    assert contents(clean(CleanConfig.of(**options))) == contents(whole)


def test_nothing_is_left_where_another_call_would_fail_again(faces: Artifact, tmp_path: Path) -> None:
    broken = make_dataset(tmp_path / "faces", {"train/happy/1.png": face(1), "train/sad/2.png": face(2)})
    (broken.path / "train/sad/2.png").unlink()
    with pytest.raises(DataError, match="the dataset is damaged"):
        fercli.clean(broken, tmp_path / "cleaned")
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]
