"""--workers means one thing in all stages: threads or processes beside this one; and never changes a result."""

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


def _dataset(at: Path) -> Path:
    files = {
        f"{s}/{e}/{n}.png": face(n + 10 * (s == "test"))
        for s in ("train", "test")
        for e, n in (("sad", 1), ("fear", 2))
    }
    files["train/sad/9.png"] = face(9)
    return make_dataset(at / "data", files).path


def _photographs(at: Path) -> Path:
    write_tree(at / "raw", {f"{n}.png": photograph((30, 10, 60 + n)) for n in range(3)})
    return at / "raw"


STAGES: dict[str, Callable[[Path, Path, int | None], Artifact]] = {
    "sample": lambda at, out, n: fercli.sample(out, images=21, workers=n),
    "import": lambda at, out, n: fercli.import_dataset(small_csv(at / "a.csv", each=2), out, workers=n),
    "detect": lambda at, out, n: fercli.detect(_photographs(at), out, workers=n),
    "clean": lambda at, out, n: fercli.clean(_dataset(at), out, workers=n),
    "pack": lambda at, out, n: fercli.pack(_dataset(at), out, workers=n),
    "balance": lambda at, out, n: fercli.balance(_dataset(at), out, workers=n),
}


@pytest.mark.parametrize("stage", STAGES)
def test_the_same_result_and_with_0_nothing_beside(stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a thread or process was started")

    digests = {}
    for workers in (2, 1, 0):
        at = tmp_path / str(workers)
        at.mkdir()
        with monkeypatch.context() as patch:
            if workers == 0:
                patch.setattr(threading.Thread, "start", refuse)
                patch.setattr("subprocess.Popen.__init__", refuse)
            made = STAGES[stage](at, at / "out", workers)
        digests[workers] = made.manifest.digest if stage != "pack" else (at / "out" / "faces.h5").read_bytes()
    assert digests[0] == digests[1] == digests[2]


def test_ray_has_no_place_for_none() -> None:
    with pytest.raises(UsageError, match="workers: 0"):
        next(map_on_ray(lambda: str, [1], workers=0))
