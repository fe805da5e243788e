"""The commands and functions that README.md and docs/ show exist, with the options shown."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from importlib import import_module
from inspect import isclass, signature
from pathlib import Path

import pytest

import fercli
from fercli._functions import FUNCTIONS
from fercli.cli.commands import COMMANDS

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text("utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if "generated" not in path.parts and "_build" not in path.parts
}
"""The text of each handwritten page."""
OPTIONS = {
    name: set(signature(import_module(f"fercli.cli.{module}").command).parameters)
    for name, (module, _) in COMMANDS.items()
}


CONFIGS = {config.stage: config for config in (function.load() for function in FUNCTIONS.values())}


def commands(text: str) -> list[list[str]]:
    """Return the words of every `fer` call in a page's shell blocks, tables and sentences."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL))
    calls = [call for line in blocks.splitlines() for call in re.split(r"&&|;|\bdo\b|\|", line.split("#")[0])]
    calls += re.findall(r"`(fer [^`]*)`", text)
    found = [call.split() for call in calls if call.strip().startswith("fer ")]
    return [words for words in found if words[1] not in ("COMMAND", "STAGE")]


def shown_commands() -> set[str]:
    """Return the names of all commands that any page shows."""
    return {words[1] for text in PAGES.values() for words in commands(text) if not words[1].startswith("-")}


def test_every_command_is_shown_and_exists() -> None:
    assert shown_commands() == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES)
def test_every_option_shown_exists(page: str) -> None:
    for words in commands(PAGES[page]):
        config = CONFIGS.get(words[1])
        for word in words[2:]:
            if config is not None and word.startswith("--"):
                name = word[2:].replace("-", "_")
                assert name in config.model_fields or name in OPTIONS[words[1]], " ".join(words)


def test_options_are_found() -> None:
    calls = [words for text in PAGES.values() for words in commands(text)]
    assert sum(word.startswith("--") for words in calls for word in words) > 50


def test_every_option_in_the_table_exists() -> None:
    rows = re.findall(r"^\| `fer (\w+)[^`]*` \| (.*) \|$", PAGES["docs/guides/commands.md"], re.MULTILINE)
    assert len(rows) == len(COMMANDS)
    for command, text in rows:
        for option in re.findall(r"`--([a-z-]+)", text):
            known = {*OPTIONS[command], *(CONFIGS[command].model_fields if command in CONFIGS else ())}
            name = option.replace("-", "_")
            assert name in known or f"{name}s" in known or f"{name}_" in known, f"fer {command} --{option}"


def test_every_function_is_shown_and_exists() -> None:
    shown = {name for text in PAGES.values() for name in re.findall(r"fercli\.(\w+)\(", text)}
    functions = {name for name in fercli.__all__ if not isclass(getattr(fercli, name))}
    assert functions <= shown <= set(fercli.__all__)


@pytest.mark.slow
@pytest.mark.long
def test_python_example(tmp_path: Path) -> None:
    (example,) = re.findall(r"## From Python\n\n```python\n(.*?)```", PAGES["docs/quickstart.md"], re.DOTALL)
    ended = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert ended.returncode == 0, ended.stderr
    first, *rows = ended.stdout.splitlines()
    accuracy, interval = first.split(maxsplit=1)
    low, high = ast.literal_eval(interval)
    assert low <= float(accuracy) <= high
    assert float(accuracy) >= 0.8  # chance is 0.14
    happy = [row for row in rows if " happy " in row]
    assert len(happy) > len(rows) / 2
