"""The errors people see: one line that says what, where and what to do, and an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fercli.files import as_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ValidationError


class FerError(Exception):
    """Something failed. Its text is one line for people; `exit_code` is what `fer` ends with.

    Args:
        message: What went wrong, where, and what to do about it.
    """

    exit_code = 1

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


class UsageError(FerError):
    """The call itself is wrong: an unknown option, name or value."""

    exit_code = 2


class DataError(FerError):
    """What was read (a data set, a pack, a checkpoint) is missing, broken or of the wrong kind."""


class ImageError(DataError):
    """One image or video cannot be read.

    Args:
        reason: A short key to count by, such as `truncated`.
        message: The line for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return type(self), (self.reason, str(self))  # it may come from a worker's process


class LeakError(DataError):
    """The same picture stands in two splits."""


def one_line(text: str) -> str:
    """Return `text` with every run of control characters and spaces replaced by one space.

    File names are data: one with a newline or an escape sequence must not write a second line on a terminal.
    """
    shown = "".join(c if c.isprintable() else " " for c in as_text(text))
    return " ".join(shown.split())


def shorten(
    text: str, room: float, keep: Literal["start", "middle", "end"] = "start", width: Callable[[str], float] = len
) -> str:
    """Return a text that fits, with an ellipsis in place of what is left out.

    Args:
        text: One line.
        room: How wide it may be; the ellipsis counts.
        keep: The start; the end, which tells more of a path; or start and end, since names often differ at their ends.
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


def did_you_mean(what: str, name: str, names: list[str], where: str = "") -> str:
    """Return the message for a wrong `name`: the near ones, or all of a short list.

    >>> did_you_mean("model", "resnet51", ["resnet18", "resnet50"], "fer models lists all")
    "no model 'resnet51'; did you mean resnet50 or resnet18? fer models lists all"
    """
    from difflib import get_close_matches

    near = get_close_matches(name.lower(), names, n=3, cutoff=0.6)
    if near:
        hint = f"did you mean {' or '.join(near)}?"
    elif len(names) <= 12 or not where:
        hint = f"there are {', '.join(names)}" if names else "there is none"
    else:
        hint = ""
    return f"no {what} '{name}'; " + " ".join(part for part in (hint, where) if part)


def explain(error: ValidationError) -> str:
    """Return pydantic's findings as one line that names the options as people typed them."""
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"] if isinstance(part, str) and not part.startswith("function-"))
        text = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            text = "there is no such option"
        given = item.get("input")
        shown = f" (given: {given!r})" if isinstance(given, str | int | float) else ""
        lines.append(": ".join(filter(None, [name.replace("_", "-"), f"{text[:1].lower()}{text[1:]}{shown}"])))
    return "; ".join(dict.fromkeys(lines))
