"""What was found in a data set: groups of copies, counted, and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fercli.datasets.duplicates import NO_FACE, NearPair, Removal, components, conflicting, partners
from fercli.datasets.index import Row, count, totals
from fercli.sanitize import path_cell, word_cell
from fercli.stages.clean.face_filter import Facing
from fercli.stages.clean.label_issues import LabelIssues

REMOVED_COLUMNS = ("path", "split", "emotion", "reason", "copy_of")


@dataclass(frozen=True)
class Findings:
    """Copies in a data set. Images are told by their row's number, distinct pictures by their own.

    Attributes:
        rows: The index.
        pictures: The images that show each distinct picture.
        near: Pairs of pictures that look the same.
        constant: Images of one constant value.
        removed: Images (to be) taken out.
        facing: Where faces were looked for.
        suspects: Labels that are probably wrong, where runs were asked.
    """

    rows: Sequence[Row]
    pictures: Sequence[Sequence[int]]
    near: Sequence[NearPair]
    constant: Sequence[int]
    removed: dict[int, Removal]
    facing: Facing | None = None
    suspects: LabelIssues | None = None

    @cached_property
    def exact_groups(self) -> list[list[int]]:
        """Groups of at least two images with equal pixels."""
        return [list(images) for images in self.pictures if len(images) > 1]

    @cached_property
    def near_groups(self) -> list[list[int]]:
        """All images of each set of pictures that near pairs connect."""
        joined = components(len(self.pictures), [(pair.a, pair.b) for pair in self.near])
        return [sorted(i for picture in group for i in self.pictures[picture]) for group in joined]

    def spans(self, group: Sequence[int]) -> bool:
        """Tell whether a group of images lies in more than one split."""
        return len({self.rows[i].split for i in group}) > 1

    def summary(self) -> dict[str, Any]:
        """Return the counts that `--json` prints.

        `test_in_train` counts the test images that have a copy in train, `validation_in_train` and
        `test_in_validation` likewise. A near copy is meant directly there, not by a chain.
        """
        # Only of pictures that have a copy: most have none.
        exact = {number: self._splits(number) for number, images in enumerate(self.pictures) if len(images) > 1}
        near = {number: set[str]().union(*map(self._splits, others)) for number, others in partners(self.near).items()}

        removed = dict.fromkeys(totals(count(self.rows, [])), 0)
        for i in self.removed:
            removed[self.rows[i].split] += 1
        faces = {"faces": self._faces(self.facing)} if self.facing is not None else {}
        return {
            "exact": self._tally(self.exact_groups, exact),
            "near": self._tally(self.near_groups, near),
            "constant": len(self.constant),
            "removed": removed,
            **faces,
            **({"suspects": self.suspects.summary(self.rows)} if self.suspects else {}),
        }

    def turned(self) -> list[int]:
        """Return the images that stay and whose faces are turned."""
        return sorted(set(self.facing.turns if self.facing is not None else ()) - set(self.removed))

    def _faces(self, facing: Facing) -> dict[str, Any]:
        gone = [i for i, why in self.removed.items() if why.reason == NO_FACE]
        return facing.summary(self.rows, gone, self.turned())

    def _splits(self, picture: int) -> set[str]:
        return {self.rows[i].split for i in self.pictures[picture]}

    def _tally(self, groups: list[list[int]], copied_in: dict[int, set[str]]) -> dict[str, int]:
        def images(split: str, other: str) -> int:
            copied = [self.pictures[number] for number, splits in copied_in.items() if other in splits]
            return sum(self.rows[i].split == split for shown in copied for i in shown)

        return {
            "groups": len(groups),
            "across_splits": sum(map(self.spans, groups)),
            "test_in_train": images("test", "train"),
            "validation_in_train": images("validation", "train"),
            "test_in_validation": images("test", "validation"),
            "conflicts": sum(conflicting(self.rows, group) for group in groups),
        }

    def report(self) -> dict[str, Any]:
        """Return everything found, by path, ready for JSON."""

        def paths(images: Sequence[int]) -> list[str]:
            return [self.rows[i].path for i in images]

        return {
            "summary": self.summary(),
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
            **({"suspects": self.suspects.report(self.rows)} if self.suspects else {}),
        }

    def removed_rows(self) -> Iterator[tuple[str, ...]]:
        """Yield the rows of the table of the images taken out."""
        for i, why in self.removed.items():
            row = self.rows[i]
            names = path_cell(row.path), word_cell(row.split), word_cell(row.emotion)
            yield *names, why.reason, path_cell(why.copy_of)

    def removed_by_reason(self) -> dict[str, list[str]]:
        """Return the paths of the images taken out, by reason."""
        found: dict[str, list[str]] = {}
        for i, why in self.removed.items():
            found.setdefault(why.reason, []).append(self.rows[i].path)
        return found
