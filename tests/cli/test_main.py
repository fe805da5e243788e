"""`fer`: exit codes, one line an error, one JSON object, help that can be pasted, and no torch where none is needed."""

import json
import os
import re
import subprocess
import sys
import tomllib
import zlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from fercli import __version__
from fercli.cli.commands import COMMANDS
from fercli.emotions import EMOTIONS
from tests.helpers.cli import Ended
from tests.helpers.datasets import (
    ROOT,
    encoded,
    face,
    make_dataset,
    names,
    noise,
    python,
    small_csv,
    write_csv,
    write_tree,
)
from tests.helpers.photographs import photograph

Fer = Callable[..., Ended]


HEAD = ("path", "kind", "up_to_date", "seconds")
"""What --json says of every stage's result, before its summary."""


def told(ended: Ended, stage: str, code: int, text: str) -> None:
    """Check that a call failed with exactly one line for people."""
    assert (ended.code, ended.out) == (code, "")
    assert len(ended.lines) == 1, ended.err
    assert ended.lines[0].startswith(f"fer {stage}: ")
    assert re.search(text, ended.lines[0]), ended.lines[0]
    assert ended.lines[0].isprintable()


# --- what comes out ---


def test_json_is_one_object_of_the_contracts_keys(fer: Fer, tmp_path: Path) -> None:
    table = small_csv(tmp_path / "a.csv", each=1)
    with table.open("a") as file:
        file.write("6,1 2,Training\n")
    each = {"train": 7, "validation": 7, "test": 7}
    expected = {"images": each, "emotions": list(EMOTIONS), "skipped": {"wrong pixels": 1}}
    for again in (False, True):  # up to date prints the same
        ended = fer("import", table, tmp_path / "faces", "--json")
        assert ended.code == 0
        found = json.loads(ended.out)
        assert tuple(found)[:4] == HEAD
        assert found.pop("seconds") >= 0
        assert found == {"path": str(tmp_path / "faces"), "kind": "dataset", "up_to_date": again, **expected}
    cleaned = fer("clean", tmp_path / "faces", tmp_path / "cleaned", "--json", "--quiet")
    assert (cleaned.code, cleaned.err) == (0, "")
    assert set(json.loads(cleaned.out)) == {*HEAD, "exact", "near", "constant", "removed"}
    packed = fer("pack", tmp_path / "cleaned", tmp_path / "pack", "--json", "--quiet")
    assert (packed.code, packed.err) == (0, "")
    found = {key: value for key, value in json.loads(packed.out).items() if key not in HEAD}
    assert found == {"images": each, "emotions": list(EMOTIONS), "size": 48, "color": "gray", "leaks": 0}


def test_results_on_stdout_logs_on_stderr(fer: Fer, tmp_path: Path) -> None:
    table = small_csv(tmp_path / "a.csv", each=1)
    ended = fer("import", table, tmp_path / "faces")
    assert ended.code == 0
    assert "happy" in ended.out
    assert "dataset" in ended.out
    assert ended.lines[0].startswith("reading ")
    assert "up to date" in fer("import", table, tmp_path / "faces").out
    quiet = fer("import", table, tmp_path / "other", "--quiet")
    assert (quiet.err, quiet.out) == ("", f"{tmp_path / 'other'}\n")
    again = fer("import", table, tmp_path / "other", "-q")
    assert (again.err, again.out) == ("", f"{tmp_path / 'other'}\n")
    shown = fer("show", tmp_path / "faces")
    assert shown.code == 0
    assert "a.csv" in shown.out
    assert json.loads(fer("show", tmp_path / "faces", "--json").out)["kind"] == "dataset"


