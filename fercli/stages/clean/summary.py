"""Summary of the clean stage."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class CopiesSummary(Summary):
    """Groups of equal, or nearly equal, images; `test_in_train` counts test images with a copy in train, and so on."""

    groups: int
    across_splits: int
    test_in_train: int
    validation_in_train: int
    test_in_validation: int
    conflicts: int


class FacesSummary(Summary):
    """The result of `--detector`: images without a face by split and emotion, and the numbers removed and rotated."""

    detector: str
    without: dict[str, dict[str, int]]
    removed: int
    turned: int
    notes: list[str]


class LabelIssuesSummary(Summary):
    """The result of `--labels`: label issues by split, and by given and suggested emotion."""

    runs: int
    examined: dict[str, int]
    without_prediction: dict[str, int]
    agreement: float
    found: dict[str, int]
    pairs: dict[str, dict[str, int]]


class CleanSummary(Summary):
    """The output of `fer clean --json`; `faces` and `label_issues` are None if they were not requested."""

    exact: CopiesSummary
    near: CopiesSummary
    constant: int
    removed: dict[str, int]
    faces: FacesSummary | None = None
    label_issues: LabelIssuesSummary | None = None
