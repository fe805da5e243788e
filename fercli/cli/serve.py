"""`fer serve`."""

from __future__ import annotations

import sys
from typing import Any

from fercli.cli.options import stage_command
from fercli.cli.output import Output, name
from fercli.progress import Progress
from fercli.serving.config import ServeConfig


def start(progress: Progress, **options: Any) -> Any:
    """Return the server, ready to run."""
    from fercli.serving.stage import serve  # slow to import: torch

    return serve(ServeConfig.of(**options), progress)


def deliver(output: Output, served: Any) -> None:
    """Print the address, and serve."""
    if output.as_json:
        output.json({"url": served.url, "models": served.models})
    elif output.quiet:
        print(served.url)
    else:
        output.print(f"[green]serving[/green] {name(', '.join(served.models))} at {name(served.url)} (Ctrl-C ends)")
    sys.stdout.flush()  # a script that reads it from a pipe goes on
    served.run()


command = stage_command(
    ServeConfig,
    start,
    lambda _: (),
    """Serve a page and a JSON API on which a model recognises emotions, in pictures, films and from a camera.

    Only this machine can reach it, unless --host or --allow-host says otherwise; then a token is needed, which is
    printed. Pictures are neither kept nor logged. /openapi.json describes the API.

    Example: [bold]fer serve ferplus --port 8000[/bold]
    """,
    deliver=deliver,
)
