"""Balance: fill a data set up by augmentation, or plan from published counts what is to be generated."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fercli.artifacts import Artifact, artifact_input, key_of, open_artifact
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_file, digest_json
from fercli.artifacts.tables import write_csv
from fercli.datasets.index import SPLITS, Counts, Row, count, emotions_of, read_index, write_index
from fercli.emotions import in_order
from fercli.errors import DataError, UsageError
from fercli.generation.prompts.prompts import PROMPTS, SETTINGS, Prompt, draw_prompts, write_prompts
from fercli.generation.prompts.reading import read_prompts
from fercli.progress import SILENT, Progress
from fercli.stages.balance.chart import PICTURE, balance_figure
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.contact_sheet import SHEET, contact_sheet
from fercli.stages.balance.context import BalanceContext, check_method, fill, method_inputs
from fercli.stages.balance.copying import DatasetCopier
from fercli.stages.balance.judging import check_judge, judge, judge_input
from fercli.stages.balance.leak_repair import repair_leaks
from fercli.stages.balance.methods.registry import METHODS, SPECIAL, Method
from fercli.stages.balance.plan import COLUMNS, PLAN, Plan, make_plan
from fercli.stages.balance.saved_plan import plan_of, prompts_file, prompts_input, refuse_policy
from fercli.stages.balance.targets import DEFAULT, TARGETS
from fercli.stages.base import HOME, resolve_output


def balance(config: BalanceConfig, progress: Progress = SILENT) -> Artifact:
    """Fill the small classes of a data set up, or plan how those of a published one would be filled.

    With a data set, the images that are missing are made by the method, within their split; its images, and the plan,
    are in the new one. With a plan, the images of its prompts are generated, and are the new data set. Without either,
    the target's published counts are planned for, and what is missing is to be generated: `plan.csv` and
    `prompts.jsonl`. The newest data set is never taken by itself.

    What each split needs is told of all three; `splits` alone are filled. None loses an image. Afterwards nothing made
    stands, equal or nearly so, in another split.

    Returns:
        A dataset with `plan.csv` and `balance.png` in it, or a plan.

    Raises:
        DataError: the data set is missing or damaged, a class has no image to augment, or a prompt is wrong.
        UsageError: an option is wrong, or the output lies in the input.
        FerError: what the method needs is not here.
    """
    if config.dataset is None:
        made = _plan_only(config, progress)
    else:
        made = _fill(config, _open(config, config.dataset), progress)
    if note := made.summary.get("note"):
        progress.log(note)
    return made


def _plan_only(config: BalanceConfig, progress: Progress) -> Artifact:
    method = METHODS[config.method or "generate"]
    if method.way == "augment":
        raise UsageError(f"--method {method.name}: makes images of those there are; name a data set")
    if method.name not in ("generate", "mix"):
        raise UsageError(f"--method {method.name}: learns from a data set; name one")
    config = config.model_copy(update={"method": method.name})
    config.check_use()
    if given := sorted(config.model_fields_set & (SPECIAL - {"augment_share"})):
        raise UsageError(
            f"--{given[0].replace('_', '-')}: nothing is generated without a data set; name one, or a plan"
        )
    if config.target is None:
        config = config.model_copy(update={"target": DEFAULT})
        progress.log(f"no data set given: planning from the published counts of {TARGETS[DEFAULT].title}")
    target = TARGETS[config.target or DEFAULT]
    options = {name: value for name, value in config.options().items() if name not in SPECIAL - {"augment_share"}}
    out = config.out
    if out is None:
        out = HOME / f"{config.stage}-{target.name}-{key_of('plan', config.stage, options, [])[:6]}"
        progress.log(f"writing {out}")
    with build(
        out, "plan", config.stage, options=options, inputs=[], seed=config.seed, overwrite=config.overwrite
    ) as job:
        if job.done:
            return job.done
        plan = make_plan(target.counts, config.policy, config.splits.split(","), method.way, config.augment_share)
        write_csv(job.folder / PLAN, COLUMNS, plan.table())
        title = f"{target.title}, policy {config.policy}: what is to be generated"
        (job.folder / PICTURE).write_bytes(balance_figure(plan, title))
        people = write_prompts(
            job.folder / PROMPTS, draw_prompts(plan.to_generate(), config.seed), plan.summary()["prompts"], progress
        )
        emotions = list(next(iter(target.counts.values())))
        job.finish(
            digest=digest_json([digest_file(job.folder / name) for name in (PLAN, PROMPTS)]),
            emotions=emotions,
            summary=_summary(plan),
            details={"people": people.table(emotions), "generation": SETTINGS},
        )
    return job.artifact


def _open(config: BalanceConfig, path: Path) -> Artifact:
    if not path.exists():
        raise DataError(
            f"{path}: no such data set; to plan without one from a target's published counts, say where "
            f"with --out: fer balance --target {config.target or DEFAULT} --out {path}"
        )
    return open_artifact(path, "dataset", "plan")


def _fill(config: BalanceConfig, source: Artifact, progress: Progress) -> Artifact:
    """Fill a data set up, or make one of a plan."""
    alone = source.manifest.kind == "plan"
    method = METHODS[config.method or ("generate" if alone else "augment")]
    config = config.model_copy(update={"method": method.name})
    config.check_use()
    plan = source.path if alone else config.plan
    file = prompts_file(plan) if plan else None
    if alone and (config.plan or method.name != "generate"):
        raise UsageError(f"{source.path}: a plan; it is run by --method generate, without --plan")
    if file:
        refuse_policy(config)
        if method.way == "mix":
            raise UsageError("--plan: prompts say what is generated, nothing what is augmented; take --method generate")
    inputs = [prompts_input(file)] if file else []
    inputs = ([] if alone else [artifact_input("dataset", source)]) + inputs + method_inputs(method, config)
    inputs += [judge_input(config.judge)] if config.judge else []
    out = resolve_output(config, config.out, source.path, inputs, progress)
    with build(
        out, "dataset", config.stage, options=config.options(), inputs=inputs, seed=config.seed,
        overwrite=config.overwrite, resumable=method.resumable,
    ) as job:  # fmt: skip
        if job.done is None:
            _Filling(job, source, method, config, file, progress).run()
    return job.artifact


@dataclass
class _Filling:
    """One data set being made: of another one, or of a plan alone."""

    job: ArtifactBuilder
    source: Artifact
    method: Method
    config: BalanceConfig
    file: Path | None
    progress: Progress

    def run(self) -> None:
        job, config, source = self.job, self.config, self.source
        alone = source.manifest.kind == "plan"
        rows = [] if alone else read_index(source)
        emotions = in_order({*source.manifest.emotions, *emotions_of(rows)})
        prompts = read_prompts(self.file, emotions, {row.path.lower() for row in rows}) if self.file else []
        plan = self._plan(rows, emotions, prompts)
        check_method(self.method, source.path, rows, plan)
        if config.judge:
            check_judge(config.judge, [e for _, e, need in plan.classes() if need.generate])
        name = config.target or (source.manifest.options.get("target") if alone else None) or (alone and DEFAULT)
        target = TARGETS.get(name) if isinstance(name, str) else None
        keeper = DatasetCopier(source.path, job.folder, target, config.workers, self.progress)
        kept = keeper.keep(rows)
        if target and keeper.brought:
            self.progress.log(f"brought {keeper.brought:,} images to {target.size} x {target.size} {target.color}")
        form = (target.size, target.color) if target else None
        work = BalanceContext(job, source, kept, keeper.constant, plan, config, self.progress, form, prompts)
        made = repair_leaks(work, fill(self.method, work))
        rows = kept + made
        if generated := [row for row in rows if row.origin == "generated"]:
            (job.folder / SHEET).write_bytes(contact_sheet(job.folder, generated))
        if config.judge:
            judge(work, rows)
        write_csv(job.folder / PLAN, COLUMNS, plan.table())
        ways = (count([row for row in made if row.origin == way], emotions) for way in ("augmented", "generated"))
        title = f"{source.path.resolve().name}, {_how(config, plan)}: before and after"
        (job.folder / PICTURE).write_bytes(balance_figure(plan.made(*ways), title, made=True))
        job.finish(
            digest=write_index(job.folder, rows),
            emotions=emotions,
            counts=count(rows, emotions),
            summary={**_summary(plan), **work.summary},
            details=work.details,
            device=work.device,
        )

    def _plan(self, rows: list[Row], emotions: list[str], prompts: list[Prompt]) -> Plan:
        """Return what each class gets: by the policy, or by the prompts that are to be run."""
        config = self.config
        if self.file:
            return plan_of(prompts, count([row for row in rows if row.emotion], emotions), emotions)
        splits = config.splits.split(",")
        have = _have(self.source, rows, emotions, splits)
        plan = make_plan(have, config.policy, splits, self.method.way, config.augment_share)
        _refuse_empty(self.source, plan)
        _tell_of_emotions(config, emotions, self.progress)
        return plan


def _how(config: BalanceConfig, plan: Plan) -> str:
    return f"policy {config.policy}" if config.plan is None else f"{plan.summary()['prompts']:,} prompts"


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


def _summary(plan: Plan) -> dict[str, Any]:
    """Return the plan's summary; where another split than train is filled, with a note of what that means."""
    summary = plan.summary()
    if others := [split for split in plan.filled if split != "train"]:
        summary["note"] = (
            f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} filled up too: that is another benchmark, "
            "and figures measured on it compare with none that are published"
        )
    return summary
