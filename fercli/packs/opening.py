"""Opening a pack: its digest is checked against the manifest before HDF5 opens the file."""

from __future__ import annotations

from fercli.artifacts import Artifact
from fercli.packs.file import FILE, PackInfo, read_info
from fercli.packs.integrity import check_file, check_shards


def open_pack(pack: Artifact, *, allow_modified: bool = False) -> PackInfo:
    """Check that a pack is unmodified, and its layout, shapes and types, and return its metadata.

    Args:
        pack: The pack.
        allow_modified: Open it even if it was modified after packing, to report what changed.

    Raises:
        DataError: a file is missing, truncated, modified after packing, or not a pack.
    """
    path = pack.path / FILE
    check_file(path, None if allow_modified else pack.manifest.digest)
    info = read_info(path, pack.manifest.digest)
    check_shards(info.shards, allow_modified=allow_modified)
    return info
