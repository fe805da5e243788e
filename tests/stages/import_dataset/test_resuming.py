"""An import that was killed goes on with the images that are missing, and gives the same dataset."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import fercli
from fercli.artifacts import Artifact
from fercli.artifacts.staging import partial_path
from fercli.errors import ImageError
from fercli.stages.import_dataset.config import ImportConfig
from fercli.stages.import_dataset.journal import JOURNAL
from fercli.stages.import_dataset.stage import import_dataset
from tests.helpers.crashes import IMPORT_PLACES, import_and_die
from tests.helpers.datasets import encoded, noise, write_tree
from tests.helpers.progress import Log

DONE = {"in the first chunk": {0}, "in the third chunk": {64, 128}}  # chunks whose results had been taken over


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """150 images without splits: nearly black ones, copies, two with one name, and one that cannot be read."""
    files = {f"{'happy' if i % 3 else 'sad'}/{i:03d}.png": encoded(noise(i % 140, 8, 8)) for i in range(147)}
    files |= {"sad/a/1.png": encoded(noise(500, 8, 8)), "sad/b/1.png": encoded(noise(501, 8, 8) // 64)}
    return write_tree(tmp_path_factory.mktemp("import") / "raw", files | {"happy/140x.png": b"no image"})


@pytest.fixture(scope="module")
def whole(source: Path) -> Artifact:
    return fercli.import_dataset(source, source.parent / "whole", workers=1)


def assert_same(found: Artifact, expected: Artifact) -> None:
    files = [
        {p.relative_to(one.path).as_posix(): p.read_bytes() for p in one.path.rglob("*.*") if p.name != "artifact.json"}
        for one in (found, expected)
    ]
    assert files[0] == files[1]
    one, other = (a.manifest.model_dump(exclude={"started", "ended", "inputs"}) for a in (found, expected))
    assert one == other
    assert not partial_path(found.path).exists()


def finish(source: Path, out: Path) -> tuple[Artifact, int]:
    """Import; return the dataset and how many images an earlier call had done."""
    log = Log()
    made = import_dataset(ImportConfig.of(source=source, out=out, workers=1), log)
    done = [int(line.split()[0]) for line in log.lines if "by an earlier call" in line]
    return made, sum(done)


@pytest.mark.slow
@pytest.mark.parametrize("place", IMPORT_PLACES)
def test_after_a_kill(place: str, source: Path, whole: Artifact, tmp_path: Path) -> None:
    out = tmp_path / "whole"
    assert import_and_die(place, {"source": source, "out": out, "workers": 1}) == -signal.SIGKILL
    assert not out.exists()
    found, done = finish(source, out)
    assert done in DONE.get(place, {0})
    assert_same(found, whole)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "left"),
    [
        (lambda text: text[: text.index(b"\n") - 9], 0),  # a line that was cut off
        (lambda text: text[: text.index(b"\n") + 9], 64),
        (lambda text: text.replace(b"happy/001.png", b"happy/oo1.png"), 0),
        (lambda text: b"\xff\x00nonsense\n" + text, 0),
        (lambda text: b"[]\n" + text, 0),
        (lambda text: b"[[], []]\n" + text, 0),
        (lambda text: b"", 0),
    ],
)
def test_damaged_journal(
    damage: Callable[[bytes], bytes], left: int, source: Path, whole: Artifact, tmp_path: Path
) -> None:
    out = tmp_path / "whole"
    import_and_die("in the third chunk", {"source": source, "out": out, "workers": 1})
    journal = partial_path(out) / JOURNAL
    journal.write_bytes(damage(journal.read_bytes()))
    found, done = finish(source, out)
    assert done == left
    assert_same(found, whole)


@pytest.mark.slow
def test_missing_image_is_written_again(source: Path, whole: Artifact, tmp_path: Path) -> None:
    out = tmp_path / "whole"
    import_and_die("in the third chunk", {"source": source, "out": out, "workers": 1})
    next(partial_path(out).glob("*/happy/001.png")).unlink()
    found, done = finish(source, out)
    assert done == 0  # from the first gap on
    assert_same(found, whole)


def test_nothing_is_left_where_another_call_would_fail_again(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        fercli.import_dataset(source, tmp_path / "faces", strict=True)
    assert list(tmp_path.iterdir()) == []
