"""Addresses of models on the hub: `hf://OWNER/NAME[@REVISION][/FILE]`. Imported without huggingface_hub.

A command takes them wherever it takes a checkpoint, so they travel as paths: `Path` turns `hf://` into `hf:/`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fercli.errors import FerError, UsageError, reworded, shorten

PREFIX = "hf://"
_START = re.compile(r"hf:/+")
# As the hub names repositories: no leading or trailing dot or hyphen; "--" and ".." are excluded below.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
_REVISION = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._/+-]{0,253}[A-Za-z0-9_+-])?")
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+ -]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FOLDER = re.compile(r"models--([^/]+?)--([^/]+)")
_WEIGHTS = {".safetensors", ".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".tar", ".onnx", ".h5"}
"""Suffixes by which the end of an address is a file, not a part of the revision's name."""
_SHORT = 8


@dataclass(frozen=True)
class HubAddress:
    """A repository on the hub, at a revision.

    Attributes:
        owner: A user or an organization.
        name: Name of the repository.
        revision: A branch, a tag or a commit; empty: the default branch.
        file: One file at the top of the repository; empty: a checkpoint of fercli, or the only weights.
    """

    owner: str
    name: str
    revision: str = ""
    file: str = ""

    @property
    def repository(self) -> str:
        """The repository's name on the hub."""
        return f"{self.owner}/{self.name}"

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a commit, which never changes."""
        return _COMMIT.fullmatch(self.revision) is not None

    @property
    def short(self) -> str:
        """The repository and the start of the commit, for display and as a base of file names."""
        revision = self.revision[:_SHORT] if self.is_pinned else self.revision
        return f"{self.repository}@{revision}" if revision else self.repository

    def at(self, commit: str) -> HubAddress:
        """Return the address of the same at a commit."""
        return replace(self, revision=commit)

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{PREFIX}{self.repository}{revision}{f'/{self.file}' if self.file else ''}"


def is_address(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is meant as an address on the hub."""
    return _START.match(os.fspath(path)) is not None


def parse_address(path: str | os.PathLike[str]) -> HubAddress:
    """Return the address that a path stands for.

    >>> parse_address("hf://anna/faces@v2")
    HubAddress(owner='anna', name='faces', revision='v2', file='')

    Raises:
        UsageError: it is not a valid address.
    """
    text = _START.sub("", os.fspath(path), count=1)
    owner, _, rest = text.partition("/")
    name, at, revision = rest.partition("@")
    file = ""
    if at:
        before, _, last = revision.rpartition("/")
        if before and Path(last).suffix.lower() in _WEIGHTS:
            revision, file = before, last
    elif "/" in name:
        name, _, file = name.partition("/")
    valid = (
        all(_NAME.fullmatch(part) and not re.search(r"--|\.\.|\.git$", part) for part in (owner, name))
        and (_is_revision(revision) if at else True)
        and (not file or _FILE.fullmatch(file))
    )
    if not valid:
        shown = shorten(PREFIX + text, 120)
        raise UsageError(f"{shown}: not an address on the hub; write hf://OWNER/NAME, or hf://OWNER/NAME@REVISION")
    return HubAddress(owner, name, revision, file)


def _is_revision(text: str) -> bool:
    return _REVISION.fullmatch(text) is not None and not re.search(r"\.\.|//|/\.|\.lock$", text)


def parse_repository(text: str) -> HubAddress:
    """Return the address of `OWNER/NAME`, also written as `hf://OWNER/NAME`, without a revision or a file.

    Raises:
        UsageError: it is not the name of a repository.
    """
    try:
        found = parse_address(text if is_address(text) else PREFIX + text)
    except UsageError:
        found = None
    if found is None or found.revision or found.file:
        raise UsageError(f"{shorten(text, 120)}: not the name of a repository; write OWNER/NAME")
    return found


def cached_address(path: Path) -> HubAddress | None:
    """Return the address, at its commit, of a snapshot's folder in the hub's cache, or of a file in one; else None."""
    for folder, file in ((path, ""), (path.parent, path.name)):
        repository = _FOLDER.fullmatch(folder.parent.parent.name)
        if folder.parent.name == "snapshots" and repository and _COMMIT.fullmatch(folder.name):
            return HubAddress(repository[1], repository[2], folder.name, file)
    return None


@contextmanager
def named_by_address(path: Path) -> Iterator[None]:
    """Reword errors about a folder or file from the hub: by its address, not by its place in the cache."""
    address = cached_address(path)
    try:
        yield
    except FerError as error:
        if address is None:
            raise
        raise reworded(error, str(error).replace(str(path), str(address))) from error
