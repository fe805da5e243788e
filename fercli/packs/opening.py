"""Opening a pack: its bytes are checked against the manifest before HDF5 sees them."""

from __future__ import annotations

from fercli.artifacts import Artifact
from fercli.packs.file import FILE, PackInfo, read_info
from fercli.packs.integrity import check_file


def open_pack(pack: Artifact, *, changed: bool = False) -> PackInfo:
    """Check that a pack is as it was written, its layout, shapes and types, and return what it says of itself.

    Args:
        pack: The pack.
        changed: Open it also where it was changed after packing, to tell what was.

    Raises:
        DataError: the file is missing, cut off, was changed after packing, or is not laid out as a pack.
    """
    path = pack.path / FILE
    check_file(path, None if changed else pack.manifest.digest)
    return read_info(path, pack.manifest.digest)
