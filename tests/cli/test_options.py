"""Config fields as arguments and options: the stage receives the values given on the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
import typer
from pydantic import Field
from typer.testing import CliRunner

from fercli.artifacts import Artifact, Manifest
from fercli.cli.options import stage_command
from fercli.errors import UsageError
from fercli.stages.base import Cli, StageConfig
from fercli.stages.options import OutOption


class ManyConfig(StageConfig):
    """One input, then several."""

    stage: ClassVar[str] = "many"
    kind: ClassVar[str] = "thing"

    model: Annotated[Path, Field(description="One."), Cli(argument=True, metavar="MODEL", in_key=False)]
    images: Annotated[
        tuple[Path, ...],
        Field(min_length=1, description="Several."),
        Cli(argument=True, metavar="IMAGES…", in_key=False),
    ]
    sizes: Annotated[tuple[int, ...], Field(description="Sides.")] = ()
    out: OutOption = None


class SomeConfig(ManyConfig):
    """Several, which are optional."""

    stage: ClassVar[str] = "some"

    images: Annotated[
        tuple[Path, ...], Field(description="Several."), Cli(argument=True, metavar="IMAGES…", in_key=False)
    ] = ()


def call(config: type[ManyConfig], *arguments: object) -> tuple[int, ManyConfig | None, str]:
    """Run a command; return its exit code, the config passed to the stage, and its output."""
    passed: list[ManyConfig] = []

    def stage(progress: object, **options: Any) -> Artifact:
        passed.append(config.of(**options))
        return Artifact(Path(), Manifest(kind="thing", stage="many"))

    app = typer.Typer()
    app.command("many")(stage_command(config, stage, lambda _: [], "Help."))
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, passed[0] if passed else None, result.output


def test_multiple_arguments_mixed_with_options() -> None:
    for line in (
        ["--out", "o", "m", "a", "b", "c", "--sizes", 4, "--sizes", 5],
        ["m", "a", "--sizes", 4, "b", "--out", "o", "c", "--sizes=5"],
        ["--sizes", 4, "--sizes", 5, "--out=o", "--", "m", "a", "b", "c"],
    ):
        code, passed, output = call(ManyConfig, *line)
        assert (code, passed) == (
            0,
            ManyConfig(model=Path("m"), images=(Path("a"), Path("b"), Path("c")), sizes=(4, 5), out=Path("o")),
        ), output


def test_options_not_given_come_from_the_file(tmp_path: Path) -> None:
    code, passed, _ = call(ManyConfig, "m", "a")
    assert (code, passed) == (0, ManyConfig(model=Path("m"), images=(Path("a"),)))
    file = tmp_path / "a.toml"
    file.write_text('images = ["x", "y"]\nsizes = [7]\n')
    code, passed, _ = call(SomeConfig, "m", "--config", file)
    assert (code, passed) == (0, SomeConfig(model=Path("m"), images=(Path("x"), Path("y")), sizes=(7,)))
    code, passed, _ = call(SomeConfig, "m", "z", "--sizes", 8, "--config", file)
    assert (code, passed) == (0, SomeConfig(model=Path("m"), images=(Path("z"),), sizes=(8,)))
    assert call(SomeConfig, "m")[1] == SomeConfig(model=Path("m"))


def config_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "options.toml"
    file.write_text(text)
    return file


def test_file_with_tables_for_several_stages(tmp_path: Path) -> None:
    file = config_file(tmp_path, "sizes = [7]\n[train]\nlr = 1\n[import]\n[some]\nsizes = [8]\n")
    assert call(SomeConfig, "m", "--config", file)[1] == SomeConfig(model=Path("m"), sizes=(8,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[trian]\nlr = 1\n", "no stage 'trian'; did you mean train?"),
        ("[Some]\nsizes = [8]\n", "no stage 'Some'; did you mean some or sample?"),
        ("[some]\nsize = [8]\n", "no option 'size'; did you mean sizes"),
        ("[" + "x" * 9999 + "]\n", "no stage 'xxx"),
        ("sizes = " + "[" * 9999 + "]" * 9999, "nested too deep"),
        ("sizes = " + "{a=" * 9999 + "1" + "}" * 9999, "nested too deep"),
        ("sizes = [1" + "0" * 5000 + "]", "digits"),
        ("sizes = [1", "--config"),
    ],
)
def test_invalid_option_files_are_one_line_errors(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    code, passed, output = call(SomeConfig, "m", "--config", config_file(tmp_path, text))
    assert (code, passed) == (2, None)
    assert message in output
    assert output.count("\n") == 1
    assert len(output) < 600


@pytest.mark.parametrize("line", [[], ["m"], ["m", "a", "--sizes", "x"], ["m", "a", "--out"]])
def test_usage_errors_exit_with_2_before_the_stage_runs(line: list[str]) -> None:
    code, passed, output = call(ManyConfig, *line)
    assert (code, passed) == (2, None)
    assert "Traceback" not in output


def test_empty_tuple_from_python_is_a_one_line_error() -> None:
    with pytest.raises(UsageError, match=r"^many: images: tuple should have at least 1 item"):
        ManyConfig.of(model="m", images=[])


def test_help_shows_the_arguments() -> None:
    code, _, output = call(ManyConfig, "--help")
    assert code == 0
    usage = next(line for line in output.splitlines() if "Usage" in line)
    assert re.search(r"MODEL\W+IMAGES\W*\.\.\.", usage), usage
    assert "…" not in output
    assert "--out" in output
    assert "default" not in output


def test_paths_are_not_part_of_the_key() -> None:
    config = ManyConfig(model=Path("m"), images=(Path("a"),), sizes=(3,), out=Path("o"))
    assert config.options() == {"sizes": [3]}


def test_help_is_wrapped_at_80_columns() -> None:
    text = """First sentence.

    A paragraph whose first line in the source is longer than a terminal of eighty columns, so that a second line of
    it must not start again.
    """
    app = typer.Typer(rich_markup_mode="rich")
    app.command("many")(stage_command(ManyConfig, lambda **_: None, lambda _: [], text))
    lines = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).output.splitlines()
    start = next(k for k, line in enumerate(lines) if line.lstrip().startswith("A paragraph"))
    assert lines[start + 1].strip() == "columns, so that a second line of it must not start again."
