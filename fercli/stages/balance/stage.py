"""Balance: fill up a dataset, plan what to generate from published counts, or run such a plan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from fercli.artifacts import Artifact, Input, artifact_input, key_of, open_artifact
from fercli.artifacts.building import ArtifactBuilder, build
from fercli.artifacts.digests import digest_file, digest_json
from fercli.artifacts.summary import Summary
from fercli.artifacts.tables import write_csv
from fercli.datasets.index import Row, count, emotions_of, read_index, write_index
from fercli.emotions import in_order
from fercli.errors import DataError, UsageError
from fercli.evaluation.generation import check_judge, judge_input
from fercli.generation.prompts.file import PROMPTS, read_prompts, write_prompts
from fercli.generation.prompts.prompt import Prompt
from fercli.generation.prompts.sampling import SETTINGS, sample_prompts
from fercli.hub.fetching import located
from fercli.progress import SILENT, Progress
from fercli.stages.balance.chart import FIGURE, balance_figure
from fercli.stages.balance.config import BalanceConfig
from fercli.stages.balance.contact_sheet import SHEET, contact_sheet
from fercli.stages.balance.context import BalanceContext, check_method, fill, method_inputs
from fercli.stages.balance.copying import DatasetCopier
from fercli.stages.balance.dataset_plan import plan_dataset
from fercli.stages.balance.judging import judge
from fercli.stages.balance.leak_repair import repair_leaks
from fercli.stages.balance.methods.registry import METHODS, SPECIAL, Method
from fercli.stages.balance.plan import COLUMNS, PLAN, Plan, make_plan
from fercli.stages.balance.saved_plan import plan_from_prompts, prompts_file, prompts_input, refuse_policy
from fercli.stages.balance.summary import BalanceSummary
from fercli.stages.balance.targets import DEFAULT, TARGETS, Target
from fercli.stages.base import HOME, resolve_output


def balance(config: BalanceConfig, progress: Progress = SILENT) -> Artifact:
    """Fill up the small classes of a dataset, plan how to fill up those of a published one, or run a plan.

    With a dataset, the method creates the missing images within their split; the new dataset contains the old images,
    the new ones and the plan. With a plan, the images of its prompts are generated and form the new dataset. With
    neither, a plan is made from the target's published counts. The newest dataset is never picked automatically.

    The needs of all three splits are reported; only `splits` are filled. No split loses an image. No created image
    is an exact or near copy of an image in another split.

    Returns:
        A dataset containing `plan.csv` and `balance.png`, or a plan.

    Raises:
        DataError: the dataset is missing or damaged, a class has no image to augment, or a prompt is invalid.
        UsageError: an option is invalid, or the output is inside the input.
        FerError: a requirement of the method is not available.
    """
    if config.judge is not None:
        config = config.model_copy(update={"judge": located(config.judge)})
    if config.dataset is None:
        artifact = plan_published_counts(config, progress)
    else:
        source = _open_source(config)
        run = run_plan if source.manifest.kind == "plan" else fill_dataset
        artifact = run(config, source, progress)
    if note := artifact.summary.get("note"):
        progress.log(note)
    return artifact


# --- a plan without a dataset ---


def plan_published_counts(config: BalanceConfig, progress: Progress) -> Artifact:
    """Plan the images to generate from the target's published counts, and write their prompts."""
    method = METHODS[config.method or "generate"]
    if method.strategy == "augment":
        raise UsageError(f"--method {method.name}: augments existing images; give a dataset")
    if method.name not in ("generate", "mix"):
        raise UsageError(f"--method {method.name}: is trained on a dataset; give one")
    config = _with_method(config, method)
    if given := sorted(config.model_fields_set & (SPECIAL - {"augment_share"})):
        raise UsageError(f"--{given[0].replace('_', '-')}: nothing is generated without a dataset; give one, or a plan")
    if config.target is None:
        config = config.model_copy(update={"target": DEFAULT})
        progress.log(f"no dataset given: planning from the published counts of {TARGETS[DEFAULT].title}")
    target = TARGETS[config.target or DEFAULT]
    options = {name: value for name, value in config.options().items() if name not in SPECIAL - {"augment_share"}}
    out = config.out
    if out is None:
        out = HOME / f"{config.stage}-{target.name}-{key_of('plan', config.stage, options, [])[:6]}"
        progress.log(f"writing {out}")
    with build(
        out, "plan", config.stage, options=options, inputs=[], seed=config.seed, overwrite=config.overwrite
    ) as builder:
        if builder.done:
            return builder.done
        splits = config.splits.split(",")
        plan = make_plan(target.counts, config.policy, splits, method.strategy, config.augment_share)
        write_csv(builder.folder / PLAN, COLUMNS, plan.table())
        title = f"{target.title}, policy {config.policy}: images to generate"
        (builder.folder / FIGURE).write_bytes(balance_figure(plan, title))
        prompts = sample_prompts(plan.to_generate(), config.seed)
        demographics = write_prompts(builder.folder / PROMPTS, prompts, plan.prompts, progress)
        emotions = list(next(iter(target.counts.values())))
        builder.finish(
            digest=digest_json([digest_file(builder.folder / name) for name in (PLAN, PROMPTS)]),
            emotions=emotions,
            summary=_summarize(plan),
            details={"people": demographics.table(emotions), "generation": SETTINGS},
        )
    return builder.artifact


# --- a dataset ---


