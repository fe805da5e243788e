"""Completion in a shell: what may stand where, by Typer's protocol. Nothing here imports torch."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from typing import Any

VARIABLE = "_FER_COMPLETE"
"""What the shell's function sets to ask."""
_BREAKS = ":="
"""Characters at which bash breaks a word in two; names of detectors and `--option=value` hold them."""


def wanted() -> bool:
    """Tell whether a shell asks what could stand at the cursor."""
    return bool(os.environ.get(VARIABLE))


def answer(run: Callable[[list[str]], Any]) -> None:
    """Answer a shell, and end the process.

    Args:
        run: Runs the command tree for the words of the line.
    """
    if not os.environ[VARIABLE].endswith("_bash"):
        run(os.environ.get("_TYPER_COMPLETE_ARGS", "").split())
        return
    line = os.environ.get("COMP_WORDS", "")
    words = line.split("\n" if "\n" in line else " ")  # Typer's function joins them by newlines
    cursor = os.environ.get("COMP_CWORD", "")
    words, before = _mended(words, int(cursor) if cursor.isdecimal() else len(words) - 1)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = shlex.join(words), str(len(words) - 1)
    with redirect_stdout(io.StringIO()) as told:
        try:
            run(words)
        except SystemExit as ended:
            code = ended.code
    lines = [line.removeprefix(before) for line in told.getvalue().splitlines()]
    sys.stdout.write("".join(f"{line}\n" for line in lines if line))
    sys.stdout.flush()
    raise SystemExit(code)


def _mended(words: list[str], cursor: int) -> tuple[list[str], str]:
    """Put bash's words together where it broke them.

    Returns:
        The words up to the cursor's, an option and its value apart; and what of the last word bash does not replace.
    """
    mended: list[str] = []
    start = 0  # of what bash takes for the cursor's word, within the whole of it
    for word in words[: cursor + 1]:
        breaks = bool(word) and not word.strip(_BREAKS)
        if mended and (breaks or mended[-1].endswith(tuple(_BREAKS))):
            start = len(mended[-1]) + (len(word) if breaks else 0)
            mended[-1] += word
        else:
            start = 0
            mended.append(word)
    last = mended.pop() if mended else ""
    if last.startswith("--") and "=" in last:
        option, _, value = last.partition("=")
        return [*mended, option, value], value[: max(0, start - len(option) - 1)]
    return [*mended, last], last[:start]


def models() -> list[str]:
    """Return the models' names, and what those of timm begin with."""
    from fercli.models.registry import REGISTRY, TIMM

    return [*REGISTRY.names(), TIMM]


def detectors() -> list[str]:
    """Return the detectors' names."""
    from fercli.faces.detectors import REGISTRY

    return REGISTRY.names()


def formats() -> list[str]:
    """Return the names of the layouts that can be imported."""
    from fercli.datasets.readers import REGISTRY

    return REGISTRY.names()


def published_weights() -> list[str]:
    """Return the names of the weights that can be fetched."""
    from fercli.weights import PUBLISHED

    return [one.name for one in PUBLISHED]


def columns() -> list[str]:
    """Return the columns that a folder's list can be sorted by."""
    from fercli.cli.show_list import COLUMNS

    return list(COLUMNS)


def _targets() -> Iterable[str]:
    from fercli.stages.balance.targets import TARGETS

    return TARGETS


def _methods() -> Iterable[str]:
    from fercli.stages.balance.methods.registry import METHODS

    return METHODS


def _policies() -> Iterable[str]:
    from fercli.stages.balance.policies import POLICIES

    return POLICIES


def _devices() -> Iterable[str]:
    return ("auto", "cpu", "cuda", "mps")


_OF_FIELDS: dict[str, Callable[[], Iterable[str]]] = {
    "model": models,
    "detector": detectors,
    "format": formats,
    "target": _targets,
    "method": _methods,
    "policy": _policies,
    "device": _devices,
}


def of_field(name: str, choices: Iterable[Any], metavar: str) -> Callable[[str], list[str]] | None:
    """Return what completes an option's value; None where the shell's own file names do.

    Args:
        name: The option's field.
        choices: All its values, where they are few.
        metavar: What help calls its value.
    """
    known = list(map(str, choices))
    names = _OF_FIELDS.get("detector" if metavar == "DETECTOR" else name)
    if not known and names is None:
        return None

    def complete(incomplete: str) -> list[str]:
        return [word for word in known or (names() if names else ()) if word.startswith(incomplete)]

    return complete
