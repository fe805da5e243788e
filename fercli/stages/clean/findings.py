"""The findings of clean: groups of copies, their counts, and tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fercli.datasets.duplicates import NO_FACE, NearPair, Removal, components, conflicting, partners
from fercli.datasets.index import Row, count, totals
from fercli.sanitize import path_cell, word_cell
from fercli.stages.clean.face_filter import FaceSearch
from fercli.stages.clean.label_issues import LabelIssues
from fercli.stages.clean.summary import CleanSummary, CopiesSummary, FacesSummary

REMOVED_COLUMNS = ("path", "split", "emotion", "reason", "copy_of")


@dataclass(frozen=True)
class Findings:
    """Findings in a dataset. Images are identified by row number, distinct pictures by their own number.

    Attributes:
        rows: The index.
        pictures: The images of each distinct picture.
        near: Pairs of near copies.
        constant: Images of constant colour.
        removed: Images (to be) removed.
        faces: The result of the face filter, if it was used.
        label_issues: Labels that are probably wrong, if runs were given.
    """

    rows: Sequence[Row]
    pictures: Sequence[Sequence[int]]
    near: Sequence[NearPair]
    constant: Sequence[int]
    removed: dict[int, Removal]
    faces: FaceSearch | None = None
    label_issues: LabelIssues | None = None

    @cached_property
    def exact_groups(self) -> list[list[int]]:
        """Groups of at least two images with equal pixels."""
        return [list(images) for images in self.pictures if len(images) > 1]

    @cached_property
    def near_groups(self) -> list[list[int]]:
        """All images of each set of pictures connected by near pairs."""
        joined = components(len(self.pictures), [(pair.a, pair.b) for pair in self.near])
        return [sorted(i for picture in group for i in self.pictures[picture]) for group in joined]

    def spans(self, group: Sequence[int]) -> bool:
        """Return whether a group of images is in more than one split."""
        return len({self.rows[i].split for i in group}) > 1

    def summary(self) -> CleanSummary:
        """Return the summary that `--json` prints.

        `test_in_train` counts the test images with a copy in train, `validation_in_train` and `test_in_validation`
        likewise. Near copies count only directly, not through a chain.
        """
        # Only pictures with copies: most have none.
        exact = {number: self._splits(number) for number, images in enumerate(self.pictures) if len(images) > 1}
        near = {number: set[str]().union(*map(self._splits, others)) for number, others in partners(self.near).items()}

        removed = dict.fromkeys(totals(count(self.rows, [])), 0)
        for i in self.removed:
            removed[self.rows[i].split] += 1
        summary = CleanSummary(
            exact=self._count(self.exact_groups, exact),
            near=self._count(self.near_groups, near),
            constant=len(self.constant),
            removed=removed,
        )
        if self.faces is not None:
            summary = summary.model_copy(update={"faces": self._faces(self.faces)})
        if self.label_issues:
            summary = summary.model_copy(update={"label_issues": self.label_issues.summary(self.rows)})
        return summary

    def turned(self) -> list[int]:
        """Return the kept images whose faces are rotated."""
        return sorted(set(self.faces.turns if self.faces is not None else ()) - set(self.removed))

    def _faces(self, faces: FaceSearch) -> FacesSummary:
        gone = [i for i, why in self.removed.items() if why.reason == NO_FACE]
        return faces.summary(self.rows, gone, self.turned())

    def _splits(self, picture: int) -> set[str]:
        return {self.rows[i].split for i in self.pictures[picture]}

    def _count(self, groups: list[list[int]], copied_in: dict[int, set[str]]) -> CopiesSummary:
        def images(split: str, other: str) -> int:
            copied = [self.pictures[number] for number, splits in copied_in.items() if other in splits]
            return sum(self.rows[i].split == split for shown in copied for i in shown)

        return CopiesSummary(
            groups=len(groups),
            across_splits=sum(map(self.spans, groups)),
            test_in_train=images("test", "train"),
            validation_in_train=images("validation", "train"),
            test_in_validation=images("test", "validation"),
            conflicts=sum(conflicting(self.rows, group) for group in groups),
        )

    def report(self) -> dict[str, Any]:
        """Return everything found, by path, ready for JSON."""

        def paths(images: Sequence[int]) -> list[str]:
            return [self.rows[i].path for i in images]

        return {
            "summary": self.summary().as_dict(),
            "exact": [paths(group) for group in self.exact_groups],
            "near": [
                {
                    "a": paths(self.pictures[pair.a]),
                    "b": paths(self.pictures[pair.b]),
                    "bits": pair.bits,
                    "correlation": round(pair.correlation, 4),
                    "mirrored": pair.mirrored,
                }
                for pair in self.near
            ],
            "near_groups": [paths(group) for group in self.near_groups],
            "constant": paths(self.constant),
            "removed": [
                {"path": self.rows[i].path, "reason": why.reason, "copy_of": why.copy_of}
                for i, why in self.removed.items()
            ],
            **({"label_issues": self.label_issues.report(self.rows)} if self.label_issues else {}),
        }

    def removed_rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the rows of the table of removed images."""
        for i, why in self.removed.items():
            row = self.rows[i]
            names = path_cell(row.path), word_cell(row.split), word_cell(row.emotion)
            yield *names, why.reason, path_cell(why.copy_of)

    def removed_by_reason(self) -> dict[str, list[str]]:
        """Return the paths of removed images by reason."""
        found: dict[str, list[str]] = {}
        for i, why in self.removed.items():
            found.setdefault(why.reason, []).append(self.rows[i].path)
        return found
