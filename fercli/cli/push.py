"""`fer push`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fercli.cli.options import Debug, Json, Quiet
from fercli.cli.output import Output, guarded, name, table

if TYPE_CHECKING:
    from fercli.hub.uploading import Sent
    from fercli.publishing.push import Push


def command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="RUN|CHECKPOINT|EXPORT", help="A run (its best checkpoint), a checkpoint, or an ONNX export."
        ),
    ],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository on the hub.")],
    evaluation: Annotated[
        list[Path] | None,
        typer.Option(metavar="EVALUATION", help="Its evaluation, for the card's figures and its page; repeatable."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Create the repository public (default: private).")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be uploaded.")] = False,
    license: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Licence of the weights, as mit (default: the terms of the training data)."),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="Branch to push to (default: the main one).")
    ] = None,
    message: Annotated[str | None, typer.Option(metavar="TEXT", help="Message of the commit.")] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Publish a model on the Hugging Face hub: weights, metadata, a card with figures, and pages of evaluations.

    What is uploaded is shown first. Files that are there already are not sent again, so a repeated call resumes. Others
    use the model as hf://OWNER/NAME. The token is that of hf auth login.

    Example: [bold]fer push run anna/faces --evaluation evaluation --dry-run[/bold]
    """
    output = Output(json=json, quiet=quiet)
    with guarded(debug, "push"), output.progress("push") as progress:
        from fercli.publishing.push import prepare_push  # slow to import: torch

        push = prepare_push(
            source,
            repository,
            evaluations=evaluation or (),
            public=public,
            branch=revision or "",
            message=message or "",
            licence=license or "",
            dry_run=dry_run,
            progress=progress,
        )
        progress.stop()
        if not json:
            output.print(_files(push))
        sent = None if dry_run else push.send(progress)
        progress.stop()
        if json:
            output.json(_object(push, sent))
        elif sent is not None:
            _tell(output, push, sent)


def _files(push: Push) -> Any:
    """Return the table of the files, with what is to be done."""
    rows = table("file", "kB", "on the hub")
    for path, size, state in push.files():
        rows.add_row(name(path), f"{size / 1000:,.1f}", state or "unknown")
    remote = push.remote
    kind = "public" if push.public else "private"
    rows.title = f"{push.address.repository}, {'a new ' if remote and not remote.exists else ''}{kind} repository"
    return rows


def _tell(output: Output, push: Push, sent: Sent) -> None:
    """Print what was done, and the address at the commit."""
    address = push.address.at(sent.commit)
    changed = sum(state != "unchanged" for _, _, state in push.files())
    output.address("pushed" if changed else "up to date", str(address))
    output.print(f"{name(sent.url)}, {'private' if sent.private else 'public'}")


def _object(push: Push, sent: Sent | None) -> dict[str, Any]:
    files = [{"path": path, "bytes": size, "state": state} for path, size, state in push.files()]
    done = sent is not None
    return {
        "repository": push.address.repository,
        "revision": push.address.revision or None,
        "address": str(push.address.at(sent.commit)) if sent else None,
        "url": sent.url if sent else None,
        "commit": sent.commit if sent else None,
        "created": sent.created if sent else False,
        "private": not push.public,
        "dry_run": not done,
        "uploaded": sum(one["state"] != "unchanged" for one in files) if done else 0,
        "files": files,
    }
