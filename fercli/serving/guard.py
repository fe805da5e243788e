"""Which requests are answered: the right host and origin, the token, and limits on size, time and number.

A page of another site must not use the server through its visitor's browser: the Origin of a request must be the host
it asks for, and the host one of the server's own names, so that a name of an attacker's that resolves to this machine
(DNS rebinding) does not help either.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Iterable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
HEALTH = "/healthz"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob:; "
    "media-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
CLOSED = {"connection": "close"}
"""Headers of an answer to a request that is not read to its end."""


class Guard:
    """ASGI middleware that answers forbidden requests itself, and gives every answer the headers of a safe page.

    Args:
        app: The application.
        host: Address that the server listens at.
        names: Further names by which it is reached.
        token: Token that requests must carry; empty: none.
        max_bytes: Limit on a request's body.
        timeout: Seconds in which the body must have arrived.
    """

    def __init__(
        self, app: ASGIApp, *, host: str, names: Iterable[str] = (), token: str, max_bytes: int, timeout: float
    ) -> None:
        self._app, self._token, self._max_bytes, self._timeout = app, token, max_bytes, timeout
        self._names = {*LOCAL_NAMES, host.lower(), *names}
        self._open = not is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        answer = self._refuse(scope)
        if scope["type"] == "websocket":
            if answer is None:
                await self._app(scope, receive, send)
            else:  # before it is accepted: the server answers with 403
                await send({"type": "websocket.close", "code": 1008, "reason": "forbidden"})
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        if answer is not None:
            await answer(scope, receive, send_safely)
        else:
            await self._app(scope, self._limited(receive, Headers(scope=scope)), send_safely)

    def _refuse(self, scope: Scope) -> Response | None:
        """Return the answer to a request that is not passed on."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._knows(host):
            return _error(421, f"not the host {host or '(none)'}; add the name with --allow-host")
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return _error(403, "another site's page may not use this server")
        if not self._token or scope["path"] == HEALTH:
            return None
        given = _bearer(headers) or self._cookie(scope, headers)
        if scope["path"] == "/" and (asked := parse_qs(scope["query_string"].decode("latin-1")).get("token")):
            if not self._right(asked[0]):
                return _error(401, "not the token that fer serve printed")
            to_page = RedirectResponse("/", 303)  # the token leaves the address, and with it the history
            to_page.set_cookie(self._cookie_name(scope), quote(asked[0]), httponly=True, samesite="strict")
            return to_page
        if self._right(given):
            return None
        return _error(401, "a token is needed: open the address that fer serve printed, or send Authorization: Bearer")

    def _knows(self, host: str) -> bool:
        name = _host_name(host)
        if name in self._names:
            return True
        # Where it listens for others too, any address of this machine will do: rebinding needs a name.
        return self._open and _is_address(name)

    def _right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self._token.encode())

    def _cookie_name(self, scope: Scope) -> str:
        return f"fercli-{(scope.get('server') or ('', 0))[1]}"  # cookies do not know ports

    def _cookie(self, scope: Scope, headers: Headers) -> str:
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie_name(scope))
        except CookieError:
            return ""
        return unquote(found.value) if found is not None else ""

    def _limited(self, receive: Receive, headers: Headers) -> Receive:
        """Return `receive` with limits on the body's size, and on the time that it takes."""
        length = headers.get("content-length", "")
        too_large = HTTPException(413, f"too large; the limit is {self._max_bytes / 1e6:g} MB", CLOSED)
        received, complete = 0, False
        until = asyncio.get_running_loop().time() + self._timeout

        async def limited() -> Message:
            nonlocal received, complete
            if complete:  # waiting for the end of the connection
                return await receive()
            if length.isdecimal() and int(length) > self._max_bytes:
                raise too_large
            try:
                async with asyncio.timeout_at(until):
                    message = await receive()
            except TimeoutError as error:
                late = f"the request did not arrive within {self._timeout:g} s"
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, late, CLOSED) from error
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > self._max_bytes:
                raise too_large
            return message

        return limited


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address or name."""
    return host.lower() == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _host_name(host: str) -> str:
    """Return the name or address in a Host header, without port and brackets; '' if it is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _error(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status, headers=CLOSED)
