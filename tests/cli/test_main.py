"""`fer`: exit codes, one-line errors, JSON output, help with examples, and no needless import of torch."""

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
from tests.helpers.cli import CliResult
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

Fer = Callable[..., CliResult]


COMMON_KEYS = ("path", "kind", "up_to_date", "seconds")
"""Keys that --json prints for every stage, before its summary."""


def assert_fails(result: CliResult, stage: str, code: int, text: str) -> None:
    """Check that a call failed with a one-line message."""
    assert (result.code, result.out) == (code, "")
    assert len(result.lines) == 1, result.err
    assert result.lines[0].startswith(f"fer {stage}: ")
    assert re.search(text, result.lines[0]), result.lines[0]
    assert result.lines[0].isprintable()


# --- output ---


def test_json_output_is_one_object(fer: Fer, tmp_path: Path) -> None:
    table = small_csv(tmp_path / "a.csv", each=1)
    with table.open("a") as file:
        file.write("6,1 2,Training\n")
    each = {"train": 7, "validation": 7, "test": 7}
    expected = {"images": each, "emotions": list(EMOTIONS), "skipped": {"wrong pixels": 1}}
    for again in (False, True):  # up to date prints the same
        result = fer("import", table, tmp_path / "faces", "--json")
        assert result.code == 0
        found = json.loads(result.out)
        assert tuple(found)[:4] == COMMON_KEYS
        assert found.pop("seconds") >= 0
        assert found == {"path": str(tmp_path / "faces"), "kind": "dataset", "up_to_date": again, **expected}
    cleaned = fer("clean", tmp_path / "faces", tmp_path / "cleaned", "--json", "--quiet")
    assert (cleaned.code, cleaned.err) == (0, "")
    assert set(json.loads(cleaned.out)) == {*COMMON_KEYS, "exact", "near", "constant", "removed"}
    packed = fer("pack", tmp_path / "cleaned", tmp_path / "pack", "--json", "--quiet")
    assert (packed.code, packed.err) == (0, "")
    found = {key: value for key, value in json.loads(packed.out).items() if key not in COMMON_KEYS}
    assert found == {"images": each, "emotions": list(EMOTIONS), "size": 48, "color": "gray", "leaks": 0}


def test_results_on_stdout_and_logs_on_stderr(fer: Fer, tmp_path: Path) -> None:
    table = small_csv(tmp_path / "a.csv", each=1)
    result = fer("import", table, tmp_path / "faces")
    assert result.code == 0
    assert "happy" in result.out
    assert "dataset" in result.out
    assert result.lines[0].startswith("reading ")
    assert "up to date" in fer("import", table, tmp_path / "faces").out
    quiet = fer("import", table, tmp_path / "other", "--quiet")
    assert (quiet.err, quiet.out) == ("", f"{tmp_path / 'other'}\n")
    again = fer("import", table, tmp_path / "other", "-q")
    assert (again.err, again.out) == ("", f"{tmp_path / 'other'}\n")
    shown = fer("show", tmp_path / "faces")
    assert shown.code == 0
    assert "a.csv" in shown.out
    assert json.loads(fer("show", tmp_path / "faces", "--json").out)["kind"] == "dataset"


def test_command_line_overrides_the_config_file(fer: Fer, tmp_path: Path) -> None:
    small_csv(tmp_path / "a.csv", each=1)
    file = tmp_path / "a.toml"
    file.write_text('seed = 3\nstrict = true\n[pack]\nsize = 9\n[import]\nformat = "fer2013-csv"\n')
    assert fer("import", tmp_path / "a.csv", tmp_path / "out", "--config", file, "--seed", "4", "-q").code == 0
    options = json.loads((tmp_path / "out" / "artifact.json").read_text())["options"]
    assert (options["format"], options["strict"], options["seed"]) == ("fer2013-csv", True, 4)
    file.write_text("sede = 3\n")
    assert_fails(
        fer("import", tmp_path / "a.csv", tmp_path / "x", "--config", file),
        "import",
        2,
        "no option 'sede'; did you mean seed?",
    )
    file.write_text("sede = \n")
    assert_fails(fer("import", tmp_path / "a.csv", tmp_path / "x", "--config", file), "import", 2, "a.toml: ")
    assert_fails(fer("import", tmp_path / "a.csv", tmp_path / "x", "--config", tmp_path), "import", 2, "Is a directory")


