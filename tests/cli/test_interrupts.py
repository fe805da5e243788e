"""Ctrl-C and SIGTERM at any moment: exit code 130, one line, and no incomplete files."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fercli
from tests.helpers.datasets import ROOT, face, make_dataset, names

LINE = "interrupted; repeat the call with the same options (long stages resume)"


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("interrupts")
    files = {
        f"{split}/{emotion}/{n}.png": face(100 * s + 10 * e + n)
        for s, split in enumerate(("train", "validation"))
        for e, emotion in enumerate(("happy", "sad"))
        for n in range(4)
    }
    return fercli.pack(make_dataset(folder / "data", files).path, folder / "pack").path


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """Start `fer` and return once it handles signals."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fercli", *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    while not _listens(process.pid):
        assert process.poll() is None
        time.sleep(0.001)
    return process


def _listens(pid: int) -> bool:
    """Return whether a process handles SIGTERM (Python handles Ctrl-C before `main`, with a traceback)."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        time.sleep(0.3)
        return True
    caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def assert_interrupted(process: subprocess.Popen[str], *, as_json: bool) -> None:
    """Check that a process reported the interruption."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert err == f"fer train: {LINE}\n"
    if as_json:
        error = json.loads(out)["error"]
        assert error == {"command": "train", "kind": "Interrupted", "message": LINE, "exit_code": 130}
    else:
        assert out == ""


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(12))
def test_signal_at_any_moment(moment: int, pack: Path, tmp_path: Path) -> None:
    """During the imports of Typer, torch and the stage, and during training."""
    as_json, twice = bool(moment % 2), moment % 3 == 0
    process = start("train", pack, tmp_path / "run", "--epochs", "10000", "-q", *(["--json"] if as_json else []))
    time.sleep(moment**2 * 0.02)
    number = signal.SIGTERM if moment % 4 < 2 else signal.SIGINT
    process.send_signal(number)
    if twice:
        process.send_signal(signal.SIGINT)
    assert_interrupted(process, as_json=as_json)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_during_training(number: int, pack: Path, tmp_path: Path) -> None:
    process = start("train", pack, tmp_path / "run", "--epochs", "10000", "-q", "--json")
    while not (tmp_path / ".run.partial" / "resume").is_dir():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert_interrupted(process, as_json=True)
    assert names(tmp_path)  # the state to resume from


def test_signal_after_the_result_is_ignored(tmp_path: Path) -> None:
    """A signal during interpreter shutdown must not change the exit code."""
    code = """
import atexit, os, signal, sys
from fercli.cli.main import main
class Late:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
sys.late = Late()  # freed with the interpreter's own modules
sys.argv = ["fer", "--version"]
main()
"""
    call = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (call.returncode, call.stdout, call.stderr) == (0, f"fer {fercli.__version__}\n", "")


@pytest.mark.slow
def test_interruption_during_an_import_is_deferred(tmp_path: Path) -> None:
    """A library that swallows exceptions while it is imported must not swallow the interruption."""
    (tmp_path / "swallowing.py").write_text(
        "import os, signal\ntry:\n os.kill(os.getpid(), signal.SIGINT)\n for _ in range(99999): pass\n"
        "except BaseException: pass\n"
    )
    code = f"""
import sys, time
sys.path.insert(0, {str(tmp_path)!r})
from fercli.cli import failures, interrupts
from fercli.cli.output import guarded
failures.begin(["pack"], ["pack"])
interrupts.install()
interrupts.begin_work()
with guarded(False, "pack"):
    import swallowing
    time.sleep(30)
"""
    call = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=25)
    assert call.stderr.splitlines()[0] == f"fer pack: {LINE}"


@pytest.mark.slow
def test_failures_due_to_an_interruption_are_reported_as_such(tmp_path: Path) -> None:
    code = """
import os, signal
from fercli.cli import failures, interrupts
from fercli.cli.output import guarded
failures.begin(["pack", "--json"], ["pack"])
interrupts.install()
interrupts.begin_work()
with guarded(False, "pack"):
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(99999): pass
    except KeyboardInterrupt:
        raise ImportError("numpy failed to import")
"""
    call = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert call.stderr.splitlines()[0] == f"fer pack: {LINE}"
    assert json.loads(call.stdout)["error"]["kind"] == "Interrupted"


def test_second_ctrl_c_exits_at_once(tmp_path: Path) -> None:
    code = """
import os, signal, time
from fercli.cli import failures, interrupts
failures.begin(["pack"], ["pack"])
interrupts._DEBOUNCE = 0.05
interrupts.install()
interrupts.begin_work()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
except KeyboardInterrupt:
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)
"""
    call = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=25)
    assert (call.returncode, call.stderr) == (130, f"fer pack: {LINE}\n")


def test_interrupted_clean_leaves_nothing(tmp_path: Path, pack: Path) -> None:
    process = start("clean", pack.parent / "data", tmp_path / "cleaned", "--json")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert names(tmp_path) == []
