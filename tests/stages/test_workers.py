"""--workers has the same meaning in all stages: the number of parallel workers, which never affects results."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import fercli
from fercli.artifacts import Artifact
from fercli.cluster import map_on_ray
from fercli.errors import UsageError
from tests.helpers.datasets import face, make_dataset, small_csv, write_tree
from tests.helpers.photographs import photograph


def _dataset(folder: Path) -> Path:
    files = {
        f"{s}/{e}/{n}.png": face(n + 10 * (s == "test"))
        for s in ("train", "test")
        for e, n in (("sad", 1), ("fear", 2))
    }
    files["train/sad/9.png"] = face(9)
    return make_dataset(folder / "data", files).path


def _photographs(folder: Path) -> Path:
    write_tree(folder / "raw", {f"{n}.png": photograph((30, 10, 60 + n)) for n in range(3)})
    return folder / "raw"


STAGES: dict[str, Callable[[Path, Path, int | None], Artifact]] = {
    "sample": lambda folder, out, n: fercli.sample(out, images=21, workers=n),
    "import": lambda folder, out, n: fercli.import_dataset(small_csv(folder / "a.csv", each=2), out, workers=n),
    "detect": lambda folder, out, n: fercli.detect(_photographs(folder), out, workers=n),
    "clean": lambda folder, out, n: fercli.clean(_dataset(folder), out, workers=n),
    "pack": lambda folder, out, n: fercli.pack(_dataset(folder), out, workers=n),
    "balance": lambda folder, out, n: fercli.balance(_dataset(folder), out, workers=n),
}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_same_result_for_any_number_of_workers_and_no_threads_with_0(
    stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a thread or process was started")

    digests = {}
    for workers in (2, 1, 0):
        folder = tmp_path / str(workers)
        folder.mkdir()
        with monkeypatch.context() as patch:
            if workers == 0:
                patch.setattr(threading.Thread, "start", refuse)
                patch.setattr("subprocess.Popen.__init__", refuse)
            artifact = STAGES[stage](folder, folder / "out", workers)
        digests[workers] = artifact.manifest.digest if stage != "pack" else (folder / "out" / "faces.h5").read_bytes()
    assert digests[0] == digests[1] == digests[2]


def test_ray_requires_at_least_one_worker() -> None:
    with pytest.raises(UsageError, match="workers: 0"):
        next(map_on_ray(lambda: str, [1], workers=0))
