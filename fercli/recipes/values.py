"""Training options with structured values, each parsed once from text or from the value itself.

`json_schema_input_type` declares the accepted inputs, from which the command line derives its parser.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer

from fercli.errors import did_you_mean

FREEZABLE = ("backbone", "norms")


def _parse_freeze(value: Any) -> Any:
    """Parse `backbone,norms`; `none` and an empty text mean nothing."""
    if value is None or value == "none":
        return frozenset()
    if not isinstance(value, str | Collection):
        return value
    names = [str(name).strip() for name in (value.split(",") if isinstance(value, str) else value)]
    parts = frozenset(filter(None, names)) - ({"none"} if len(names) == 1 else set())
    for name in sorted(parts - set(FREEZABLE)):
        raise ValueError(did_you_mean("part", name, list(FREEZABLE)))
    return parts


def _parse_sizes(value: Any) -> Any:
    """Parse `32=0.5,48=0.5`; `none` and an empty text mean no sizes."""
    if value is None or value == "none":
        return ()
    try:
        pairs = [part.split("=") for part in value.split(",") if part] if isinstance(value, str) else value
        sizes = tuple((int(size), float(share)) for size, share in pairs)
    except (TypeError, ValueError):
        sizes = ((0, 0.0),)
    if sizes and not (all(8 <= size <= 1024 for size, _ in sizes) and abs(sum(share for _, share in sizes) - 1) < 1e-6):
        raise ValueError("sides from 8 to 1024 pixels with shares that add up to 1, such as 32=0.5,48=0.5")
    return sizes


def _parse_snapshots(value: Any) -> Any:
    """Parse `30,40,50` or `cycles`; `none` and an empty text mean no snapshots."""
    text = value.strip() if isinstance(value, str) else value
    if text in (None, "", "none"):
        return frozenset()
    if text == "cycles":
        return "cycles"
    items = text.split(",") if isinstance(text, str) else text if isinstance(text, Collection) else [text]
    try:
        epochs = frozenset(int(str(item)) for item in items)
    except ValueError:
        epochs = frozenset({0})
    if min(epochs, default=1) < 1:
        raise ValueError("epochs from 1, such as 30,40,50, or cycles, or none")
    return epochs


Freeze = Annotated[
    frozenset[Literal["backbone", "norms"]],
    BeforeValidator(_parse_freeze, json_schema_input_type=str | Set[str] | Sequence[str]),
    PlainSerializer(sorted),
]
ProgressiveSizes = Annotated[
    tuple[tuple[int, float], ...],
    BeforeValidator(_parse_sizes, json_schema_input_type=str | Sequence[tuple[int, float]]),
]
Snapshots = Annotated[
    frozenset[int] | Literal["cycles"],
    BeforeValidator(_parse_snapshots, json_schema_input_type=str | Set[int] | Sequence[int]),
    PlainSerializer(lambda value: value if value == "cycles" else sorted(value)),
]
