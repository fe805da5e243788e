"""Errors for users: a one-line message that says what is wrong, where, and what to do; and an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fercli.files import as_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError


class FerError(Exception):
    """Base class of fercli's errors. The message is one line; `exit_code` is the exit code of `fer`.

    Args:
        message: What went wrong, where, and what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UsageError(FerError):
    """The call itself is invalid: an unknown option, name or value."""

    exit_code = 2


class DataError(FerError):
    """An input (a dataset, a pack, a checkpoint) is missing, corrupt or of the wrong kind."""


class BusyError(DataError):
    """Another call is writing the output."""


class DivergedError(FerError):
    """A training cannot go on: its loss or gradients are not finite."""


class DeviceMemoryError(FerError):
    """A device's memory does not hold a batch."""


class ImageError(DataError):
    """One image or video cannot be read.

    Args:
        reason: A short key by which errors are counted, such as `truncated`.
        message: The full message.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.reason, str(self))  # it may be raised in a worker process


class LeakError(DataError):
    """The same image appears in more than one split."""


def reworded(error: FerError, message: str) -> FerError:
    """Return an error of the same kind and exit code with another message, such as one that names a part of a stage."""
    kind = next(kind for kind in (UsageError, DataError, FerError) if isinstance(error, kind))
    return kind(message)


def one_line(text: str) -> str:
    """Return `text` with every run of control characters and spaces replaced by one space.

    File names are untrusted: a newline or an escape sequence in one must not affect the terminal.
    """
    shown = "".join(c if c.isprintable() else " " for c in as_text(text))
    return " ".join(shown.split())


def shorten(
    text: str, room: float, keep: Literal["start", "middle", "end"] = "start", width: Callable[[str], float] = len
) -> str:
    """Return a text shortened to fit, with an ellipsis for the omitted part.

    Args:
        text: One line.
        room: Maximum width, including the ellipsis.
        keep: The start; the end, the more informative part of a path; or both, for names that differ at their ends.
        width: Measures a text: in characters, cells of a terminal, or pixels of a font.

    >>> shorten("photographs/anna.jpg", 12), shorten("photographs/anna.jpg", 12, "end")
    ('photographs…', '…hs/anna.jpg')
    """
    if width(text) <= room:
        return text
    low, high = 0, len(text)
    while low < high:  # as many characters as fit
        kept = (low + high + 1) // 2
        low, high = (kept, high) if width(_cut(text, kept, keep)) <= room else (low, kept - 1)
    return _cut(text, low, keep)


def _cut(text: str, kept: int, keep: str) -> str:
    tail = {"start": 0, "middle": kept // 2, "end": kept}[keep]
    return f"{text[: kept - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"


def with_article(noun: str) -> str:
    """Return a noun after its indefinite article.

    >>> with_article("evaluation"), with_article("run")
    ('an evaluation', 'a run')
    """
    return f"{'an' if noun[:1] in 'aeio' and noun else 'a'} {noun}"


def did_you_mean(what: str, name: str, names: list[str], where: str = "") -> str:
    """Return the message for an unknown `name`, with close matches, or all names if they are few.

    >>> did_you_mean("model", "resnet51", ["resnet18", "resnet50"], "fer models lists all")
    "no model 'resnet51'; did you mean resnet50 or resnet18? fer models lists all"
    """
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif len(names) <= 12 or not where:
        hint = f"there are {', '.join(names)}" if names else "there are none"
    else:
        hint = ""
    return f"no {what} '{name}'; " + " ".join(part for part in (hint, where) if part)


def format_validation_error(error: ValidationError) -> str:
    """Return a pydantic error as one line that names the options as on the command line."""
    problems = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"] if isinstance(part, str) and not part.startswith("function-"))
        text = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            text = "no such option"
        given = item.get("input")
        shown = f" (given: {given!r})" if isinstance(given, str | int | float) else ""
        problems.append(": ".join(filter(None, [name.replace("_", "-"), f"{text[:1].lower()}{text[1:]}{shown}"])))
    return "; ".join(dict.fromkeys(problems))
