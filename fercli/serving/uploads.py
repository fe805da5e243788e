"""The picture in a request: its body, or the one file of a form. It is kept in memory alone."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

FORM = "multipart/form-data"
FIELD = "file"
_BINARY = {"schema": {"type": "string", "format": "binary"}}
REQUEST_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"The picture, as the body or as the field `{FIELD}` of a form.",
        "content": {
            "image/jpeg": _BINARY,
            "image/png": _BINARY,
            "image/webp": _BINARY,
            "application/octet-stream": _BINARY,
            FORM: {
                "schema": {
                    "type": "object",
                    "required": [FIELD],
                    "properties": {FIELD: {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}
"""The body for OpenAPI, which cannot be derived from a function that reads it itself."""


class _InMemory(MultiPartParser):
    """A parser that writes no file to disk: the size of the whole body is limited before it."""

    spool_max_size = 2**40

    def on_part_begin(self) -> None:
        """Decode names and fields as UTF-8: of the codecs a sender may name, some take quadratic time (punycode)."""
        self._charset = "utf-8"
        super().on_part_begin()


async def read_picture(request: Request) -> bytes:
    """Return the bytes of the picture in a request.

    Raises:
        HTTPException: there is none, or it is not a form of one file.
    """
    if not request.headers.get("content-type", "").lower().startswith(FORM):
        data = await request.body()
        if not data:
            raise HTTPException(400, f"no picture: send it as the body, or as the field {FIELD} of a form")
        return data
    try:
        form = await _InMemory(request.headers, request.stream(), max_files=1, max_fields=4).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        reason = error.message if isinstance(error, MultiPartException) else "it is damaged"
        raise HTTPException(400, f"not a form with one picture: {reason}") from error
    files = [value for value in form.values() if isinstance(value, UploadFile)]
    if not files:
        raise HTTPException(400, f"the form has no file; its field is called {FIELD}")
    data = await files[0].read()
    await form.close()
    if not data:
        raise HTTPException(400, "the picture is empty")
    return data
