"""Building artifacts: complete or absent, whatever fails."""

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fercli.artifacts import Artifact, building, input_of, is_artifact, open_artifact, staging, write_text
from fercli.artifacts.building import build
from fercli.errors import DataError, FerError, UsageError
from tests.helpers.datasets import names, python


def make(out: Path, text: str = "1", *, options: dict[str, Any] | None = None, **rest: Any) -> Artifact:
    """Build a small artifact of one file."""
    with build(out, "report", "test", options=options or {}, inputs=rest.pop("inputs", []), **rest) as builder:
        if builder.done is None:
            write_text(builder.folder / "payload", text)
            builder.finish(digest=text)
    return builder.artifact


def payload(out: Path) -> str:
    return (out / "payload").read_text()


# --- existing outputs ---


def test_artifact_appears_once_complete_without_leftovers(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    states: list[Any] = []
    with build(out, "report", "test", options={"a": 1}, inputs=[], seed=7) as builder:
        states.append((out.exists(), names(out.parent), (builder.folder / "artifact.json").exists()))
        write_text(builder.folder / "payload", "1")
        builder.finish(digest="d", emotions=["sad"], summary={"n": 1})
    assert states == [(False, [".out.lock", ".out.partial"], False)]
    assert names(out.parent) == ["out"]
    assert names(out) == ["artifact.json", "payload"]
    manifest = open_artifact(out).manifest
    assert (manifest.options, manifest.seed, manifest.digest, manifest.summary) == ({"a": 1}, 7, "d", {"n": 1})
    assert builder.artifact.manifest == manifest
    assert not builder.artifact.up_to_date


def test_identical_call_is_up_to_date_and_changes_nothing(tmp_path: Path) -> None:
    inputs = [input_of("source", tmp_path / "a", "raw", "1")]
    make(tmp_path / "out", inputs=inputs)
    before = (tmp_path / "out" / "artifact.json").stat()
    moved = [input_of("source", tmp_path / "elsewhere" / "a", "raw", "1")]
    for overwrite in (False, True):
        again = make(tmp_path / "out", "2", inputs=moved, overwrite=overwrite)
        assert again.up_to_date
    assert payload(tmp_path / "out") == "1"
    assert (tmp_path / "out" / "artifact.json").stat() == before


def test_different_artifact_is_only_replaced_with_overwrite(tmp_path: Path) -> None:
    make(tmp_path / "out", "1")
    with pytest.raises(DataError, match=r"a different report already exists.*--overwrite"):
        make(tmp_path / "out", "2", options={"a": 1})
    assert payload(tmp_path / "out") == "1"
    make(tmp_path / "out", "2", options={"a": 1}, overwrite=True)
    assert payload(tmp_path / "out") == "2"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    "foreign", ["folder", "file", "broken manifest", "future", "dangling link", "link to a folder"]
)
def test_foreign_files_are_never_replaced(tmp_path: Path, foreign: str) -> None:
    out, theirs = tmp_path / "out", tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.tex").write_text("all of it")
    if foreign == "folder":
        shutil.copytree(theirs, out)
    elif foreign == "file":
        out.write_text("all of it")
    elif foreign == "dangling link":
        out.symlink_to("nowhere")
    elif foreign == "link to a folder":
        out.symlink_to(theirs)
    else:
        out.mkdir()
        future = '{"kind": "report", "stage": "test", "format": 99}'
        (out / "artifact.json").write_text("{" if foreign == "broken manifest" else future)
    before = names(tmp_path)
    with pytest.raises(FerError):
        make(out, overwrite=True)
    assert names(tmp_path) == before
    assert (theirs / "thesis.tex").read_text() == "all of it"


def test_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    make(tmp_path / "out")
    assert payload(tmp_path / "out") == "1"


def test_link_to_an_artifact_is_replaced_but_not_its_target(tmp_path: Path) -> None:
    make(tmp_path / "real", "1")
    (tmp_path / "out").symlink_to("real")
    assert make(tmp_path / "out", "x").up_to_date
    for text in ("2", "3"):
        make(tmp_path / "out", text, options={"a": text}, overwrite=True)
        assert payload(tmp_path / "out") == text
        assert names(tmp_path) == ["out", "real"]
    assert payload(tmp_path / "real") == "1"


