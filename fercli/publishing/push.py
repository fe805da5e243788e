"""Pushing a model to the hub: first what would be uploaded, then the upload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fercli.errors import FerError, UsageError
from fercli.evaluation.card import read_evaluation
from fercli.hub.address import HubAddress, parse_address, parse_repository
from fercli.hub.library import has_token
from fercli.hub.uploading import Remote, Sent, State, Upload, check_login, check_visibility, read_remote, upload
from fercli.pretrained import is_pretrained
from fercli.progress import SILENT, Progress
from fercli.publishing.card import README, hub_card
from fercli.publishing.files import check_paths, model_files, open_source
from fercli.publishing.page import public_page


@dataclass(frozen=True)
class Push:
    """A model that is ready to be uploaded.

    Attributes:
        address: The repository, with the branch if one was given.
        uploads: Its files.
        remote: What the repository has; None if that is not known, in a dry run.
        public: Whether it is to be public.
        message: The commit's message.
    """

    address: HubAddress
    uploads: tuple[Upload, ...]
    remote: Remote | None
    public: bool
    message: str

    def files(self) -> list[tuple[str, int, State | None]]:
        """Return each file's path, size in bytes, and state; None if unknown."""
        remote = self.remote
        return [(one.path, one.size, None if remote is None else remote.state_of(one)) for one in self.uploads]

    def send(self, progress: Progress = SILENT) -> Sent:
        """Upload what has changed, in one commit. A repeated call resumes an interrupted one.

        Raises:
            FerError: the hub cannot be reached or refuses.
        """
        remote = self.remote or read_remote(self.address)
        changed = [one for one in self.uploads if remote.state_of(one) != "unchanged"]
        if changed:
            size = sum(one.size for one in changed) / 1e6
            what = "one file" if len(changed) == 1 else f"{len(changed)} files"
            progress.log(f"uploading {what}, {size:,.1f} MB, to {self.address.repository}")
        return upload(self.address, self.uploads, remote, public=self.public, message=self.message)


def prepare_push(
    source: Path,
    repository: str,
    *,
    evaluations: Sequence[Path] = (),
    public: bool = False,
    branch: str = "",
    message: str = "",
    licence: str = "",
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> Push:
    """Collect the files of a model, and compare them with the repository. Nothing is written.

    Args:
        source: A run, a checkpoint, one of fercli's own models, or an ONNX export.
        repository: OWNER/NAME.
        evaluations: Evaluations of it, for its figures and their pages.
        public: Create the repository public; one that exists keeps its visibility, which must be this.
        branch: The branch to push to; empty: the default one.
        message: The commit's message; empty: one that names the model.
        licence: The licence's identifier on the hub; empty: the terms of the training data.
        dry_run: Neither a login nor the hub is needed.
        progress: Progress callback.

    Raises:
        UsageError: the repository, the branch or the licence is not a valid name, or the model cannot be published.
        DataError: the model or an evaluation is damaged, or the repository's visibility is not the one asked for.
        FerError: there is no login, the hub cannot be reached, or huggingface_hub is not installed.
    """
    address = parse_repository(repository)
    if branch:
        address = replace(address, revision=parse_address(f"{address}@{branch}").revision)
    if not dry_run:
        check_login()
    opened = open_source(source)
    if evaluations and is_pretrained(opened.checkpoint.path):
        raise UsageError(f"push: {opened.checkpoint.name} has its figures with it; leave out the evaluations")
    found = [read_evaluation(path, opened.artifact) for path in evaluations]
    pages = [f"evaluation{f'-{number}' if number > 1 else ''}/report.html" for number in range(1, len(found) + 1)]
    card = hub_card(opened, address, evaluations, found, pages, licence)
    uploads = [Upload(README, card.encode()), *model_files(opened)]
    for path, page, (data, summary) in zip(evaluations, pages, found, strict=True):
        uploads.append(Upload(page, public_page(path, address.name, data, summary).encode()))
    check_paths(uploads)
    remote: Remote | None = None
    try:
        remote = read_remote(address)
    except FerError as error:
        if not dry_run:
            raise
        progress.log(f"not compared with the hub: {error}")
    if remote is not None:
        check_visibility(address, remote, public)
        if dry_run and not has_token():
            progress.log("not logged in, so a private repository of this name would not be seen")
    metadata = opened.metadata
    what = f"{metadata.architecture}, {'export' if opened.exported else f'epoch {metadata.epoch}'}"
    return Push(address, tuple(uploads), remote, public, message or f"Push {what}, by fercli")
