"""Shell completion, by Typer's protocol. Nothing here imports torch."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from typing import Any

VARIABLE = "_FER_COMPLETE"
"""The environment variable with which the shell requests completion."""
_BREAKS = ":="
"""Characters at which bash splits words; detector names and `--option=value` contain them."""


def requested() -> bool:
    """Return whether the shell requests completion."""
    return bool(os.environ.get(VARIABLE))


def answer(run: Callable[[list[str]], Any]) -> None:
    """Answer the shell and exit.

    Args:
        run: Runs the command tree for the words of the command line.
    """
    if not os.environ[VARIABLE].endswith("_bash"):
        run(os.environ.get("_TYPER_COMPLETE_ARGS", "").split())
        return
    line = os.environ.get("COMP_WORDS", "")
    words = line.split("\n" if "\n" in line else " ")  # Typer's function joins them by newlines
    cursor = os.environ.get("COMP_CWORD", "")
    words, before = rejoin_words(words, int(cursor) if cursor.isdecimal() else len(words) - 1)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = shlex.join(words), str(len(words) - 1)
    with redirect_stdout(io.StringIO()) as answer_text:
        try:
            run(words)
        except SystemExit as ended:
            code = ended.code
    lines = [line.removeprefix(before) for line in answer_text.getvalue().splitlines()]
    sys.stdout.write("".join(f"{line}\n" for line in lines if line))
    sys.stdout.flush()
    raise SystemExit(code)


def rejoin_words(words: list[str], cursor: int) -> tuple[list[str], str]:
    """Rejoin the words that bash split.

    Returns:
        The words up to the cursor, with options and values separated, and the prefix of the last one that bash keeps.
    """
    joined: list[str] = []
    start = 0  # of what bash considers the last word, within the joined one
    for word in words[: cursor + 1]:
        breaks = bool(word) and not word.strip(_BREAKS)
        if joined and (breaks or joined[-1].endswith(tuple(_BREAKS))):
            start = len(joined[-1]) + (len(word) if breaks else 0)
            joined[-1] += word
        else:
            start = 0
            joined.append(word)
    last = joined.pop() if joined else ""
    if last.startswith("--") and "=" in last:
        option, _, value = last.partition("=")
        return [*joined, option, value], value[: max(0, start - len(option) - 1)]
    return [*joined, last], last[:start]


def models() -> list[str]:
    """Return the models' names, and the prefix of timm's."""
    from fercli.models.registry import REGISTRY
    from fercli.models.spec import TIMM

    return [*REGISTRY.names(), TIMM]


def detectors() -> list[str]:
    """Return the detectors' names."""
    from fercli.faces.detectors import REGISTRY

    return REGISTRY.names()


def trackers() -> list[str]:
    """Return the trackers' names."""
    from fercli.trackers.table import REGISTRY

    return REGISTRY.names()


def formats() -> list[str]:
    """Return the names of the supported formats."""
    from fercli.datasets.readers import REGISTRY

    return REGISTRY.names()


def published_weights() -> list[str]:
    """Return the names of the published weights."""
    from fercli.weights import PUBLISHED

    return [one.name for one in PUBLISHED]


def columns() -> list[str]:
    """Return the columns by which `fer show` can sort."""
    from fercli.cli.show_list import COLUMNS

    return list(COLUMNS)


def _targets() -> Iterable[str]:
    from fercli.stages.balance.targets import TARGETS

    return TARGETS


def _methods() -> Iterable[str]:
    from fercli.stages.balance.methods.registry import METHODS

    return METHODS


def _policies() -> Iterable[str]:
    from fercli.datasets.balancing.policies import POLICIES

    return POLICIES


def _devices() -> Iterable[str]:
    return ("auto", "cpu", "cuda", "mps")


_OF_FIELDS: dict[str, Callable[[], Iterable[str]]] = {
    "model": models,
    "detector": detectors,
    "track": trackers,
    "format": formats,
    "target": _targets,
    "method": _methods,
    "policy": _policies,
    "device": _devices,
}


def of_field(name: str, choices: Iterable[Any]) -> Callable[[str], list[str]] | None:
    """Return the completion function of an option; None to complete file names.

    Args:
        name: The name of the field.
        choices: All possible values, if known.
    """
    known = list(map(str, choices))
    names = _OF_FIELDS.get(name)
    if not known and names is None:
        return None

    def complete(incomplete: str) -> list[str]:
        return [word for word in known or (names() if names else ()) if word.startswith(incomplete)]

    return complete