def test_input_paths_are_relative(tmp_path: Path) -> None:
    artifact = make(tmp_path / "a" / "out", inputs=[input_of("source", tmp_path / "in", "raw", "1")])
    assert artifact.manifest.inputs[0].path == os.path.join("..", "..", "in")


def test_file_names_of_any_bytes_in_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = os.fsdecode(b"\xff\nface")
    monkeypatch.setattr(sys, "argv", ["/usr/bin/fer", "import", broken])
    inputs = [input_of("source", tmp_path / broken, "raw", "1")]
    with build(tmp_path / "out", "report", "test", options={}, inputs=inputs) as builder:
        builder.finish(digest="1", skipped={"truncated": [broken]}, summary={broken: [broken]})
    manifest = open_artifact(tmp_path / "out").manifest
    assert manifest == builder.artifact.manifest
    assert manifest.skipped == {"truncated": ["\\xff\nface"]}
    assert manifest.command == "fer import '\\xff\nface'"


def test_no_passwords_in_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/fer", "tune", "--storage", "mysql://me:s3cr:et@host/x", "a:b@c"])
    with build(tmp_path / "out", "report", "test", options={}, inputs=[]) as builder:
        builder.finish(digest="1", summary={})
    assert builder.artifact.manifest.command == "fer tune --storage mysql://me:***@host/x a:b@c"


# --- failures while building ---


def build_half(out: Path, error: BaseException | None, *, resumable: bool, key: int = 0) -> None:
    with build(out, "report", "test", options={"key": key}, inputs=[], resumable=resumable) as builder:
        write_text(builder.folder / "half", "half")
        if error is not None:
            raise error
        builder.finish(digest="1")


def build_and_fail(out: Path, error: BaseException, *, resumable: bool, key: int = 0) -> None:
    with pytest.raises(type(error)):
        build_half(out, error, resumable=resumable, key=key)


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), DataError("x"), SystemExit(3)])
def test_failed_stage_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    build_and_fail(tmp_path / "out", error, resumable=False)
    assert names(tmp_path) == []


def test_failed_replacement_keeps_the_old_artifact(tmp_path: Path) -> None:
    make(tmp_path / "out", "1")
    with pytest.raises(ValueError, match="x"), build(
        tmp_path / "out", "report", "test", options={"a": 1}, inputs=[], overwrite=True
    ):  # fmt: skip
        raise ValueError("x")
    assert names(tmp_path) == ["out"]
    assert payload(tmp_path / "out") == "1"


def resumes(out: Path, key: int) -> bool:
    with build(out, "report", "test", options={"key": key}, inputs=[], resumable=True) as builder:
        exists = (builder.folder / "half").exists()
        builder.finish(digest="1")
    return exists


def test_resumable_stage_resumes_with_the_same_call(tmp_path: Path) -> None:
    build_and_fail(tmp_path / "out", KeyboardInterrupt(), resumable=True)
    assert names(tmp_path) == [".out.partial"]
    assert not is_artifact(tmp_path / ".out.partial")
    started = json.loads((tmp_path / ".out.partial" / "pending.json").read_text())["started"]
    assert resumes(tmp_path / "out", 0)
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["artifact.json", "half"]
    assert open_artifact(tmp_path / "out").manifest.started == started


def test_resumable_stage_restarts_with_another_call(tmp_path: Path) -> None:
    build_and_fail(tmp_path / "out", KeyboardInterrupt(), resumable=True)
    assert not resumes(tmp_path / "out", 1)
    assert names(tmp_path / "out") == ["artifact.json"]


@pytest.mark.parametrize("left", ["empty", "incomplete marker", "another call's", "being removed"])
def test_partial_that_cannot_be_resumed_is_replaced(tmp_path: Path, left: str) -> None:
    partial = tmp_path / ".out.partial"
    if left == "empty":
        partial.mkdir()
    elif left == "incomplete marker":
        partial.mkdir()
        (partial / ".pending.json.new").write_text('{"key"')
    else:
        build_and_fail(tmp_path / "out", KeyboardInterrupt(), resumable=True, key=left == "another call's")
        if left == "being removed":
            (partial / "pending.json").rename(partial / "discarded.json")
    assert not resumes(tmp_path / "out", 0)
    assert names(tmp_path) == ["out"]


