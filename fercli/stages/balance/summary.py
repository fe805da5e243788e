"""What balance reports of a dataset that it filled up, or of a plan."""

from __future__ import annotations

from fercli.artifacts.summary import Summary


class SplitPlan(Summary):
    """One split, by emotion: images there are, images wanted, and how many are augmented and generated.

    `needed` is what the policy asks for in all, whether or not the split is filled up.
    """

    have: dict[str, int]
    target: dict[str, int]
    augment: dict[str, int]
    generate: dict[str, int]
    needed: int


class Agreement(Summary):
    """In how many of `n` images the judge sees the emotion that was meant, with the 95 % interval of that share."""

    agreed: int
    n: int
    share: float
    interval: list[float]


class FrechetSummary(Summary):
    """Fréchet's distance of a class's generated images to its real ones, beside that of real ones to each other."""

    distance: float
    of_real: float
    generated: int
    real: int
    features: int
    few: bool


class JudgedClass(Summary):
    """How well one emotion's generated images show it; `validation` is the agreement on real images."""

    generated: Agreement
    validation: Agreement | None = None
    frechet: FrechetSummary | None


class JudgementSummary(Summary):
    """What `--judge` found."""

    checkpoint: str
    architecture: str
    agreement: Agreement
    classes: dict[str, JudgedClass]


class LeakCheck(Summary):
    """The new images that are equal or nearly equal to one of another split, and what was done about them."""

    made: int
    against: int
    equal: int
    near: int
    parent: int
    made_again: int
    taken_out: int


class GenerationSummary(Summary):
    """What the diffusion model made; `missing` counts images that no try gave, by split/emotion.

    `unlike_any_face` names the emotions whose images do not look like the faces of train.
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
    """What the GAN made, and how near its faces come to the real ones (quantiles of the correlation)."""

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


class BalanceSummary(Summary):
    """What `fer balance --json` prints: each split's plan, the prompts, and what the method has to say.

    A split that the dataset, or the published counts, lack is None; so is what no option asked for.
    """

    train: SplitPlan | None = None
    validation: SplitPlan | None = None
    test: SplitPlan | None = None
    prompts: int
    note: str = ""
    check: LeakCheck | None = None
    generation: GenerationSummary | None = None
    gan: GanSummary | None = None
    judgement: JudgementSummary | None = None
