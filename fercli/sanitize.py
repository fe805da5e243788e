"""Names of the user's, or of strangers' files, written so that no program that shows them does anything with them."""

from __future__ import annotations

import re

_FORMULA = "=+\\-@\t\r＝＋－＠"
"""What a spreadsheet takes for the beginning of a formula."""
_PATH = re.compile(rf"(\./)*[{_FORMULA}]")
_WORD = re.compile(rf"'*[{_FORMULA}]")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)")


def path_cell(path: str) -> str:
    """Return a relative path as a cell of a table; one that a spreadsheet would run gets `./`, and stays the same path.

    >>> path_cell("=cmd.jpg"), path_cell("a/=cmd.jpg")
    ('./=cmd.jpg', 'a/=cmd.jpg')
    """
    return f"./{path}" if _PATH.match(path) else path


def word_cell(word: str) -> str:
    """Return a word as a cell of a table; one that a spreadsheet would run gets its sign for text, `'`. Numbers stay.

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
    """Return text for a page, its lines kept: what is no printable character (escapes, turns of direction) as `_`."""
    if text.isprintable():
        return text
    # Bytes of names that are no UTF-8 are for the encoder.
    return "".join(c if c.isprintable() or c in "\n\t" or "\ud800" <= c <= "\udfff" else "_" for c in text)