# --- foreign files ---

THEIRS = ["folder", "file", "link", "dangling link", "no key", "key of another shape"]


def create_foreign(path: Path, kind: str) -> None:
    """Create something of the user's at a path."""
    if kind == "file":
        path.write_text("all of it")
    elif kind in ("link", "dangling link"):
        if kind == "link":
            make(path.parent / "theirs")
        path.symlink_to(path.parent / "theirs")
    else:
        path.mkdir()
        (path / "thesis.tex").write_text("all of it")
        if kind == "no key":
            (path / "pending.json").write_text("[]")
            (path / "artifact.json").write_text('{"kind": "book", "stage": "draft"}')
        elif kind == "key of another shape":
            (path / "pending.json").write_text('{"key": "other"}')


def contents(folder: Path) -> dict[str, bytes | str]:
    """Return everything in a folder: contents of files, targets of links."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"
    return found


@pytest.mark.parametrize("kind", THEIRS)
@pytest.mark.parametrize("name", [".out.partial", ".out.lock"])
@pytest.mark.parametrize("resumable", [True, False])
def test_foreign_files_at_hidden_paths_are_kept_and_reported(
    tmp_path: Path, name: str, kind: str, resumable: bool
) -> None:
    create_foreign(tmp_path / name, kind)
    before = contents(tmp_path)
    with pytest.raises(DataError, match="not created by fercli already exists") as caught:
        make(tmp_path / "out", overwrite=True, resumable=resumable)
    assert str(tmp_path / name) in str(caught.value)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("kind", THEIRS)
def test_foreign_file_at_the_old_path_is_kept(tmp_path: Path, kind: str) -> None:
    create_foreign(tmp_path / ".out.old", kind)
    before = contents(tmp_path)
    make(tmp_path / "out", "1")  # the old path is not needed if nothing is replaced
    after = contents(tmp_path)
    assert {name: value for name, value in after.items() if not name.startswith("out")} == before
    with pytest.raises(DataError, match=r"\.out\.old: .* not created by fercli already exists"):
        make(tmp_path / "out", "2", options={"a": 1}, overwrite=True)
    assert contents(tmp_path) == after


def test_up_to_date_despite_a_foreign_partial(tmp_path: Path) -> None:
    make(tmp_path / "out")
    create_foreign(tmp_path / ".out.partial", "folder")
    assert make(tmp_path / "out").up_to_date
    assert (tmp_path / ".out.partial" / "thesis.tex").read_text() == "all of it"


@pytest.mark.parametrize("pipe", [".out.lock", ".out.partial", ".out.old", ".out.partial/pending.json"])
def test_pipe_at_a_hidden_path_does_not_block(tmp_path: Path, pipe: str) -> None:
    make(tmp_path / "out")
    (tmp_path / pipe).parent.mkdir(exist_ok=True)
    os.mkfifo(tmp_path / pipe)
    with pytest.raises(DataError, match="not created by fercli already exists"):
        make(tmp_path / "out", options={"a": 1}, overwrite=True)
    assert (tmp_path / pipe).exists()


def test_folder_created_meanwhile_is_kept(tmp_path: Path) -> None:
    def racing() -> None:
        with build(tmp_path / "out", "report", "test", options={}, inputs=[], resumable=True) as builder:
            builder.finish(digest="1")
            create_foreign(tmp_path / "out", "folder")

    with pytest.raises(DataError, match="not created by fercli already exists"):
        racing()
    assert (tmp_path / "out" / "thesis.tex").read_text() == "all of it"


def test_checkpoint_within_a_run_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "artifact.json").write_text('{"kind": "checkpoint", "stage": "train"}')
    with pytest.raises(DataError, match="exists as part of another artifact"):
        make(tmp_path / "best", overwrite=True)


@pytest.mark.parametrize("where", ["equal", "inside", "contains", "link", "partial", "part"])
@pytest.mark.parametrize("which", [0, 1])
def test_output_overlapping_an_input_is_rejected(tmp_path: Path, where: str, which: int) -> None:
    out = tmp_path / "out"
    source = {"inside": tmp_path, "contains": out / "deep", "partial": tmp_path / ".out.partial"}.get(where, out)
    if where == "part":
        make(tmp_path / "run")
        (tmp_path / "run" / "weights").write_text("")
        out, source = tmp_path / "run" / "out", tmp_path / "run" / "weights"
    source.mkdir(parents=True, exist_ok=True) if where != "part" else None
    if where == "link":
        (tmp_path / "link").symlink_to("out")
        source = tmp_path / "link"
    (tmp_path.parent / "elsewhere").mkdir(exist_ok=True)
    inputs = [input_of("one", tmp_path.parent / "elsewhere", "raw", "1"), input_of("two", source, "raw", "2")]
    before = contents(tmp_path)
    with pytest.raises(UsageError, match=r"the output is inside the input|the output contains the input"):
        make(out, inputs=inputs if which else inputs[::-1], overwrite=True)
    assert contents(tmp_path) == before


def test_hub_inputs_have_no_local_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    artifact = make(tmp_path / "imagenet", inputs=[input_of("weights", Path("imagenet"), "hub", "imagenet")])
    assert artifact.path == tmp_path / "imagenet"


def test_full_disk_at_the_manifest_keeps_the_partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        if path.name == "artifact.json":
            raise OSError(errno.ENOSPC, "No space left on device")
        write_text(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(building, "write_text", full)
        with pytest.raises(FerError, match="the disk is full"):
            build_half(tmp_path / "out", None, resumable=True)
    assert resumes(tmp_path / "out", 0)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "the disk is full; free some space and try again"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "cannot be written"),
        (errno.EACCES, "cannot be written"),
    ],
)
@pytest.mark.parametrize("where", ["body", "os.rename", "os.open", "manifest"])
def test_disk_errors_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str, where: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    if where == "os.open" and code == errno.EACCES:
        pytest.skip("means that another call holds the lock, on some systems")
    with monkeypatch.context() as patch:
        if where.startswith("os."):
            patch.setattr(os, where.removeprefix("os."), refuse)
        elif where == "manifest":
            patch.setattr(building, "write_text", refuse)
        error = OSError(code, os.strerror(code)) if where == "body" else None
        with pytest.raises(FerError, match=message) as caught:
            build_half(tmp_path / "out", error, resumable=False)
    assert str(tmp_path / "out") in str(caught.value)
    assert names(tmp_path) == []


def test_impossible_output_paths(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "out", tmp_path / "file" / "deep" / "out", tmp_path / ("x" * 250)):
        with pytest.raises(FerError, match="cannot be written"):
            make(out)
    assert names(tmp_path) == ["file"]


def test_up_to_date_in_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "out")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(building, "locked", lambda out: pytest.fail("took a lock"))
    assert make(tmp_path / "out").up_to_date
    assert names(tmp_path) == ["out"]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to the superuser")
def test_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(FerError, match="cannot be written"):
            make(tmp_path / "out")
    finally:
        tmp_path.chmod(0o755)


def test_missing_finish_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError), build(tmp_path / "out", "report", "test", options={}, inputs=[]):
        pass
    assert names(tmp_path) == []


# --- kills and concurrent calls ---

HOLD = """
import os, sys, time
from pathlib import Path
from fercli.artifacts import building
from fercli.artifacts import write_text

