"""The notebook representation of a result: a small table of its key values, and its main picture below.

All text is escaped, since names are untrusted. The picture is downscaled and embedded as a `data:` URI, so that the
notebook can be shared without the artifact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from fercli.errors import FerError
from fercli.files import as_text
from fercli.sanitize import replace_unprintable

MAX_SIDE = 720
"""Maximum side of the picture, pixels."""
_TEXT = "text-align:left;padding:1px 12px 1px 0"


def result_html(title: str, values: Iterable[tuple[str, str]], pictures: Sequence[Path] = ()) -> str:
    """Return a result as HTML.

    Args:
        title: Heading of the table.
        values: Names and values, in order.
        pictures: Candidate paths of the picture; the first readable one is shown.
    """
    rows = "".join(
        f'<tr><th style="{_TEXT};font-weight:normal;opacity:.7">{_safe(name)}</th>'
        f'<td style="{_TEXT}">{_safe(value)}</td></tr>'
        for name, value in values
    )
    head = f'<caption style="text-align:left;font-weight:bold;caption-side:top">{_safe(title)}</caption>'
    return f'<table style="border-collapse:collapse">{head}<tbody>{rows}</tbody></table>{_picture(pictures)}'


def _safe(text: str) -> str:
    return escape(as_text(replace_unprintable(text)))


def _picture(pictures: Sequence[Path]) -> str:
    """Return the first readable picture, or an empty string: displaying a result must never fail."""
    from PIL import Image

    from fercli.images import encode_png, read_image
    from fercli.report.plots import data_uri

    for path in pictures:
        try:
            pixels = read_image(path)
        except (FerError, OSError):
            continue
        import numpy as np

        image = Image.fromarray(pixels)
        image.thumbnail((MAX_SIDE, MAX_SIDE))
        uri = data_uri(encode_png(np.asarray(image)))
        return f'<img src="{uri}" alt="{_safe(path.name)}" style="max-width:100%">'
    return ""