def test_options_from_a_file_under_those_of_the_line(fer: Fer, tmp_path: Path) -> None:
    small_csv(tmp_path / "a.csv", each=1)
    file = tmp_path / "a.toml"
    file.write_text('seed = 3\nstrict = true\n[pack]\nsize = 9\n[import]\nformat = "fer2013-csv"\n')
    assert fer("import", tmp_path / "a.csv", tmp_path / "out", "--config", file, "--seed", "4", "-q").code == 0
    options = json.loads((tmp_path / "out" / "artifact.json").read_text())["options"]
    assert (options["format"], options["strict"], options["seed"]) == ("fer2013-csv", True, 4)
    file.write_text("sede = 3\n")
    told(
        fer("import", tmp_path / "a.csv", tmp_path / "x", "--config", file),
        "import",
        2,
        "no option 'sede'; did you mean seed?",
    )
    file.write_text("sede = \n")
    told(fer("import", tmp_path / "a.csv", tmp_path / "x", "--config", file), "import", 2, "a.toml: ")
    told(fer("import", tmp_path / "a.csv", tmp_path / "x", "--config", tmp_path), "import", 2, "Is a directory")


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("nothing", "no such file or folder"),
        ("new\nline\x1b[31m", "no such file or folder"),
        ("empty", "empty folder"),
        ("empty.csv", "the table is empty"),
        ("header.csv", "no usable images"),
        ("label.csv", "its codes are only 9, but FER2013's range from 0 to 6"),
        ("columns.csv", "no column for path and label: line 1 has 'pixels', 'Usage'"),
        ("text.txt", "unknown folder layout"),
        ("giant", r"no usable images \(1 too large\)"),
        ("broken", "no usable images"),
    ],
)
def test_each_bad_source_is_one_line(fer: Fer, tmp_path: Path, given: str, text: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty.csv").write_bytes(b"")
    write_csv(tmp_path / "header.csv", [])
    write_csv(tmp_path / "label.csv", [(9, face(1), "Training")])
    (tmp_path / "columns.csv").write_text("pixels,Usage\n")
    (tmp_path / "text.txt").write_text("a text")
    giant = bytearray(encoded(face(1)))
    giant[16:24] = bytes.fromhex("0000753000007530")
    giant[29:33] = zlib.crc32(giant[12:29]).to_bytes(4, "big")
    write_tree(tmp_path / "giant", {"train/sad/1.png": bytes(giant)})
    write_tree(tmp_path / "broken", {"train/sad/1\n2.png": encoded(noise(1, 48, 48))[:99], "train/sad/3.png": b""})
    before = names(tmp_path)
    told(fer("import", tmp_path / given, tmp_path / "out", "--quiet"), "import", 1, text)
    assert names(tmp_path) == before


def test_an_error_after_a_log_line_is_still_one_line(fer: Fer, tmp_path: Path) -> None:
    ended = fer("import", write_csv(tmp_path / "a.csv", []), tmp_path / "out", "--json")
    assert ended.code == 1
    assert [line.split(" ")[0] for line in ended.lines] == ["reading", "fer"]
    assert list(json.loads(ended.out)) == ["error"]


@pytest.mark.parametrize(
    ("line", "command", "kind", "code", "text"),
    [
        (("pack", "nothing", "out"), "pack", "DataError", 1, "nothing: "),
        (("import", "a.csv", "a.csv"), "import", "UsageError", 2, "the output is inside the input"),
        (("import",), "import", "UsageError", 2, "no SOURCE given"),
        (("import", "a.csv", "--nope"), "import", "UsageError", 2, "no such option: --nope.*fer import --help"),
        (("import", "a.csv", "--seed", "x"), "import", "UsageError", 2, "invalid value for '--seed'"),
        (("import", "a.csv", "b", "c"), "import", "UsageError", 2, "unexpected extra argument"),
        (("predict",), "predict", "UsageError", 2, "missing argument 'CHECKPOINT'"),
        (("models", "resnet51"), "models", "UsageError", 2, "did you mean resnet50"),
        (("show", "nothing"), "show", "DataError", 1, "nothing: "),
        (("weights", "put"), "weights", "UsageError", 2, "no action 'put'"),
        (("trian",), "", "UsageError", 2, "no command 'trian'; did you mean train"),
        (("--nope",), "", "UsageError", 2, "no such option: --nope"),
    ],
)
def test_an_error_is_one_line_and_with_json_an_object(
    fer: Fer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: tuple[str, ...],
    command: str,
    kind: str,
    code: int,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    small_csv(tmp_path / "a.csv", each=1)
    ended = fer(*line, "--json")
    error = json.loads(ended.out)["error"]
    assert (ended.code, error["command"], error["kind"], error["exit_code"]) == (code, command, kind, code)
    assert re.search(text, error["message"]), error
    assert ended.lines == [": ".join(["fer " + command if command else "fer", error["message"]])]
    plain = fer(*line)
    assert (plain.code, plain.out, plain.lines) == (code, "", ended.lines)


def test_an_unexpected_error_and_debug_under_json(
    fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of luck")

    monkeypatch.setattr("fercli.stages.import_dataset.stage.write_index", fail)
    table = small_csv(tmp_path / "a.csv", each=1)
    error = json.loads(fer("import", table, tmp_path / "out", "--json", "-q").out)["error"]
    assert (error["kind"], error["exit_code"]) == ("RuntimeError", 1)
    capsys.readouterr()
    with pytest.raises(RuntimeError):
        fer("import", table, tmp_path / "out", "--json", "--debug")
    assert json.loads(capsys.readouterr().out)["error"] == error


def test_wrong_usage_is_2(fer: Fer, tmp_path: Path) -> None:
    table = small_csv(tmp_path / "a.csv", each=1)
    told(fer("import", table, tmp_path / "o", "--format", "fer"), "import", 2, "no format 'fer'")
    told(fer("import", table, table), "import", 2, "the output is inside the input")
    told(fer("import", table, tmp_path), "import", 2, "the output contains the input")
    for arguments in (["import"], ["import", table, "--nope"], ["nope"], ["import", table, "--seed", "x"], ["a", "b"]):
        ended = fer(*arguments)
        assert ended.code == 2
        assert ended.out == ""
        assert "Traceback" not in ended.err


def test_what_stands_at_the_output_is_told(fer: Fer, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "test/sad/2.png": face(1)}).path
    told(fer("pack", data, tmp_path / "p", "-q"), "pack", 1, "more than one split: 1 .*--allow-leaks")
    assert fer("pack", data, tmp_path / "p", "-q", "--allow-leaks").code == 0
    told(fer("pack", data, tmp_path / "p", "-q", "--allow-leaks", "--size", "24"), "pack", 1, "a different pack")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("all")
    told(
        fer("pack", data, tmp_path / "theirs", "--overwrite", "-q"),
        "pack",
        1,
        "already exists and is not a fercli artifact",
    )
    told(fer("pack", tmp_path / "theirs", tmp_path / "q", "-q"), "pack", 1, "not a fercli dataset")
    (data / "artifact.json").write_text('{"kind": "dataset", "stage": "import", "format": 9, "fercli": "7"}')
    told(fer("clean", data, tmp_path / "c", "-q"), "clean", 1, "format 9; update fercli")
    told(fer("show", data), "show", 1, "format 9; update fercli")


def test_a_failure_nobody_thought_of_is_one_line_and_debug_shows_it(
    fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of\nluck")

    monkeypatch.setattr("fercli.stages.import_dataset.stage.write_index", fail)
    table = small_csv(tmp_path / "a.csv", each=1)
    told(fer("import", table, tmp_path / "out", "-q"), "import", 1, "unexpected RuntimeError: out of luck.*--debug")
    with pytest.raises(RuntimeError, match="out of"):
        fer("import", table, tmp_path / "out", "--debug")


def test_ctrl_c_is_130(fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fercli.stages.import_dataset.stage.write_index", interrupt)
    told(
        fer("import", small_csv(tmp_path / "a.csv"), tmp_path / "out", "-q"),
        "import",
        130,
        "interrupted; repeat the call",
    )
    assert names(tmp_path) == ["a.csv"]


def test_names_of_any_bytes_pass_through_the_whole_command() -> None:
    """A path that is no UTF-8, as the shell hands it over, in a locale that has no other either."""
    code = (
        "import os, sys, tempfile; os.chdir(tempfile.mkdtemp()); name = os.fsdecode(b'\\xff\\nx.csv');"
        "open(name, 'w').write('emotion,pixels,Usage\\n0,' + '7 ' * 2304 + ',Training\\n');"
        "from fercli.cli.main import main; sys.argv = ['fer', 'import', name, os.fsdecode(b'out\\xfe')];\n"
        "try: main()\n"
        "except SystemExit as e: print(e.code, os.path.isfile(os.fsdecode(b'out\\xfe/artifact.json')))"
    )
    process = python(code)
    out, errors = process.communicate()
    assert out.splitlines()[-1] == "0 True", errors


# --- help, and what is imported ---


def test_help_names_every_command(fer: Fer) -> None:
    ended = fer("--help")
    assert ended.code == 0
    assert ended.err == ""
    for name, (_, line) in COMMANDS.items():
        assert name in ended.out
        assert line.split(":")[0] in " ".join(ended.out.split())
    assert fer("--version").out == f"fer {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_a_line_to_paste(fer: Fer, name: str) -> None:
    ended = fer(name, "--help")
    assert ended.code == 0
    assert any(re.match(rf"Example: fer {name}\b", line.strip()) for line in ended.out.splitlines())
    assert "[bold]" not in ended.out


def test_data_stages_never_import_torch(tmp_path: Path) -> None:
    small_csv(tmp_path / "a.csv", each=1)
    write_tree(tmp_path / "photographs", {"a.png": photograph((30, 10, 100))})
    code = """
import os, sys
os.chdir(sys.argv[1])
from fercli.cli.main import main
data = ("import a.csv faces -q", "clean faces cleaned -q", "pack cleaned pack -q", "detect photographs found -q")
for line in ("--help", "show --help", "weights", *data):
    sys.argv = ["fer", *line.split()]
    try:
        main()
    except SystemExit as ended:
        assert ended.code == 0, line
    heavy = {"torch", "torchvision", "timm", "sklearn", "pandas"} & set(sys.modules)
    assert not heavy, (line, heavy)
import fercli
print(sorted({"torch", "typer"} & set(sys.modules)))
"""
    process = python(code, tmp_path)
    out, errors = process.communicate()
    assert (process.returncode, out.splitlines()[-1:]) == (0, ["['typer']"]), errors


def test_the_library_alone_imports_neither_typer_nor_rich(tmp_path: Path) -> None:
    small_csv(tmp_path / "a.csv", each=1)
    code = """
import os, sys
os.chdir(sys.argv[1])
import fercli
light = sorted({"numpy", "pydantic", "h5py"} & set(sys.modules))
fercli.pack(fercli.import_dataset("a.csv", "faces").path, "pack", allow_leaks=True)
print(light, sorted({"torch", "typer", "rich"} & set(sys.modules)))
"""
    out, errors = python(code, tmp_path).communicate()
    assert out == "[] []\n", errors


def test_python_m_fercli_is_fer() -> None:
    call = subprocess.run([sys.executable, "-m", "fercli", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert (call.returncode, call.stdout) == (0, f"fer {__version__}\n")
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]
    assert metadata.version("fercli") == __version__


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
def test_a_config_that_is_no_file_is_not_waited_for(fer: Fer, tmp_path: Path, kind: str) -> None:
    config = Path("/dev/zero") if kind == "a device" else tmp_path / "config"
    if kind == "a pipe":
        os.mkfifo(config)
    told(fer("pack", tmp_path / "faces", tmp_path / "pack", "--config", config), "pack", 2, f"{kind}, not a file")


def test_a_config_within_the_output_is_not_replaced_with_it(fer: Fer, tmp_path: Path) -> None:
    faces = make_dataset(tmp_path / "faces", {"train/happy/a.png": face(1)})
    assert fer("pack", faces.path, tmp_path / "pack").code == 0
    config = tmp_path / "pack" / "mine.toml"
    config.write_text("size = 16\n")
    ended = fer("pack", faces.path, tmp_path / "pack", "--config", config, "--overwrite")
    told(ended, "pack", 2, r"mine\.toml")
    assert config.read_text() == "size = 16\n"