def fill_dataset(config: BalanceConfig, dataset: Artifact, progress: Progress) -> Artifact:
    """Fill up a dataset by the policy, or by the prompts of `--plan`."""
    method = METHODS[config.method or "augment"]
    config = _with_method(config, method)
    inputs = [artifact_input("dataset", dataset)]
    prompts_path = prompts_file(config.plan) if config.plan else None
    if prompts_path:
        refuse_policy(config)
        if method.strategy == "mix":
            raise UsageError(
                "--plan: its prompts define what is generated, but not what is augmented; use --method generate"
            )
        inputs.append(prompts_input(prompts_path))
    with _build(config, dataset, method, inputs, progress) as builder:
        if builder.done is None:
            rows = read_index(dataset)
            emotions = in_order({*dataset.manifest.emotions, *emotions_of(rows)})
            prompts: list[Prompt] = []
            if prompts_path:
                prompts = read_prompts(prompts_path, emotions, {row.path.lower() for row in rows})
                have = count([row for row in rows if row.emotion], emotions)
                plan = plan_from_prompts(prompts, have, emotions)
            else:
                plan = plan_dataset(dataset, rows, emotions, method, config, progress)
            target = TARGETS[config.target] if config.target else None
            _write_dataset(builder, dataset, rows, plan, prompts, method, config, target, progress)
    return builder.artifact


def run_plan(config: BalanceConfig, source: Artifact, progress: Progress) -> Artifact:
    """Generate the images of a plan's prompts as a separate dataset."""
    method = METHODS[config.method or "generate"]
    config = _with_method(config, method)
    if config.plan or method.name != "generate":
        raise UsageError(f"{source.path}: is a plan; run it with --method generate, and without --plan")
    refuse_policy(config)
    prompts_path = prompts_file(source.path)
    with _build(config, source, method, [prompts_input(prompts_path)], progress) as builder:
        if builder.done is None:
            emotions = in_order(set(source.manifest.emotions))
            prompts = read_prompts(prompts_path, emotions)
            name = config.target or source.manifest.options.get("target") or DEFAULT
            target = TARGETS.get(name) if isinstance(name, str) else None
            plan = plan_from_prompts(prompts, {}, emotions)
            _write_dataset(builder, source, [], plan, prompts, method, config, target, progress)
    return builder.artifact


# --- shared by both ---


def _open_source(config: BalanceConfig) -> Artifact:
    path = config.dataset
    assert path is not None
    if not path.exists():
        raise DataError(
            f"{path}: no such dataset; to plan without a dataset, from a target's published counts, name the output "
            f"with --out: fer balance --target {config.target or DEFAULT} --out {path}"
        )
    return open_artifact(path, "dataset", "plan")


def _with_method(config: BalanceConfig, method: Method) -> BalanceConfig:
    config = config.model_copy(update={"method": method.name})
    config.check_use()
    return config


def _build(
    config: BalanceConfig, source: Artifact, method: Method, inputs: Sequence[Input], progress: Progress
) -> AbstractContextManager[ArtifactBuilder]:
    """Start building the dataset; the inputs of the method and the judge are added to `inputs`."""
    inputs = [*inputs, *method_inputs(method, config)]
    inputs += [judge_input(config.judge)] if config.judge else []
    out = resolve_output(config, config.out, source.path, inputs, progress)
    return build(
        out, "dataset", config.stage, options=config.options(), inputs=inputs, seed=config.seed,
        overwrite=config.overwrite, resumable=method.resumable,
    )  # fmt: skip


def _write_dataset(
    builder: ArtifactBuilder,
    source: Artifact,
    rows: list[Row],
    plan: Plan,
    prompts: list[Prompt],
    method: Method,
    config: BalanceConfig,
    target: Target | None,
    progress: Progress,
) -> None:
    """Copy the images, create the missing ones, and write the dataset's files."""
    emotions = list(next(iter(plan.needs.values())))
    check_method(method, source.path, rows, plan)
    if config.judge:
        check_judge(config.judge, [e for _, e, need in plan.classes() if need.generate])
    copier = DatasetCopier(source.path, builder.folder, target, config.workers, progress)
    copied = copier.copy(rows)
    if target and copier.converted:
        progress.log(f"converted {copier.converted:,} images to {target.size} x {target.size} {target.color}")
    face_format = (target.size, target.color) if target else None
    context = BalanceContext(builder, source, copied, copier.constant, plan, config, progress, face_format, prompts)
    created = repair_leaks(context, fill(method, context))
    rows = copied + created
    if generated := [row for row in rows if row.origin == "generated"]:
        (builder.folder / SHEET).write_bytes(contact_sheet(builder.folder, generated))
    if config.judge:
        judge(context, rows)
    write_csv(builder.folder / PLAN, COLUMNS, plan.table())
    augmented, generated_counts = (
        count([row for row in created if row.origin == origin], emotions) for origin in ("augmented", "generated")
    )
    by = f"policy {config.policy}" if not prompts else f"{len(prompts):,} prompts"
    title = f"{source.path.resolve().name}, {by}: before and after"
    figure = balance_figure(plan.with_created(augmented, generated_counts), title, done=True)
    (builder.folder / FIGURE).write_bytes(figure)
    builder.finish(
        digest=write_index(builder.folder, rows),
        emotions=emotions,
        counts=count(rows, emotions),
        summary=_summarize(plan, **context.summary),
        details=context.details,
        device=context.device,
    )


def _summarize(plan: Plan, **parts: Summary) -> BalanceSummary:
    """Return the summary, with a note on what it means if a split other than train is filled."""
    others = [split for split in plan.filled if split != "train"]
    if not others:
        return plan.summary(**parts)
    note = (
        f"{' and '.join(others)} {'is' if len(others) == 1 else 'are'} filled up too: that makes it another "
        "benchmark, and results on it cannot be compared with published ones"
    )
    return plan.summary(note=note, **parts)
