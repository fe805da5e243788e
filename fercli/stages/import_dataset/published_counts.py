"""Comparing the number of images in a source with the published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_NAMES = 3


def differences(
    published: Mapping[str, int], found: Mapping[str, int], missing: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, int]]:
    """Return the published and actual numbers of images by split ("all" without splits), where they differ.

    Args:
        published: As `Reader.published`; empty if unknown.
        found: Images in the source, usable or not.
        missing: Images listed in the source but missing.
    """
    if not published:
        return {}
    splits = dict.fromkeys([*published, *(split for split in found if found[split]), *missing])
    return {
        split or "all": {"published": published.get(split, 0), "found": found.get(split, 0)}
        for split in splits
        if published.get(split, 0) != found.get(split, 0)
    }


def describe_differences(differing: Mapping[str, Mapping[str, int]], missing: Mapping[str, Sequence[str]]) -> str:
    """Describe the differences in one line, with the first names of missing images."""
    parts = []
    for split, by in differing.items():
        lack = by["published"] - by["found"]
        where = "" if split == "all" else f" in {split}"
        names = missing.get("" if split == "all" else split, ())
        listed = f": {', '.join(names[:_NAMES])}{', …' if len(names) > _NAMES else ''}" if names and lack > 0 else ""
        if lack > 0:
            parts.append(f"{lack:,} of {by['published']:,} missing{where}{listed}")
        else:
            parts.append(f"{-lack:,} more than the {by['published']:,} published{where}")
    return "; ".join(parts)
