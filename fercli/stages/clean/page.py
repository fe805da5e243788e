"""The report as a self-contained page: counts, pairs side by side, constant images, removed images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from fercli.artifacts import Artifact
from fercli.datasets.duplicates import (
    CONSTANT,
    EXACT_COPY,
    MAX_BITS,
    MIN_CORRELATION,
    NEAR_COPY,
    NO_FACE,
    PARENT_ELSEWHERE,
    PARENT_REMOVED,
    conflicting,
    rank_of,
)
from fercli.datasets.reading import read_checked
from fercli.report.pages import render
from fercli.report.plots import face_uri
from fercli.stages.clean.config import CleanConfig
from fercli.stages.clean.faces_page import faces_context
from fercli.stages.clean.findings import Findings
from fercli.stages.clean.label_issues import LABEL_ISSUE, PARENT_LABEL_ISSUE
from fercli.stages.clean.label_issues_page import label_issues_context

_EXACT_SHOWN = 40
_CONFLICTS_SHOWN = 40
_NEAR_SHOWN = 60
_CONSTANT_SHOWN = 40
_REMOVED_SHOWN = 200

_MEASURES = (
    ("groups", "Groups", "Sets of two or more images of the same picture."),
    ("across_splits", "Groups across splits", "Groups with images in more than one split: each is a leak."),
    ("test_in_train", "Test images in train", "The model was trained on them, so its test results are too optimistic."),
    ("validation_in_train", "Validation images in train", "The checkpoint is selected on images it was trained on."),
    ("test_in_validation", "Test images in validation", "The checkpoint was selected on them."),
    ("conflicts", "Groups with several labels", "One picture with several emotions: not all can be correct."),
)

_REASONS = {
    EXACT_COPY: "a copy with the same pixels is kept in a split of higher rank",
    NEAR_COPY: "a near copy is kept in a split of higher rank",
    CONSTANT: "every pixel has the same value",
    NO_FACE: "the detector found no face",
    PARENT_ELSEWHERE: "it was made from an image of another split",
    PARENT_REMOVED: "it was made from an image that was removed as a copy",
    LABEL_ISSUE: "out-of-fold predictions contradict its label",
    PARENT_LABEL_ISSUE: "it was made from an image with a label issue",
}


@dataclass(frozen=True)
class Card:
    """Images side by side with a caption."""

    images: list[int]
    note: str = ""


def page(found: Findings, dataset: Artifact, config: CleanConfig) -> str:
    """Return the page's HTML. Images are embedded; names are untrusted data and escaped.

    Raises:
        DataError: an image to be shown can no longer be read.
    """

    @cache
    def picture(number: int) -> str:
        return face_uri(read_checked(dataset.path, found.rows[number]))

    context = {
        "name": dataset.path.resolve().name,
        "rows": found.rows,
        "counts": dataset.manifest.counts,
        "summary": found.summary(),
        "measures": _MEASURES,
        "max_bits": MAX_BITS,
        "min_correlation": MIN_CORRELATION,
        "sections": _sections(found),
        "constant": found.constant[:_CONSTANT_SHOWN],
        "picture": picture,
        "removed": _removed(found),
        "label_issues": label_issues_context(found),
        "config": config,
        "faces": faces_context(found, dataset.path),
    }
    return render("clean.html.j2", context)


def _sections(found: Findings) -> list[dict[str, Any]]:
    """Return the sections of cards: title, text, cards, and the total number."""
    exact = sorted(filter(found.spans, found.exact_groups), key=lambda group: _gravity(found, group))
    conflicts = [group for group in found.exact_groups if conflicting(found.rows, group)]
    conflicts.sort(key=lambda group: _gravity(found, group))
    near = _near_cards(found)
    return [
        {
            "title": "Exact copies across splits",
            "text": "Equal shape and pixels in different splits. Test images with a copy in train come first.",
            "none": "No two splits share a picture.",
            "cards": [Card(_ends(found, group), _more(group)) for group in exact[:_EXACT_SHOWN]],
            "total": len(exact),
        },
        {
            "title": "One picture, two labels",
            "text": "Equal pixels with different emotions. They are kept, unless they are also in different splits.",
            "none": "No picture has two emotions.",
            "cards": [_conflict_card(found, group) for group in conflicts[:_CONFLICTS_SHOWN]],
            "total": len(conflicts),
        },
        {
            "title": "Near copies",
            "text": "Pictures that look the same although their pixels differ, those across splits first: an even "
            "sample from the strongest to the weakest correlation, so that the criterion can be checked.",
            "none": "No two pictures look the same.",
            "cards": near,
            "total": len(found.near),
        },
    ]


def _gravity(found: Findings, group: Sequence[int]) -> tuple[int, int]:
    """Sort key by severity: test in train first, then validation in train, then test in validation."""
    splits = {found.rows[i].split for i in group}
    order = ({"test", "train"}, {"validation", "train"}, {"test", "validation"})
    return next((place for place, pair in enumerate(order) if pair <= splits), len(order)), group[0]


def _ends(found: Findings, group: Sequence[int]) -> list[int]:
    """Return two images of a group: one in its highest split and one in its lowest."""
    ordered = sorted(group, key=lambda i: (-rank_of(found.rows[i].split), i))
    return [ordered[0], ordered[-1]]


def _more(group: Sequence[int]) -> str:
    return f"the same pixels; {len(group)} images in the group" if len(group) > 2 else "the same pixels"


def _conflict_card(found: Findings, group: Sequence[int]) -> Card:
    by_emotion = {found.rows[i].emotion: i for i in reversed(group)}
    return Card(sorted(by_emotion.values())[:3], _more(group))


def _near_cards(found: Findings) -> list[Card]:
    """Return cards for near pairs: an even sample of those across splits, then of those within one split."""
    across: list[Card] = []
    within: list[Card] = []
    for pair in sorted(found.near, key=lambda pair: (-pair.correlation, pair.a, pair.b)):
        # The image in the highest split is on the left, and the other picture's in its lowest split on the right.
        ends = [_ends(found, found.pictures[pair.a]), _ends(found, found.pictures[pair.b])]
        left, right = sorted(ends, key=lambda ends: -rank_of(found.rows[ends[0]].split))
        images = [left[0], right[-1]]
        bits = "1 bit" if pair.bits == 1 else f"{pair.bits} bits"
        card = Card(images, f"correlation {pair.correlation:.3f}, {bits} apart{', mirrored' * pair.mirrored}")
        (across if found.spans(images) else within).append(card)
    cards = evenly(across, _NEAR_SHOWN)
    return cards + evenly(within, _NEAR_SHOWN - len(cards))


def evenly(cards: list[Card], limit: int) -> list[Card]:
    """Return at most `limit` of the cards, evenly spaced, including the first and the last."""
    if len(cards) <= limit:
        return cards
    return [cards[round(place)] for place in np.linspace(0, len(cards) - 1, limit)] if limit else []


def _removed(found: Findings) -> dict[str, Any]:
    """Return the removed images by reason and split, and the first few."""
    counted = Counter((why.reason, found.rows[i].split) for i, why in found.removed.items())
    splits = list(found.summary().removed)
    lines = [
        (reason, text, [counted[reason, split] for split in splits])
        for reason, text in _REASONS.items()
        if any(counted[reason, split] for split in splits)
    ]
    images = [(found.rows[i], why) for i, why in list(found.removed.items())[:_REMOVED_SHOWN]]
    return {"splits": splits, "lines": lines, "images": images, "total": len(found.removed)}
