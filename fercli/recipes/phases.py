"""Later stages of a training, as a recipe or a call writes them: epochs=20,lr=1e-5,freeze=backbone,norms."""

from __future__ import annotations

import re

from fercli.errors import did_you_mean

OF_THE_WHOLE = ("then", "select", "snapshots")
"""Settings of the whole training, which no stage has for itself."""
_OPTION = re.compile(r"\s*([A-Za-z][\w-]*)\s*=(.*)", re.DOTALL)


def read_stage(text: str, known: tuple[str, ...]) -> tuple[dict[str, str], set[str]]:
    """Read one later stage.

    A part without a name before its `=` goes on with the value before it, so that `freeze=backbone,norms` and
    `sizes=32=0.5,48=0.5` are read as they stand.

    Args:
        text: Options with their values, comma-separated.
        known: Names of the settings.

    Returns:
        What the stage sets, by name; and the names of what it puts back to its default (written `name=`).

    Raises:
        ValueError: it is not written so, or names what is no setting of a stage.
    """
    if text.strip() == "none":
        raise ValueError("none leaves out all later stages, and stands alone")
    found: dict[str, str] = {}
    name = ""
    for part in text.split(","):
        option = _OPTION.fullmatch(part)
        if option is None:
            if not name:
                raise ValueError(f"write options with values, as epochs=20,lr=1e-5 (given: {text!r})")
            found[name] += f",{part.strip()}"
            continue
        name = option[1].replace("-", "_")
        shown = name.replace("_", "-")
        if name in OF_THE_WHOLE:
            raise ValueError(f"{shown}: belongs to the whole training, not to one of its stages")
        if name not in known:
            options = [one.replace("_", "-") for one in known if one not in OF_THE_WHOLE]
            raise ValueError(did_you_mean("option", shown, options, "fer train --help lists all"))
        if name in found:
            raise ValueError(f"{shown}: given twice")
        found[name] = option[2].strip()
    return {n: value for n, value in found.items() if value}, {n for n, value in found.items() if not value}
