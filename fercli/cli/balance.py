"""`fer balance`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table

import fercli
from fercli.artifacts import Artifact
from fercli.cli.options import stage_command
from fercli.cli.output import name, table
from fercli.datasets.index import SPLITS
from fercli.stages.balance.config import BalanceConfig


def show(artifact: Artifact) -> Iterator[Any]:
    """Yield the plan, the unchanged splits, the results of the method, and the demographics of the prompts."""
    summary = {split: part for split, part in artifact.summary.items() if split in SPLITS}
    filled = [split for split in summary if any(_added(summary[split]).values())]
    filled = filled or artifact.manifest.options["splits"].split(",")
    yield _plan(summary, filled, "to generate" if artifact.manifest.kind == "plan" else "generated")
    if others := [split for split in summary if split not in filled]:
        yield f"[dim]{' and '.join(others)} not balanced[/dim]"
    if note := artifact.summary.get("note"):
        yield f"[yellow]{name(note)}[/yellow]"
    if generation := artifact.summary.get("generation"):
        yield from _generation(generation)
    if gan := artifact.summary.get("gan"):
        yield ""
        yield _gan(gan)
    if judgement := artifact.summary.get("judgement"):
        yield ""
        yield from _judgement(judgement)
    if artifact.summary["prompts"] and "people" in artifact.manifest.details:
        yield ""
        yield _people(artifact.manifest.details["people"])
        yield "counts differ by at most one, overall and within each emotion; see prompts.jsonl"


def _plan(summary: dict[str, Any], filled: list[str], generated: str) -> Table:
    """Return a table of classes (rows) by split (columns): images before and after."""
    rows = table("emotion", *summary)
    for column, split in zip(rows.columns[1:], summary, strict=True):
        column.style = "" if split in filled else "dim"
    emotions = next(iter(summary.values()))["have"]
    for emotion in emotions:
        rows.add_row(name(emotion), *(_step(p["have"][emotion], p["target"][emotion]) for p in summary.values()))
    sums = ({part: sum(p[part].values()) for part in ("have", "target")} for p in summary.values())
    rows.add_row("all", *(_step(s["have"], s["target"]) for s in sums), style="bold")
    rows.add_row("needed", *(f"{p['needed']:,}" for p in summary.values()))
    if any(sum(p["augment"].values()) for p in summary.values()):
        rows.add_row("augmented", *(f"{sum(p['augment'].values()):,}" for p in summary.values()))
    if any(sum(p["generate"].values()) for p in summary.values()):
        rows.add_row(generated, *(f"{sum(p['generate'].values()):,}" for p in summary.values()))
    return rows


def _added(part: dict[str, Any]) -> dict[str, int]:
    return {emotion: count + part["generate"][emotion] for emotion, count in part["augment"].items()}


def _generation(found: dict[str, Any]) -> Iterator[str]:
    rejected = ", ".join(f"{count:,} {name(reason)}" for reason, count in found["rejected"].items())
    yield f"generated {found['made']:,} by {name(found['generator'])} at {name(found['revision'][:12])}" + (
        f"; rejected {rejected}" if rejected else ""
    )
    yield from _unlike(found)
    if missing := found["missing"]:
        classes = ", ".join(f"{count:,} of {name(key)}" for key, count in missing.items())
        yield f"[yellow]missing: {classes}[/yellow]"


def _judgement(found: dict[str, Any]) -> Iterator[Any]:
    rows = table("judged", "agreement", "95 % interval", "real", "Fréchet", "real")
    for emotion, one in found["classes"].items():
        real, distance = one.get("validation"), one["frechet"]
        rows.add_row(
            name(emotion), *_agreed(one["generated"]), f"{real['share']:.1%}" if real else "",
            f"{distance['distance']:.3g}{'*' if distance['few'] else ''}" if distance else "",
            f"{distance['of_real']:.3g}" if distance else "",
        )  # fmt: skip
    rows.add_row("all", *_agreed(found["agreement"]), "", "", "", style="bold")
    yield rows
    yield f"[dim]by {name(found['checkpoint'])} ({name(found['architecture'])})[/dim]"
    yield "[dim]real: recall on validation; distance between equally many real images and the rest[/dim]"
    if any(one["frechet"] and one["frechet"]["few"] for one in found["classes"].values()):
        yield "[dim]* fewer images than features: a rough estimate[/dim]"


def _agreed(one: dict[str, Any]) -> tuple[str, str]:
    low, high = one["interval"]
    return f"{one['share']:.1%}", f"{low:.1%} to {high:.1%}"


def _unlike(found: dict[str, Any]) -> Iterator[str]:
    """Yield the emotions whose images were kept although they do not resemble faces."""
    if emotions := found.get("unlike_any_face"):
        yield f"[yellow]kept although they do not resemble the faces of train: {name(', '.join(emotions))}[/yellow]"


def _gan(gan: dict[str, Any]) -> str:
    """Return how long the GAN was trained, and how similar its faces are to the training faces."""
    near, held_out = gan["nearest_real"], gan["nearest_real_of_held_out"]
    lines = [
        f"GAN trained for {gan['steps']:,} steps ({gan['faces_seen']:,} faces, {gan['seconds']:,.0f} s); "
        f"{gan['made']:,} of {gan['drawn']:,} generated faces were accepted"
    ]
    lines += [f"{count:,} rejected: {name(reason)}" for reason, count in gan["rejected"].items()]
    lines.append(f"nearest training face: correlation {near['median']:.2f} (median) to {near['highest']:.2f}")
    if held_out["n"]:
        lines[-1] += f"; for real held-out faces {held_out['median']:.2f} to {held_out['highest']:.2f}"
    lines += _unlike(gan)
    return "\n".join([*lines, "inspect gan.png and gan-nearest.png before training with these images"])


def _step(have: int, target: int) -> str:
    return f"{have:,} → {target:,}" if target > have else f"{have:,}"


def _people(people: dict[str, Any]) -> Table:
    """Return the number of prompts by gender, age and origin, side by side."""
    rows = Table(box=None, pad_edge=False, header_style="dim")
    for heading in people:
        rows.add_column(heading)
        rows.add_column("prompts", justify="right")
    lists = [[(value, f"{counts['all']:,}") for value, counts in values.items()] for values in people.values()]
    for k in range(max(map(len, lists))):
        rows.add_row(*(cell for values in lists for cell in (values[k] if k < len(values) else ("", ""))))
    return rows


command = stage_command(
    BalanceConfig,
    fercli.balance,
    show,
    """Balance a dataset's classes by augmentation or generation, or plan from published class counts.

    Only train is balanced unless --splits says otherwise; the needs of all splits are shown. New images that are
    duplicates or near-duplicates of images in other splits are replaced or removed.

    Example: [bold]fer balance cleaned balanced --target fer2013[/bold]

    With a diffusion model: [bold]fer balance cleaned balanced --method generate --judge run[/bold]

    A plan to review or edit first: [bold]fer balance --target fer2013 --out plan[/bold]

    Only the plan's images: [bold]fer balance plan generated[/bold]

    The plan's images added to a dataset: [bold]fer balance cleaned balanced --method generate --plan plan[/bold]
    """,
)
