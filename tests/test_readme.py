"""The README's commands and functions exist, with the options it shows."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from inspect import signature
from pathlib import Path

import pytest

import fercli
from fercli.cli.commands import COMMANDS
from fercli.stages.base import StageConfig

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
OPTIONS = {
    name: set(signature(import_module(f"fercli.cli.{module}").command).parameters)
    for name, (module, _) in COMMANDS.items()
}


def configs(base: type[StageConfig] = StageConfig) -> Iterator[type[StageConfig]]:
    """Yield the configs of all stages; some have a base between, of options that they share."""
    for config in base.__subclasses__():
        if "stage" in vars(config):
            yield config
        yield from configs(config)


CONFIGS = {config.stage: config for config in configs()}


def commands() -> list[list[str]]:
    """Return the words of every `fer` call in the README's shell blocks and in its table."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL))
    calls = [call for line in blocks.splitlines() for call in re.split(r"&&|;|\bdo\b|\|", line.split("#")[0])]
    calls += re.findall(r"`(fer [^`]*)`", README)
    return [call.split() for call in calls if call.strip().startswith("fer ")]


def test_every_command_shown_exists() -> None:
    shown = {words[1] for words in commands() if not words[1].startswith("-")}
    assert shown == set(COMMANDS)


def test_every_option_shown_exists() -> None:
    seen = 0
    for words in commands():
        config = CONFIGS.get(words[1])
        for word in words[2:]:
            if config is not None and word.startswith("--"):
                name = word[2:].replace("-", "_")
                assert name in config.model_fields or name in OPTIONS[words[1]], " ".join(words)
                seen += 1
    assert seen >= 5


def test_every_function_shown_exists() -> None:
    shown = set(re.findall(r"fercli\.(\w+)\(", README))
    assert shown == set(fercli.__all__)


@pytest.mark.slow
def test_the_python_example_reaches_a_figure_worth_showing(tmp_path: Path) -> None:
    (example,) = re.findall(r"## From Python\n\n```python\n(.*?)```", README, re.DOTALL)
    call = [sys.executable, "-c", example]
    ended = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    first, *rows = ended.stdout.splitlines()
    accuracy, interval = first.split(maxsplit=1)
    low, high = ast.literal_eval(interval)
    assert low <= float(accuracy) <= high
    assert float(accuracy) >= 0.8  # by chance 0.14
    happy = [row for row in rows if " happy " in row]
    assert len(happy) > len(rows) / 2
