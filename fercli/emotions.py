"""The emotions, and their names in datasets.

The canonical order is that of FER2013 (0 to 6). Other sources order and name them differently, so everything fercli
writes lists its emotions by name, in order, and never relies on a bare index.
"""

from __future__ import annotations

EMOTIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
"""The seven emotions, in FER2013's order."""

CONTEMPT = "contempt"
"""The eighth class of FER+, AffectNet and CK+."""

ALIASES: dict[str, str] = {
    "anger": "angry",
    "an": "angry",
    "disgusted": "disgust",
    "di": "disgust",
    "fearful": "fear",
    "afraid": "fear",
    "scared": "fear",
    "fe": "fear",
    "happiness": "happy",
    "joy": "happy",
    "ha": "happy",
    "sadness": "sad",
    "sa": "sad",
    "surprised": "surprise",
    "su": "surprise",
    "neutrality": "neutral",
    "ne": "neutral",
    "contemptuous": CONTEMPT,
}
"""Aliases of the emotions, in lower case."""

_KNOWN = (*EMOTIONS, CONTEMPT)


def canonical(name: str) -> str | None:
    """Return the canonical name of an emotion as any dataset spells it, or None if it is unknown.

    >>> canonical("Happiness"), canonical(" ANGER "), canonical("hat")
    ('happy', 'angry', None)
    """
    key = name.strip().lower()
    if key in _KNOWN:
        return key
    return ALIASES.get(key)


def in_order(names: set[str]) -> list[str]:
    """Return `names` in canonical order, followed by unknown names, sorted."""
    return [name for name in _KNOWN if name in names] + sorted(names - set(_KNOWN))
