"""File names for a dataset's images, derived from names of any origin."""

from __future__ import annotations

from hashlib import blake2b

from fercli.files import as_text


class Names:
    """Generates unique paths, since nested folders of a source may use a name twice.

    Paths are compared case-insensitively, since some file systems do not distinguish a.png from A.png.
    """

    def __init__(self) -> None:
        # Keyed by a 64-bit hash, which takes half the memory of a million names. A collision only costs a superfluous
        # number in a name.
        self._taken: dict[int, int] = {}

    def unique(self, stem: str, suffix: str) -> str:
        """Reserve and return the path `stem` + `suffix`, with a number in between if it is taken."""
        path = stem + suffix
        while times := self._taken.get(key := _key(path)):
            self._taken[key] = times + 1
            path = f"{stem}-{times + 1}{suffix}"
        self._taken[key] = 1
        return path


def _key(path: str) -> int:
    text = path.lower().encode("utf-8", "surrogateescape")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def printable(text: str) -> str:
    r"""Return a name as valid, printable Unicode: invalid bytes become `\xNN`, control characters `_`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() and c != "\ufffd" else "_" for c in as_text(text))


def clean_name(name: str) -> str:
    """Return a name that is safe for file systems, tables and terminals: printable, without slashes, not too long."""
    clean = printable(name).replace("/", "_").replace("\\", "_").strip(" .")
    while len(clean.encode()) > 180:
        clean = clean[:-1]
    return clean or "image"
