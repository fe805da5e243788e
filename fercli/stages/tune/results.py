"""A study's files: trials.csv, best.toml, study.json and report.html."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from fercli._version import __version__
from fercli.artifacts import Artifact, write_text
from fercli.artifacts.building import ArtifactBuilder, now
from fercli.artifacts.digests import digest_file
from fercli.artifacts.tables import write_csv
from fercli.metrics.intervals import wilson_interval
from fercli.recipes.spaces import Choice, describe
from fercli.report.origins import lineage_items
from fercli.report.pages import render
from fercli.report.study_plots import Axis, Point, history_plot, importance_plot, parallel_plot, slices_plot
from fercli.sanitize import word_cell
from fercli.stages.tune.study import SharedStudy
from fercli.stages.tune.summary import HalfMetrics, StudySummary, TrialSummary
from fercli.stages.tune.worker import ranking, run_path

ROWS = 10
"""Trials in the report's table."""
_COLUMNS = (
    "trial", "state", "epochs", "best_epoch", "seconds", "accuracy", "macro_f1", "loss", "other_half_accuracy",
    "other_half_macro_f1", "other_half_loss", "run", "reason",
)  # fmt: skip


def finish_study(builder: ArtifactBuilder, shared: SharedStudy, pack: Artifact) -> None:
    """Write the files of a study whose trials are finished, and finish its artifact."""
    folder = builder.folder
    best = [_trial(trial, folder) for trial in ranking(shared)]
    summary = _summary(shared, best)
    names = [name for name in shared.config.dimensions if name != "epochs"]  # which has its own column
    write_csv(folder / "trials.csv", [*_COLUMNS, *names], _rows(shared, names, folder))
    write_text(folder / "study.json", json.dumps(dict(summary), indent=1) + "\n")
    if best:
        write_text(folder / "best.toml", _best_toml(shared, best[0], summary))
    points = [_point(trial) for trial in shared.finished()]
    history = history_plot(points, shared.config.select, minimise=shared.config.select == "loss")
    (folder / "history.png").write_bytes(history)
    write_text(folder / "report.html", _page(builder, shared, best, summary, pack, points, history))
    builder.finish(
        digest=digest_file(folder / "trials.csv"),
        emotions=pack.manifest.emotions,
        counts={"validation": pack.manifest.counts["validation"]},
        summary=summary,
        device=shared.config.device,
    )


def _point(trial: FrozenTrial) -> Point:
    value = trial.value if trial.state == TrialState.COMPLETE else None
    return Point(trial.number, trial.params, math.nan if value is None else value)


def _trial(trial: FrozenTrial, folder: Path) -> TrialSummary:
    run = run_path(folder, trial.number)
    return TrialSummary(
        number=trial.number,
        settings=trial.params,
        best_epoch=trial.user_attrs["best_epoch"],
        seconds=trial.user_attrs["seconds"],
        validation=_half(trial.user_attrs["validation"]),
        other_half=_half(trial.user_attrs["other_half"]),
        run=run.relative_to(folder).as_posix() if run.is_dir() else None,
    )


def _half(metrics: dict[str, Any]) -> HalfMetrics:
    n = metrics["n"]
    return HalfMetrics(**metrics, accuracy_interval=list(wilson_interval(round(metrics["accuracy"] * n), n)))


def _summary(shared: SharedStudy, best: list[TrialSummary]) -> StudySummary:
    states = [trial.state for trial in shared.finished()]
    select = shared.config.select
    optimism = None
    if best:
        sign = -1 if select == "loss" else 1
        optimism = sign * (best[0].validation[select] - best[0].other_half[select])
    return StudySummary(
        model=shared.config.model,
        search=shared.config.search,
        select=select,
        selection=f"the best of {len(best):,} complete trials by {select} on one half of validation",
        trials=len(states),
        complete=states.count(TrialState.COMPLETE),
        pruned=states.count(TrialState.PRUNED),
        failed=states.count(TrialState.FAIL),
        seconds=sum(trial.user_attrs.get("seconds", 0.0) for trial in shared.finished()),
        best=best[0] if best else None,
        optimism=optimism,
        importance=_importance(shared),
        **({"noise": shared.config.noise} if shared.config.noise else {}),
    )


