"""Start the server."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fercli.errors import FerError
from fercli.progress import SILENT, Progress
from fercli.serving.config import ServeConfig
from fercli.serving.engine import ServedModel, unique_names

TOKEN = "FERCLI_TOKEN"
"""Variable with the token; an option would be seen in the list of processes."""
EVERYWHERE = ("0.0.0.0", "::")
"""Addresses that mean all of this machine's."""


@dataclass(frozen=True)
class Served:
    """A server that is ready to run.

    Attributes:
        url: The page's address, with the token if there is one.
        models: Names of its models.
    """

    url: str
    models: Sequence[str]
    _server: Any
    _listener: socket.socket

    def run(self) -> None:
        """Serve until `stop`; in the main thread also until Ctrl-C or SIGTERM."""
        with self._listener:
            self._server.run([self._listener])

    def stop(self) -> None:
        """End `run`, which another thread has called; requests have a few seconds to end."""
        self._server.should_exit = True


def serve(config: ServeConfig, progress: Progress = SILENT) -> Served:
    """Load the models and open the port; the result's `run` serves.

    Raises:
        DataError: a checkpoint is missing or damaged.
        FerError: the address cannot be listened at, or a package is missing.
    """
    try:
        from fercli.serving.app import create_app
        from fercli.serving.guard import Guard, is_loopback
        from fercli.serving.server import make_server
    except ImportError as error:
        raise FerError(f"serve needs {error.name}; install it with: pip install 'fercli[serve]'") from error
    names = unique_names(config.checkpoints)
    models = {
        name: ServedModel(path, config, progress if not number else SILENT)
        for number, (name, path) in enumerate(zip(names, config.checkpoints, strict=True))
    }
    app = create_app(models, {name: model.card() for name, model in models.items()}, config)
    token = os.environ.get(TOKEN, "")
    if not token and (config.allow_host or not is_loopback(config.host)):  # a proxy lets others in
        token = secrets.token_urlsafe(24)
    listener = _listen(config.host, config.port)
    guarded = Guard(
        app,
        host=config.host,
        names=(*config.allow_host, *([socket.gethostname().lower()] if config.host in EVERYWHERE else [])),
        token=token,
        max_bytes=int(config.max_megabytes * 1e6),
        timeout=config.timeout,
    )
    name = socket.gethostname() if config.host in EVERYWHERE else config.host
    host = f"[{name}]" if ":" in name else name
    url = f"http://{host}:{listener.getsockname()[1]}/{f'?token={quote(token)}' if token else ''}"
    return Served(url, names, make_server(guarded, config.timeout, int(config.max_megabytes * 1e6)), listener)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:  # a name of which a part is empty or too long
        raise FerError(f"--host {host}: no such address ({getattr(error, 'strerror', None) or error})") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise FerError(f"--host {host} --port {port}: {reason}; choose another, or --port 0 for a free one") from error
    return listener
