"""The summary of balance: of a balanced dataset, or of a plan."""

from __future__ import annotations

from fercli.artifacts.summary import Summary
from fercli.evaluation.summary import JudgementSummary


class SplitPlan(Summary):
    """One split, by emotion: existing images, target count, images to augment and to generate.

    `needed` is the total that the policy asks for, whether or not the split is filled.
    """

    have: dict[str, int]
    target: dict[str, int]
    augment: dict[str, int]
    generate: dict[str, int]
    needed: int


class GenerationSummary(Summary):
    """Results of the diffusion model; `missing` counts prompts without a face, by split/emotion.

    `unlike_any_face` lists the emotions whose images do not look like the faces of train.
    """

    made: int
    images: int
    rejected: dict[str, int]
    missing: dict[str, int]
    generator: str
    revision: str | None
    safety_checker: bool
    seconds: float
    seconds_an_image: float
    unlike_any_face: tuple[str, ...] = ()


class GanSummary(Summary):
    """Results of the GAN, with quantiles of the correlation of its faces with the most similar training faces.

    `made` counts the accepted faces, `drawn` all generated ones, `learnt_from` the training faces by emotion.
    """

    made: int
    drawn: int
    rejected: dict[str, int]
    nearest_real: dict[str, int | float]
    nearest_real_of_held_out: dict[str, int | float]
    unlike_any_face: tuple[str, ...]
    steps: int
    batch: int
    faces_seen: int
    seconds: float
    precision: str
    learnt_from: dict[str, int]
    generator_sha256: str


class LeakCheck(Summary):
    """Created images (`made`) compared with those of other splits (`against`).

    Counts of exact copies, near copies, and images whose parent is in another split; of these, how many were created
    again (`made_again`) or removed (`taken_out`).
    """

    made: int
    against: int
    equal: int
    near: int
    parent: int
    made_again: int
    taken_out: int


class BalanceSummary(Summary):
    """The output of `fer balance --json`: the plan of each split, the number of prompts, and the method's results.

    Splits that the dataset, or the published counts, lack are None, and so are parts that do not apply.
    """

    train: SplitPlan | None = None
    validation: SplitPlan | None = None
    test: SplitPlan | None = None
    prompts: int
    note: str = ""
    generation: GenerationSummary | None = None
    gan: GanSummary | None = None
    check: LeakCheck | None = None
    judgement: JudgementSummary | None = None
