"""File names of a data set's images, made of names of any origin."""

from __future__ import annotations

from hashlib import blake2b

from fercli.files import as_text


class Names:
    """Gives each image a path of its own: nested folders of a source may use a name twice.

    Compared without case, since some disks do not tell a.png from A.png.
    """

    def __init__(self) -> None:
        # By 64 bits of a hash, a million names being half as much to hold. Two names of one hash: one has a number
        # that it would not need.
        self._taken: dict[int, int] = {}

    def unique(self, stem: str, suffix: str) -> str:
        """Return the path `stem` + `suffix`, with a number between them where it is taken, and take it."""
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
    r"""Return a name of any origin as valid, printable Unicode: broken bytes as `\xNN`, control characters as `_`."""
    return "".join(c if c.isprintable() and c != "\ufffd" else "_" for c in as_text(text))


def clean_name(name: str) -> str:
    """Return a file name that every disk, table and terminal can hold: printable, without slashes, not too long."""
    clean = printable(name).replace("/", "_").replace("\\", "_").strip(" .")
    while len(clean.encode()) > 180:
        clean = clean[:-1]
    return clean or "image"
