"""The only module that imports huggingface_hub, and the one-line messages for its errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fercli._version import __version__
from fercli.errors import DataError, FerError
from fercli.hub.address import HubAddress

LOGIN = "log in with hf auth login"


def import_library() -> Any:
    """Import huggingface_hub, which reads its settings (HF_HOME, HF_ENDPOINT, HF_HUB_OFFLINE) when it is imported.

    Raises:
        FerError: it is not installed.
    """
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
        import huggingface_hub.utils  # the package imports none of them by itself
    except ImportError as error:
        raise FerError("huggingface_hub is not installed; pip install 'fercli[hub]'") from error
    return huggingface_hub


def hub_api() -> Any:
    """Return the client of the hub's API; a token, if needed, is the one of the hub's own login."""
    return import_library().HfApi(library_name="fercli", library_version=__version__)


def has_token() -> bool:
    """Return whether there is a login on this machine; whether it is still valid is known to the hub alone."""
    return import_library().get_token() is not None


@contextmanager
def hub_errors(address: HubAddress, doing: str) -> Iterator[None]:
    """Turn errors of huggingface_hub into one line: what, where, what to do. It shows no progress bars meanwhile.

    Args:
        address: What is read or written.
        doing: `read` or `written`, for messages.

    Raises:
        DataError: the repository or the revision does not exist, or is not accessible.
        FerError: the hub cannot be reached, or refuses.
    """
    utils = import_library().utils

    shown = not utils.are_progress_bars_disabled()
    level = utils.logging.get_verbosity()
    utils.disable_progress_bars()
    utils.logging.set_verbosity_error()
    try:
        yield
    except FerError:
        raise
    except Exception as error:
        raise _translated(error, address, doing) from error
    finally:
        utils.logging.set_verbosity(level)
        if shown:
            utils.enable_progress_bars()


def _translated(error: BaseException, address: HubAddress, doing: str) -> FerError:
    """Return the one-line error for an exception of huggingface_hub; an unknown one is returned by its own text."""
    from huggingface_hub import constants, errors

    chain = list(_chain(error))
    for one in chain:
        if isinstance(one, errors.GatedRepoError):
            url = f"{constants.ENDPOINT}/{address.repository}"
            return DataError(f"{address}: its owner grants access on request; ask for it at {url}, and {LOGIN}")
        if isinstance(one, errors.RevisionNotFoundError):
            return DataError(f"{address}: no such branch, tag or commit '{address.revision or 'main'}'; check the name")
        if isinstance(one, errors.RepositoryNotFoundError):
            private, do = "it is private", f", or {LOGIN}"
            if has_token():
                private, do = "this login has no access to it", ""
            where = f"no such repository on {constants.ENDPOINT}, or {private}"
            return DataError(f"{address}: {where}; check the name{do}")
        if isinstance(one, errors.RemoteEntryNotFoundError):
            return DataError(f"{address}: the file is not in the repository; check the name")
        if isinstance(one, errors.OfflineModeIsEnabled):
            return _offline(address)
    if any(isinstance(one, errors.HfHubHTTPError) for one in chain):
        return _refused(next(one for one in chain if isinstance(one, errors.HfHubHTTPError)), address, doing)
    for one in chain:
        if type(one).__module__.partition(".")[0].startswith(("httpx", "httpcore")):
            how = str(one) or type(one).__name__
            return FerError(
                f"{address}: {constants.ENDPOINT} cannot be reached ({how}); check the connection, and repeat the call"
            )
    if any(isinstance(one, errors.LocalEntryNotFoundError) for one in chain):
        return _offline(address)
    reason = str(getattr(error, "strerror", None) or error)[:300] or type(error).__name__
    return FerError(f"{address}: cannot be {doing} ({reason}); repeat the call, it resumes")


def _offline(address: HubAddress) -> DataError:
    return DataError(
        f"{address}: not in the cache, and the hub is offline; unset HF_HUB_OFFLINE, or give a commit that is there"
    )


def _refused(error: Any, address: HubAddress, doing: str) -> FerError:
    """Return the error for a response of the hub that says no."""
    status = error.response.status_code if error.response is not None else 0
    if status == 401:
        return FerError(f"{address}: the hub does not accept the token of this login; {LOGIN}")
    if status == 403:
        return FerError(f"{address}: the token of this login may not do this; {LOGIN}, by a token that may write")
    reason = " ".join(filter(None, [f"HTTP {status}", str(error.server_message or "")[:200]]))
    return FerError(f"{address}: cannot be {doing} ({reason}); repeat the call later, it resumes")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, which huggingface_hub hides in others of less meaning."""
    seen: set[int] = set()
    now: BaseException | None = error
    while now is not None and id(now) not in seen:
        seen.add(id(now))
        yield now
        now = now.__cause__ or now.__context__


def cache_folder(address: HubAddress) -> str:
    """Return the folder of a repository in the hub's cache, whether it exists or not."""
    from huggingface_hub import constants

    return os.path.join(constants.HF_HUB_CACHE, f"models--{address.owner}--{address.name}")
