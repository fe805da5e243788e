"""Balance: fill a data set up by augmentation, or plan from published counts what is to be generated."""

from __future__ import annotations

from typing import Any

from fercli.artifacts import Artifact, artifact_input, key_of, open_artifact, write_text
from fercli.building import Job, build
from fercli.datasets.index import SPLITS, Counts, Row, count, emotions_of, read_index, write_index
from fercli.digests import digest_file, digest_json
from fercli.emotions import in_order
from fercli.errors import DataError
from fercli.progress import SILENT, Progress
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.keeping import Keeper
from fercli.stages.balance.methods import METHODS, Work
from fercli.stages.balance.picture import PICTURE, balance_figure
from fercli.stages.balance.plan import PLAN, Plan, make_plan
from fercli.stages.balance.prompts import PROMPTS, SETTINGS, write_prompts
from fercli.stages.balance.targets import DEFAULT, TARGETS
from fercli.stages.base import HOME, place


def balance(config: BalanceConfig, progress: Progress = SILENT) -> Artifact:
    """Fill the small classes of a data set up, or plan how those of a published one would be filled.

    With a data set, the images that are missing are made from those there are by augmentation, within their split;
    its images, and the plan, are in the new one. Without one, the target's published counts are planned for, and all
    that is missing is to be generated: `plan.csv` and `prompts.jsonl`. The newest data set is never taken by itself.

    What each split needs is told of all three; `splits` alone are filled. None loses an image.

    Returns:
        A dataset with `plan.csv` and `balance.png` in it, or a plan.

    Raises:
        DataError: the data set is missing or damaged, or a class has no image to augment.
        UsageError: an option is wrong, or the output lies in the input.
    """
    made = _plan_only(config, progress) if config.dataset is None else _fill(config, progress)
    if note := made.summary.get("note"):
        progress.log(note)
    return made


def _plan_only(config: BalanceConfig, progress: Progress) -> Artifact:
    if config.target is None:
        config = config.model_copy(update={"target": DEFAULT})
        progress.log(f"no data set given: planning from the published counts of {TARGETS[DEFAULT].title}")
    target = TARGETS[config.target or DEFAULT]
    options = config.options()
    out = config.out
    if out is None:
        out = HOME / f"{config.stage}-{target.name}-{key_of('plan', config.stage, options, [])[:6]}"
        progress.log(f"writing {out}")
    with build(
        out, "plan", config.stage, options=options, inputs=[], seed=config.seed, overwrite=config.overwrite
    ) as job:
        if job.done:
            return job.done
        plan = make_plan(target.counts, config.policy, config.splits.split(","), "generate")
        _write_plan(job, plan, f"{target.title}, policy {config.policy}: what is to be generated")
        people = write_prompts(job.folder / PROMPTS, plan, config.seed, progress)
        emotions = list(next(iter(target.counts.values())))
        job.finish(
            digest=digest_json([digest_file(job.folder / name) for name in (PLAN, PROMPTS)]),
            emotions=emotions,
            summary=_summary(plan),
            details={"people": people.table(emotions), "generation": SETTINGS},
        )
    return job.artifact


def _fill(config: BalanceConfig, progress: Progress) -> Artifact:
    assert config.dataset is not None
    if not config.dataset.exists():
        raise DataError(
            f"{config.dataset}: no such data set; to plan without one from a target's published counts, say where "
            f"with --out: fer balance --target {config.target or DEFAULT} --out {config.dataset}"
        )
    dataset = open_artifact(config.dataset, "dataset")
    inputs = [artifact_input("dataset", dataset)]
    out = place(config, config.out, dataset.path, inputs, progress)
    method = METHODS[config.method]
    with build(
        out, "dataset", config.stage, options=config.options(), inputs=inputs, seed=config.seed,
        overwrite=config.overwrite, resumable=method.resumable,
    ) as job:  # fmt: skip
        if job.done:
            return job.done
        rows = read_index(dataset)
        emotions = in_order({*dataset.manifest.emotions, *emotions_of(rows)})
        splits = config.splits.split(",")
        plan = make_plan(_have(dataset, rows, emotions, splits), config.policy, splits, method.way)
        _refuse_empty(dataset, plan)
        _tell_of_emotions(config, emotions, progress)
        target = TARGETS[config.target] if config.target else None
        keeper = Keeper(dataset.path, job.folder, target, config.workers, progress)
        kept = keeper.keep(rows)
        if target and keeper.brought:
            progress.log(f"brought {keeper.brought:,} images to {target.size} x {target.size} {target.color}")
        work = Work(job, dataset, kept, keeper.constant, plan, config, progress)
        rows = kept + method.fill(work)
        _write_plan(job, plan, f"{dataset.path.resolve().name}, policy {config.policy}: before and after")
        job.finish(
            digest=write_index(job.folder, rows),
            emotions=emotions,
            counts=count(rows, emotions),
            summary={**_summary(plan), **work.summary},
            details=work.details,
            device=work.device,
        )
    return job.artifact


def _have(dataset: Artifact, rows: list[Row], emotions: list[str], splits: list[str]) -> Counts:
    """Return the labelled images by emotion, of all three splits.

    Raises:
        DataError: there is none, or none in a split that is to be filled.
    """
    if not emotions or not any(row.emotion and row.split in SPLITS for row in rows):
        raise DataError(f"{dataset.path}: no labelled image in it, so there are no classes to fill up")
    found = count([row for row in rows if row.emotion], emotions)
    for split in splits:
        if split not in found:
            raise DataError(
                f"{dataset.path}: no {split} split in it to fill; it has {', '.join(s for s in SPLITS if s in found)}"
            )
    return {split: found.get(split, dict.fromkeys(emotions, 0)) for split in SPLITS}


def _refuse_empty(dataset: Artifact, plan: Plan) -> None:
    """Raise DataError where a class is to be filled up from nothing, before anything is read."""
    for split, emotion, need in plan.classes():
        if need.augment and not need.have:
            raise DataError(
                f"{dataset.path}: {split} has no image to augment for {emotion} ({need.target:,} are wanted); add "
                f"some, take {emotion} out of the data set, or use --policy ratio, which only enlarges what there is"
            )


def _tell_of_emotions(config: BalanceConfig, emotions: list[str], progress: Progress) -> None:
    """Say which of the target's emotions the data set does not know, since nothing can be made of nothing."""
    if config.target is not None:
        target = TARGETS[config.target]
        if missing := [e for counts in target.counts.values() for e in counts if e not in emotions]:
            progress.log(f"no {', '.join(dict.fromkeys(missing))} in the data set, which {target.title} has: none made")


def _write_plan(job: Job, plan: Plan, title: str) -> None:
    write_text(job.folder / PLAN, plan.csv())
    (job.folder / PICTURE).write_bytes(balance_figure(plan, title))


def _summary(plan: Plan) -> dict[str, Any]:
    """Return the plan's summary; where another split than train is filled, with a note of what that means."""
    summary = plan.summary()
    if others := [split for split in plan.filled if split != "train"]:
        summary["note"] = (
            f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} filled up too: that is another benchmark, "
            "and figures measured on it compare with none that are published"
        )
    return summary
