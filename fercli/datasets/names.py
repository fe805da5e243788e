"""File names of a data set's images, made of names of any origin."""

from __future__ import annotations

from collections import Counter


class Names:
    """Gives each image a path of its own: nested folders of a source may use a name twice.

    Compared without case, since some disks do not tell a.png from A.png.
    """

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def unique(self, stem: str, suffix: str) -> str:
        """Return the path `stem` + `suffix`, with a number between them where it is taken, and take it."""
        path = stem + suffix
        while self._taken[path.lower()]:
            self._taken[path.lower()] += 1
            path = f"{stem}-{self._taken[path.lower()]}{suffix}"
        self._taken[path.lower()] += 1
        return path


def printable(text: str) -> str:
    """Return a name of any origin as valid, printable Unicode: control characters and broken bytes become `_`."""
    clean = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(c if c.isprintable() and c != "\ufffd" else "_" for c in clean)


def clean_name(name: str) -> str:
    """Return a file name that every disk, table and terminal can hold: printable, without slashes, not too long."""
    clean = printable(name).replace("/", "_").replace("\\", "_").strip(" .")
    while len(clean.encode()) > 180:
        clean = clean[:-1]
    return clean or "image"
