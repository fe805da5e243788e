"""Uploading files to the hub: what is there already, a private repository, and one commit.

Files are compared by their digests before anything is sent, so a repeated call sends what is missing: the hub keeps the
large files of an upload that was interrupted before its commit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fercli.errors import DataError, FerError
from fercli.files import open_file
from fercli.hub.address import HubAddress
from fercli.hub.library import LOGIN, has_token, hub_api, hub_errors, import_library

State = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True)
class Upload:
    """A file to upload.

    Attributes:
        path: Its path in the repository.
        content: Its contents, or the path of a file that holds them.
    """

    path: str
    content: bytes | Path

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.content.stat().st_size if isinstance(self.content, Path) else len(self.content)

    def digests(self) -> tuple[str, str]:
        """Return the digests by which the hub names it: SHA-256 for large files, git's SHA-1 of a blob for others."""
        large = hashlib.sha256()
        small = hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        if isinstance(self.content, bytes):
            large.update(self.content)
            small.update(self.content)
        else:
            with open_file(self.content) as file:
                while chunk := file.read(1 << 20):
                    large.update(chunk)
                    small.update(chunk)
        return large.hexdigest(), small.hexdigest()


@dataclass(frozen=True)
class Remote:
    """A repository as it is.

    Attributes:
        private: Whether it is private; None if it does not exist, or is not visible to this login.
        commit: The commit of the branch; of the default one if there is no such branch, since it would start there.
        digests: The digest of each file of that commit, by path.
        branch: Whether there is such a branch.
    """

    private: bool | None
    commit: str
    digests: dict[str, str]
    branch: bool = True

    @property
    def exists(self) -> bool:
        """Whether the repository exists."""
        return self.private is not None

    def state_of(self, upload: Upload) -> State:
        """Return whether a file is there, with the same contents or others."""
        if upload.path not in self.digests:
            return "new"
        return "unchanged" if self.digests[upload.path] in upload.digests() else "changed"


@dataclass(frozen=True)
class Sent:
    """The result of an upload.

    Attributes:
        commit: The commit that has the files.
        url: The repository's page.
        created: Whether the repository was created.
        private: Whether it is private.
    """

    commit: str
    url: str
    created: bool
    private: bool


def read_remote(address: HubAddress) -> Remote:
    """Return what a repository's branch has.

    Raises:
        FerError: the hub cannot be reached, or huggingface_hub is not installed.
    """
    errors = import_library().errors
    api = hub_api()
    with hub_errors(address, "read"):
        try:
            info = api.model_info(address.repository)
        except errors.RepositoryNotFoundError:
            return Remote(None, "", {})
        there = True
        if address.revision:
            try:
                info = api.model_info(address.repository, revision=address.revision)
            except errors.RevisionNotFoundError:
                there = False
        files = api.list_repo_tree(address.repository, recursive=True, revision=info.sha)
        digests = {one.path: _digest(one) for one in files if hasattr(one, "blob_id")}
    return Remote(bool(info.private), str(info.sha), digests, there)


def _digest(file: Any) -> str:
    return str(file.lfs.sha256 if file.lfs is not None else file.blob_id)


def check_login() -> None:
    """Raise FerError if there is no login of the hub on this machine."""
    if not has_token():
        raise FerError(f"not logged in to the hub; {LOGIN}, or set HF_TOKEN")


def check_visibility(address: HubAddress, remote: Remote, public: bool) -> None:
    """Refuse a repository whose visibility is not the one that is asked for; it is never changed.

    Raises:
        DataError: it is public without `public`, or private with it.
    """
    if remote.private is False and not public:
        raise DataError(f"{address.repository}: is public; push to it with --public, or choose another name")
    if remote.private and public:
        raise DataError(f"{address.repository}: is private; push without --public, or make it public on its page first")


def upload(address: HubAddress, uploads: Sequence[Upload], remote: Remote, *, public: bool, message: str) -> Sent:
    """Upload files in one commit, into a repository that is created if necessary.

    Args:
        address: The repository; its revision is the branch, which is created if necessary.
        uploads: The files; those that have not changed are not sent.
        remote: What is there, from `read_remote`.
        public: Create it public.
        message: The commit's message.

    Raises:
        DataError: this login has no access.
        FerError: the hub cannot be reached or refuses; a repeated call resumes.
    """
    library, api = import_library(), hub_api()
    changed = [one for one in uploads if remote.state_of(one) != "unchanged"]
    commit = remote.commit
    with hub_errors(address, "written"):
        if not remote.exists:
            api.create_repo(address.repository, private=not public, exist_ok=True)
            now = api.model_info(address.repository)  # it may exist by now, public
            check_visibility(address, Remote(bool(now.private), "", {}), public)
        if address.revision and not (remote.exists and remote.branch):
            api.create_branch(address.repository, branch=address.revision, exist_ok=True)
        if changed:
            sent = api.create_commit(
                address.repository,
                [library.CommitOperationAdd(one.path, _content(one)) for one in changed],
                commit_message=message,
                revision=address.revision or None,
            )
            commit = str(sent.oid)
    url = f"{library.constants.ENDPOINT}/{address.repository}"
    return Sent(commit, url, not remote.exists, not public)


def _content(one: Upload) -> bytes | str:
    return str(one.content) if isinstance(one.content, Path) else one.content