def _importance(shared: SharedStudy) -> dict[str, float] | None:
    """Return the importance of the settings that took several values; None with fewer than four complete trials."""
    complete = [trial for trial in shared.finished() if trial.state == TrialState.COMPLETE]
    varied = [name for name in shared.config.dimensions if len({str(trial.params[name]) for trial in complete}) > 1]
    if len(complete) < 4 or not varied or len({trial.value for trial in complete}) == 1:
        return None
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    found = optuna.importance.get_param_importances(shared.study, evaluator=evaluator, params=varied)
    return {name: float(value) for name, value in found.items()}


def _rows(shared: SharedStudy, names: list[str], folder: Path) -> Iterator[list[Any]]:
    for trial in shared.finished():
        own = trial.user_attrs
        halves = [
            own.get(half, {}).get(key, "")
            for half in ("validation", "other_half")
            for key in ("accuracy", "macro_f1", "loss")
        ]
        run = run_path(folder, trial.number)
        yield [
            trial.number,
            trial.state.name.lower(),
            trial.params.get("epochs", shared.config.epochs),
            own.get("best_epoch", ""),
            f"{own['seconds']:.1f}" if "seconds" in own else "",
            *(f"{value:.6f}" if value != "" else "" for value in halves),
            run.relative_to(folder).as_posix() if run.is_dir() else "",
            word_cell(own.get("reason", "")),
            *(trial.params.get(name, "") for name in names),
        ]


def _best_toml(shared: SharedStudy, best: TrialSummary, summary: StudySummary) -> str:
    """Return the options of the best trial, for `fer train --config`."""
    options = shared.config.trial_options(dict(best.settings)).options()
    noise = [
        f"# Found with {share:.4g} of the training labels swapped, which these options do not do."
        for share in filter(None, [summary.noise])
    ]
    lines = [f"{name} = {_toml(value)}" for name, value in options.items() if value not in (None, [], ())]
    found = f"trial {best.number}, the best of {summary.complete} complete ones of {summary.trials}"
    figures = (
        f"# Validation accuracy {best.validation.accuracy:.2%} (n = {best.validation.n:,}) on the half that chose it, "
        f"{best.other_half.accuracy:.2%} (n = {best.other_half.n:,}) on the other half."
    )
    return (
        "\n".join(
            [
                f"# fer tune: {found}.",
                figures,
                *noise,
                "# fer train PACK RUN --config best.toml",
                *lines,
            ]
        )
        + "\n"
    )


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _page(
    builder: ArtifactBuilder,
    shared: SharedStudy,
    best: list[TrialSummary],
    summary: StudySummary,
    pack: Artifact,
    points: list[Point],
    history: bytes,
) -> str:
    config, space = shared.config, shared.config.dimensions
    axes = [
        Axis(
            name,
            dimension.values if isinstance(dimension, Choice) else None,
            not isinstance(dimension, Choice) and dimension.log,
        )
        for name, dimension in space.items()
    ]
    minimise = config.select == "loss"
    context = {
        "title": f"Search for {config.model}'s settings",
        "summary": summary,
        "space": {name: describe(dimension) for name, dimension in space.items()},
        "metric": config.select,
        "best": best[:ROWS],
        "history": history,
        "importance": importance_plot(summary.importance) if summary.importance else None,
        "slices": slices_plot(points, axes, config.select) if best else None,
        "parallel": parallel_plot(points, axes, config.select, minimise) if len(best) > 1 and len(axes) > 1 else None,
        "page": {"command": builder.manifest.command, "version": __version__, "device": config.device, "ended": now()},
        "lineage": lineage_items([pack]),
    }
    return render("study.html.j2", context)
