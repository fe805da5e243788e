"""Detection on the workers of a Ray cluster: byte for byte the same dataset as with threads."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fercli
from fercli.errors import DataError, FerError, ImageError
from fercli.stages.detect.config import DetectConfig
from fercli.stages.detect.engines import make_worker  # runs on another machine
from fercli.stages.detect.face_extractor import DetectionResult
from tests.helpers.cli import CliResult
from tests.helpers.datasets import encoded, names, write_tree
from tests.helpers.photographs import squares, write_network
from tests.helpers.progress import Interrupting
from tests.helpers.ray_cluster import two_workers
from tests.helpers.videos import film

pytest.importorskip("ray")
Fer = Callable[..., CliResult]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_network(tmp_path_factory.mktemp("network") / "bright.onnx")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of two emotions without splits, a duplicate, invalid ones, and a video."""
    folder = tmp_path_factory.mktemp("data") / "raw"
    pictures = {
        f"{emotion}/{k}.png": squares((k % 4, k // 4), (3, 3), background=20 * k + 3 * n)
        for n, emotion in enumerate(("happy", "sad"))
        for k in range(11)
    }
    write_tree(folder, {**pictures, "sad/copy.png": pictures["sad/2.png"]})
    write_tree(folder, {"sad/broken.png": encoded(squares((0, 0)))[:60], "happy/none.png": squares(background=9)})
    film(folder / "happy" / "film.avi", [squares((1, k))[..., None].repeat(3, 2) for k in range(4)])
    return folder


@pytest.fixture(scope="module")
def _two() -> Iterator[None]:
    with two_workers():
        yield


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "artifact.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.long
@pytest.mark.usefixtures("_two")
def test_output_equals_local_output_also_after_resuming(
    network: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(raw.parent)  # workers have another working directory: relative paths must still work
    weights = Path(os.path.relpath(network))
    options = {"detector": "yolov5-face", "weights": weights, "size": 16, "every": "1f"}
    local = fercli.detect(Path("raw"), tmp_path / "local", workers=1, **options)
    shared = fercli.detect(Path("raw"), tmp_path / "ray", engine="ray", **options)
    assert tree(shared.path) == tree(local.path)
    assert shared.manifest.key == local.manifest.key
    assert shared.manifest.skipped == local.manifest.skipped == {
        "no face": ["happy/none.png"], "truncated": ["sad/broken.png"]
    }  # fmt: skip
    assert fercli.detect(Path("raw"), tmp_path / "ray", **options).up_to_date
    with pytest.raises(KeyboardInterrupt):
        fercli.detect(Path("raw"), tmp_path / "other", engine="ray", progress=Interrupting(6), **options)
    listener = Interrupting(99)
    resumed = fercli.detect(Path("raw"), tmp_path / "other", progress=listener, **options)
    assert listener.lines[0] == "resuming from photograph 6/26"
    assert tree(resumed.path) == tree(local.path)
    with pytest.raises(ImageError, match=r"broken\.png: truncated"):
        fercli.detect(Path("raw"), tmp_path / "strict", engine="ray", strict=True, **options)
    assert names(tmp_path) == ["local", "other", "ray"]


def test_worker_without_access_to_the_folder_is_an_error(network: Path, tmp_path: Path) -> None:
    config = DetectConfig.of(photographs=tmp_path)
    with pytest.raises(DataError, match=f"gone: not on {socket.gethostname()}; photographs, weights and OUT must be"):
        make_worker(tmp_path / "gone" / "crops", config, lambda: pytest.fail("made"))


def test_missing_crops_are_an_error(network: Path, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere(make: object, items: object, **options: object) -> Iterator[tuple[int, DetectionResult]]:
        config = DetectConfig.of(photographs=raw, detector="yolov5-face", weights=network, size=16)
        from fercli.faces.detectors import create_detector

        (tmp_path / "elsewhere").mkdir()
        work = make_worker(tmp_path / "elsewhere" / "crops", config, lambda: create_detector("yolov5-face", network))
        yield from map(work, items)

    monkeypatch.setattr("fercli.stages.detect.engines.map_on_ray", elsewhere)
    with pytest.raises(DataError, match="must be on a disk shared by all machines of the cluster"):
        fercli.detect(raw, tmp_path / "faces", engine="ray", detector="yolov5-face", weights=network, size=16)
    shutil.rmtree(tmp_path / "elsewhere")
    assert names(tmp_path) == []


@pytest.mark.slow
def test_unreachable_cluster_is_an_early_error(
    fer: Fer, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    ended = fer("detect", raw, tmp_path / "faces", "--engine", "ray", "--ray-address", address)
    assert (ended.code, ended.out, len(ended.lines)) == (1, "", 1)
    assert f"Ray at {address}: no cluster answers" in ended.lines[0]
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(FerError, match=f"Ray at {address}: no cluster answers"):
        fercli.detect(raw, tmp_path / "faces", engine="ray")
    assert fer("detect", raw, tmp_path / "faces", "--engine", "ray", "--ray-address", "here").code == 2
    assert names(tmp_path) == []
