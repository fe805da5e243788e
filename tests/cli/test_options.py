"""A stage's fields as arguments and options: what is typed is what a stage made for it is called with."""

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
    """Several that may be left out."""

    stage: ClassVar[str] = "some"

    images: Annotated[
        tuple[Path, ...], Field(description="Several."), Cli(argument=True, metavar="IMAGES…", in_key=False)
    ] = ()


def call(config: type[ManyConfig], *arguments: object) -> tuple[int, ManyConfig | None, str]:
    """Run a command; return its exit code, the config its stage got and what it printed."""
    got: list[ManyConfig] = []

    def stage(progress: object, **options: Any) -> Artifact:
        got.append(config.of(**options))
        return Artifact(Path(), Manifest(kind="thing", stage="many"))

    app = typer.Typer()
    app.command("many")(stage_command(config, stage, lambda _: [], "Help."))
    ended = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return ended.exit_code, got[0] if got else None, ended.output


def test_several_values_in_place_and_options_around_them() -> None:
    for line in (
        ["--out", "o", "m", "a", "b", "c", "--sizes", 4, "--sizes", 5],
        ["m", "a", "--sizes", 4, "b", "--out", "o", "c", "--sizes=5"],
        ["--sizes", 4, "--sizes", 5, "--out=o", "--", "m", "a", "b", "c"],
    ):
        code, got, output = call(ManyConfig, *line)
        assert (code, got) == (
            0,
            ManyConfig(model=Path("m"), images=(Path("a"), Path("b"), Path("c")), sizes=(4, 5), out=Path("o")),
        ), output


def test_what_was_not_given_is_told_apart(tmp_path: Path) -> None:
    code, got, _ = call(ManyConfig, "m", "a")
    assert (code, got) == (0, ManyConfig(model=Path("m"), images=(Path("a"),)))
    file = tmp_path / "a.toml"
    file.write_text('images = ["x", "y"]\nsizes = [7]\n')
    code, got, _ = call(SomeConfig, "m", "--config", file)
    assert (code, got) == (0, SomeConfig(model=Path("m"), images=(Path("x"), Path("y")), sizes=(7,)))
    code, got, _ = call(SomeConfig, "m", "z", "--sizes", 8, "--config", file)
    assert (code, got) == (0, SomeConfig(model=Path("m"), images=(Path("z"),), sizes=(8,)))
    assert call(SomeConfig, "m")[1] == SomeConfig(model=Path("m"))


def config_file(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "options.toml"
    file.write_text(text)
    return file


def test_a_file_may_hold_tables_of_several_stages(tmp_path: Path) -> None:
    file = config_file(tmp_path, "sizes = [7]\n[train]\nlr = 1\n[import]\n[some]\nsizes = [8]\n")
    assert call(SomeConfig, "m", "--config", file)[1] == SomeConfig(model=Path("m"), sizes=(8,))


@pytest.mark.parametrize(
    ("text", "told"),
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
def test_a_wrong_file_of_options_is_one_line_and_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    code, got, output = call(SomeConfig, "m", "--config", config_file(tmp_path, text))
    assert (code, got) == (2, None)
    assert told in output
    assert output.count("\n") == 1
    assert len(output) < 600


@pytest.mark.parametrize("line", [[], ["m"], ["m", "a", "--sizes", "x"], ["m", "a", "--out"]])
def test_wrong_usage_is_2_and_never_reaches_the_stage(line: list[str]) -> None:
    code, got, output = call(ManyConfig, *line)
    assert (code, got) == (2, None)
    assert "Traceback" not in output


def test_none_at_all_from_python_is_told_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"^many: images: tuple should have at least 1 item"):
        ManyConfig.of(model="m", images=[])


def test_help_shows_the_places() -> None:
    code, _, output = call(ManyConfig, "--help")
    assert code == 0
    usage = next(line for line in output.splitlines() if "Usage" in line)
    assert re.search(r"MODEL\W+IMAGES\W*\.\.\.", usage), usage
    assert "…" not in output
    assert "--out" in output
    assert "default" not in output


def test_inputs_and_places_do_not_count() -> None:
    config = ManyConfig(model=Path("m"), images=(Path("a"),), sizes=(3,), out=Path("o"))
    assert config.options() == {"sizes": [3]}


def test_help_fills_its_lines_at_80_columns() -> None:
    text = """First sentence.

    A paragraph whose first line in the source is longer than a terminal of eighty columns, so that a second line of
    it must not begin anew.
    """
    app = typer.Typer(rich_markup_mode="rich")
    app.command("many")(stage_command(ManyConfig, lambda **_: None, lambda _: [], text))
    lines = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "80", "TERMINAL_WIDTH": "80"}).output.splitlines()
    start = next(k for k, line in enumerate(lines) if line.lstrip().startswith("A paragraph"))
    assert lines[start + 1].strip() == "columns, so that a second line of it must not begin anew."