out, where, resumable = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "True"

def stop():
    print("here", flush=True)
    time.sleep(60)

rename = os.rename
def renaming(a, b):
    if where == "between the renames" and str(b) == str(out):
        stop()
    rename(a, b)
    if where == "after the rename" and str(b) == str(out):
        stop()
os.rename = renaming

unlink = Path.unlink
def unlinking(path, *rest, **more):
    unlink(path, *rest, **more)
    if where == "after pending" and path.name == "pending.json":
        stop()
Path.unlink = unlinking

with building.build(out, "report", "test", options={"a": 1}, inputs=[], overwrite=True, resumable=resumable) as builder:
    write_text(builder.folder / "payload", "2")
    if where == "body":
        stop()
    builder.finish(digest="2")
"""


def build_and_kill(out: Path, where: str, resumable: bool = False) -> None:
    process = python(HOLD, out, where, resumable)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n", process.communicate()[1]
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("where", ["body", "after pending", "between the renames", "after the rename"])
def test_next_call_recovers_from_a_kill(tmp_path: Path, where: str) -> None:
    out = tmp_path / "out"
    make(out, "1")
    build_and_kill(out, where)
    if out.exists():  # complete: the old or the new one
        assert is_artifact(out)
        assert payload(out) == ("2" if where == "after the rename" else "1")
    if where == "between the renames":
        with pytest.raises(DataError, match="a different report already exists"):  # the old one was restored
            make(out, "3", options={"a": 1})
        assert payload(out) == "1"
    assert make(out, "2", options={"a": 1}, overwrite=True).up_to_date == (where == "after the rename")
    assert payload(out) == "2"
    assert names(out) == ["artifact.json", "payload"]
    assert names(tmp_path) == ["out"]


@pytest.mark.slow
def test_complete_partial_is_published_by_the_next_call(tmp_path: Path) -> None:
    build_and_kill(tmp_path / "out", "after pending")
    assert names(tmp_path) == [".out.lock", ".out.partial"]
    assert make(tmp_path / "out", "2", options={"a": 1}).up_to_date
    assert payload(tmp_path / "out") == "2"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("last", [1, 2, 3, 4])
def test_interrupted_removal_is_completed_by_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    make(tmp_path / "out")
    make(tmp_path / ".out.old")
    (tmp_path / ".out.old" / "more").write_text("")
    steps = iter(range(100))

    def interrupting(*arguments: Any) -> None:
        if next(steps) >= last:
            raise KeyboardInterrupt
        real[arguments[0]](*arguments[1:])

    real = {name: getattr(os, name) for name in ("replace", "unlink", "rmdir")}
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        for name in real:
            patch.setattr(os, name, partial(interrupting, name))
        staging.discard(tmp_path / ".out.old")
    assert os.path.lexists(tmp_path / ".out.old")
    shutil.rmtree(tmp_path / "out")  # a half-removed artifact is never restored
    make(tmp_path / "out", "3", options={"a": 1})
    assert names(tmp_path) == ["out"]


@pytest.mark.slow
def test_killed_resumable_stage_resumes(tmp_path: Path) -> None:
    build_and_kill(tmp_path / "out", "body", resumable=True)
    with build(tmp_path / "out", "report", "test", options={"a": 1}, inputs=[], resumable=True) as builder:
        assert payload(builder.folder) == "2"
        builder.finish(digest="2")
    assert names(tmp_path) == ["out"]


def test_concurrent_writers_are_rejected(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = python(HOLD, out, "body", False)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "here\n"
        before = names(tmp_path / ".out.partial")
        for overwrite in (False, True):
            with pytest.raises(DataError, match="is being written by another call"):
                make(out, overwrite=overwrite)
        assert names(tmp_path / ".out.partial") == before
        assert make(tmp_path / "other").path.exists()
    finally:
        first.kill()
        first.communicate()
    assert not make(out).up_to_date


def test_stale_lock_does_not_block(tmp_path: Path) -> None:
    (tmp_path / ".out.lock").write_text("")
    make(tmp_path / "out")
    assert names(tmp_path) == ["out"]


def test_lock_removed_by_its_holder_is_retaken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The previous holder removes the file between our open and our lock."""
    lock, flock = tmp_path / ".out.lock", staging.fcntl.flock
    calls: list[int] = []

    def racing(handle: int, how: int) -> None:
        flock(handle, how)
        calls.append(handle)
        if len(calls) == 1:
            lock.unlink()

    monkeypatch.setattr(staging.fcntl, "flock", racing)
    locked: Callable[[], bool] = lambda: lock.exists()  # noqa: E731
    with build(tmp_path / "out", "report", "test", options={}, inputs=[]) as builder:
        assert locked()
        builder.finish(digest="1")
    assert len(calls) == 2


def test_misspelt_manifest_field_is_rejected(tmp_path: Path) -> None:
    with (
        pytest.raises(TypeError, match="sumary"),
        build(tmp_path / "out", "dataset", "s", options={}, inputs=[]) as builder,
    ):
        builder.finish(digest="1", sumary={})  # type: ignore[call-arg]
    assert names(tmp_path) == []
