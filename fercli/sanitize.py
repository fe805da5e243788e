"""Text that is shown: untrusted names, escaped so that programs do not execute them, and URLs without passwords."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

_FORMULA = "=+\\-@\t\r＝＋－＠"
"""Characters with which a spreadsheet formula can begin."""
_PATH = re.compile(rf"(\./)*[{_FORMULA}]")
_WORD = re.compile(rf"'*[{_FORMULA}]")
_PASSWORD = re.compile(r"(://[^\s/:@]*):[^\s/]*@")
_OUTSIDE = re.compile(r"(^|[=,])((?:~[^/]*|\.\.?)?/[^=,]*)")
_DATABASE = re.compile(r"(sqlite:///)/.*/")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)")


def path_cell(path: str) -> str:
    """Return a relative path as a CSV cell; one that looks like a formula gets the prefix `./` and stays the same path.

    >>> path_cell("=cmd.jpg"), path_cell("a/=cmd.jpg")
    ('./=cmd.jpg', 'a/=cmd.jpg')
    """
    return f"./{path}" if _PATH.match(path) else path


def word_cell(word: str) -> str:
    """Return a word as a CSV cell; one that looks like a formula gets the text prefix `'`. Numbers are kept.

    >>> word_cell("=1+1"), word_cell("-3.5")
    ("'=1+1", '-3.5')
    """
    return f"'{word}" if _WORD.match(word) and not _NUMBER.fullmatch(word) else word


def from_path_cell(cell: str) -> str:
    """Return the path that `path_cell` wrote."""
    return cell.removeprefix("./") if _PATH.match(cell) else cell


def from_word_cell(cell: str) -> str:
    """Return the word that `word_cell` wrote."""
    return cell.removeprefix("'") if _WORD.match(cell) else cell


def replace_unprintable(text: str) -> str:
    """Replace unprintable characters (escapes, direction overrides) in text by `_`; line breaks and tabs are kept."""
    if text.isprintable():
        return text
    # Surrogate escapes of names that are not UTF-8 are left to the encoder.
    return "".join(c if c.isprintable() or c in "\n\t" or "\ud800" <= c <= "\udfff" else "_" for c in text)


def hide_passwords(text: str) -> str:
    """Replace the passwords of the URLs in a text.

    >>> hide_passwords("--storage postgresql://me:secret@host/name")
    '--storage postgresql://me:***@host/name'
    """
    return _PASSWORD.sub(r"\1:***@", text)


def without_folders(command: str) -> str:
    """Shorten the paths of a command that are not below its working directory to their last part.

    Others learn nothing from them, except how folders of somebody's machine are called.

    >>> without_folders("fer train /home/anna/packs/fer2013 run --weights=~/best.pt --model timm/resnet18")
    'fer train fer2013 run --weights=best.pt --model timm/resnet18'
    """
    try:
        words = shlex.split(command)
    except ValueError:  # not a command line
        return ""
    return shlex.join(
        _DATABASE.sub(r"\1", word)
        if "://" in word
        else _OUTSIDE.sub(lambda found: found[1] + (PurePosixPath(found[2]).name or "."), word)
        for word in words
    )