# --- errors ---


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
def test_invalid_sources_are_one_line_errors(fer: Fer, tmp_path: Path, given: str, text: str) -> None:
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
    assert_fails(fer("import", tmp_path / given, tmp_path / "out", "--quiet"), "import", 1, text)
    assert names(tmp_path) == before


def test_error_after_a_log_line(fer: Fer, tmp_path: Path) -> None:
    result = fer("import", write_csv(tmp_path / "a.csv", []), tmp_path / "out", "--json")
    assert result.code == 1
    assert [line.split(" ")[0] for line in result.lines] == ["reading", "fer"]
    assert list(json.loads(result.out)) == ["error"]


@pytest.mark.parametrize(
    ("line", "command", "kind", "code", "text"),
    [
        (("pack", "nothing", "out"), "pack", "DataError", 1, "nothing: "),
        (("import", "a.csv", "a.csv"), "import", "UsageError", 2, "the output is inside the input"),
        (("import",), "import", "UsageError", 2, "no SOURCE given"),
        (("import", "a.csv", "--nope"), "import", "UsageError", 2, "no such option: --nope.*fer import --help"),
        (("import", "a.csv", "--seed", "x"), "import", "UsageError", 2, "invalid value for '--seed'"),
        (("import", "a.csv", "b", "c"), "import", "UsageError", 2, "unexpected extra argument"),
        (("predict",), "predict", "UsageError", 2, "source: name what to predict"),
        (("models", "resnet51"), "models", "UsageError", 2, "did you mean resnet50"),
        (("show", "nothing"), "show", "DataError", 1, "nothing: "),
        (("weights", "put"), "weights", "UsageError", 2, "no action 'put'"),
        (("trian",), "", "UsageError", 2, "no command 'trian'; did you mean train"),
        (("--nope",), "", "UsageError", 2, "no such option: --nope"),
    ],
)
def test_errors_are_one_line_and_a_json_object(
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
    result = fer(*line, "--json")
    error = json.loads(result.out)["error"]
    assert (result.code, error["command"], error["kind"], error["exit_code"]) == (code, command, kind, code)
    assert re.search(text, error["message"]), error
    assert result.lines == [": ".join(["fer " + command if command else "fer", error["message"]])]
    plain = fer(*line)
    assert (plain.code, plain.out, plain.lines) == (code, "", result.lines)


def test_unexpected_error_and_debug_with_json(
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


def test_usage_errors_exit_with_2(fer: Fer, tmp_path: Path) -> None:
    table = small_csv(tmp_path / "a.csv", each=1)
    assert_fails(fer("import", table, tmp_path / "o", "--format", "fer"), "import", 2, "no format 'fer'")
    assert_fails(fer("import", table, table), "import", 2, "the output is inside the input")
    assert_fails(fer("import", table, tmp_path), "import", 2, "the output contains the input")
    for arguments in (["import"], ["import", table, "--nope"], ["nope"], ["import", table, "--seed", "x"], ["a", "b"]):
        result = fer(*arguments)
        assert result.code == 2
        assert result.out == ""
        assert "Traceback" not in result.err


def test_existing_output_is_an_error(fer: Fer, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "test/sad/2.png": face(1)}).path
    assert_fails(fer("pack", data, tmp_path / "p", "-q"), "pack", 1, "more than one split: 1 .*--allow-leaks")
    assert fer("pack", data, tmp_path / "p", "-q", "--allow-leaks").code == 0
    assert_fails(
        fer("pack", data, tmp_path / "p", "-q", "--allow-leaks", "--size", "24"), "pack", 1, "a different pack"
    )
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thesis.tex").write_text("all")
    assert_fails(
        fer("pack", data, tmp_path / "theirs", "--overwrite", "-q"),
        "pack",
        1,
        "already exists and is not a fercli artifact",
    )
    assert_fails(fer("pack", tmp_path / "theirs", tmp_path / "q", "-q"), "pack", 1, "not a fercli dataset")
    (data / "artifact.json").write_text('{"kind": "dataset", "stage": "import", "format": 9, "fercli": "7"}')
    assert_fails(fer("clean", data, tmp_path / "c", "-q"), "clean", 1, "format 9; update fercli")
    assert_fails(fer("show", data), "show", 1, "format 9; update fercli")


def test_unexpected_error_is_one_line_and_debug_shows_it(
    fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of\nluck")

    monkeypatch.setattr("fercli.stages.import_dataset.stage.write_index", fail)
    table = small_csv(tmp_path / "a.csv", each=1)
    assert_fails(
        fer("import", table, tmp_path / "out", "-q"), "import", 1, "unexpected RuntimeError: out of luck.*--debug"
    )
    with pytest.raises(RuntimeError, match="out of"):
        fer("import", table, tmp_path / "out", "--debug")


def test_ctrl_c_exits_with_130(fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fercli.stages.import_dataset.stage.write_index", interrupt)
    assert_fails(
        fer("import", small_csv(tmp_path / "a.csv"), tmp_path / "out", "-q"),
        "import",
        130,
        "interrupted; repeat the call",
    )
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.slow
def test_file_names_of_any_bytes_on_the_command_line() -> None:
    """A path that is not UTF-8, as passed by a shell."""
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


# --- help and imports ---


def test_help_lists_every_command(fer: Fer) -> None:
    result = fer("--help")
    assert result.code == 0
    assert result.err == ""
    for name, (_, line) in COMMANDS.items():
        assert name in result.out
        assert line.split(":")[0] in " ".join(result.out.split())
    assert fer("--version").out == f"fer {__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example(fer: Fer, name: str) -> None:
    result = fer(name, "--help")
    assert result.code == 0
    assert any(re.match(rf"Example: fer {name}\b", line.strip()) for line in result.out.splitlines())
    assert "[bold]" not in result.out


@pytest.mark.slow
def test_data_stages_do_not_import_torch(tmp_path: Path) -> None:
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


@pytest.mark.slow
def test_library_imports_neither_typer_nor_rich(tmp_path: Path) -> None:
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


def test_python_m_fercli_runs_fer() -> None:
    process = subprocess.run([sys.executable, "-m", "fercli", "--version"], capture_output=True, text=True, cwd=ROOT)
    assert (process.returncode, process.stdout) == (0, f"fer {__version__}\n")
    assert "version" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dynamic"]
    assert metadata.version("fercli") == __version__


@pytest.mark.parametrize("kind", ["a pipe", "a device"])
def test_special_file_as_config_does_not_block(fer: Fer, tmp_path: Path, kind: str) -> None:
    config = Path("/dev/zero") if kind == "a device" else tmp_path / "config"
    if kind == "a pipe":
        os.mkfifo(config)
    assert_fails(
        fer("pack", tmp_path / "faces", tmp_path / "pack", "--config", config), "pack", 2, f"{kind}, not a file"
    )


def test_config_inside_the_output_is_rejected(fer: Fer, tmp_path: Path) -> None:
    faces = make_dataset(tmp_path / "faces", {"train/happy/a.png": face(1)})
    assert fer("pack", faces.path, tmp_path / "pack").code == 0
    config = tmp_path / "pack" / "mine.toml"
    config.write_text("size = 16\n")
    result = fer("pack", faces.path, tmp_path / "pack", "--config", config, "--overwrite")
    assert_fails(result, "pack", 2, r"mine\.toml")
    assert config.read_text() == "size = 16\n"
