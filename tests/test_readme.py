"""The README's commands and functions exist, with the options it shows."""

from __future__ import annotations

import re
from importlib import import_module
from inspect import signature
from pathlib import Path

import fercli
from fercli.cli.main import COMMANDS
from fercli.stages.base import StageConfig

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
OPTIONS = {
    name: set(signature(import_module(f"fercli.cli.{module}").command).parameters)
    for name, (module, _) in COMMANDS.items()
}
CONFIGS = {config.stage: config for config in StageConfig.__subclasses__()}


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
