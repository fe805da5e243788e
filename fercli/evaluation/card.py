"""Model cards: what a model is, how it was made, how good it is, and what it is not for.

After M. Mitchell et al., "Model cards for model reporting" (FAT* 2019).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fercli.artifacts import Artifact, is_artifact, open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, UsageError, one_line
from fercli.evaluation.summary import ClassSummary, EvaluationSummary
from fercli.exported import PROGRAM, find_exported, is_exported
from fercli.files import read_bytes
from fercli.hub.address import is_address, parse_address
from fercli.models.checkpoints import CheckpointMetadata, checkpoint_folder, load_checkpoint, read_metadata
from fercli.models.onnx_module import OnnxModule
from fercli.models.registry import find_model
from fercli.pretrained import CARD, find_pretrained, is_pretrained, read_card
from fercli.recipes import load_recipe
from fercli.runs import display_path, is_run_checkpoint, model_name
from fercli.sanitize import replace_unprintable, without_folders

TERMS = {
    "fer2013": "FER2013's images were collected from the web for the ICML 2013 challenge and are for research",
    "ferplus": "FER+'s votes are under the MIT licence; the images are those of FER2013, for research",
    "raf-db": "RAF-DB is for non-commercial research, by agreement with its authors",
    "affectnet": "AffectNet is for research, by agreement with its authors",
    "expw": "ExpW is for non-commercial research",
    "sfew": "SFEW is for research, by agreement with its authors",
    "ckplus": "CK+ is for research, by agreement with its authors",
    "jaffe": "JAFFE is for non-commercial research, by agreement with its authors",
}
"""The terms of published datasets, by the first part of their reader's name."""
NOT_FOR = """\
- Deciding about people: hiring, school, police, borders, health, credit, advertising, or watching people who have not
  agreed. In the European Union, inferring emotions at work and in education is forbidden, except for medical and safety
  reasons (AI Act, article 5).
- Reading what somebody feels. It predicts which word annotators would choose for the picture of a face. What a face
  shows and what a person feels often differ, and how depends on the person, the situation and the culture."""


def model_card(model: Path, evaluations: Sequence[Path] = (), *, called: str = "") -> str:
    """Return a model's card, in Markdown.

    Args:
        model: A run, a checkpoint, one on the hub, or an exported model or one of fercli's own, which have their card
            with them.
        evaluations: Evaluations of it, whose figures the card shows; the first one also by emotion.
        called: How its users call it; empty: as it is called here.

    Raises:
        DataError: an artifact is missing or damaged, or an evaluation is of another model.
        UsageError: evaluations are given for a model that has its card with it.
    """
    if find_pretrained(model) is None and (is_exported(model) or _holds_program(model)):
        if evaluations:
            raise UsageError(f"card: {model} has its card with it; leave out the evaluations")
        return replace_unprintable(_exported_card(model))
    folder = checkpoint_folder(model)
    if is_pretrained(folder):
        if evaluations:
            raise UsageError(f"card: {folder.name} has its card with it; leave out the evaluations")
        return read_card(folder.name)
    checkpoint, metadata = open_artifact(folder, "checkpoint"), read_metadata(folder)
    inside = is_run_checkpoint(folder) and is_artifact(folder.parent)
    run = open_artifact(folder.parent) if inside else None
    found = [read_evaluation(path, checkpoint) for path in evaluations]
    called = called or model_name(folder)
    name = parse_address(called).name if is_address(called) else called
    lines = [
        f"# {name}",
        "",
        *_summary(called, metadata, run),
        *figures_section(found, metadata),
        *_making(run or checkpoint, metadata),
        *_terms(run or checkpoint, metadata),
        "## Not for",
        "",
        NOT_FOR,
        "",
        *_limits(found, metadata),
    ]
    return replace_unprintable("\n".join(lines) + "\n")


def _holds_program(path: Path) -> bool:
    return (path / PROGRAM).is_file()


def _exported_card(path: Path) -> str:
    """Return the card that an exported model has in its folder, or in its file if that is alone."""
    artifact = open_artifact(path, "export") if _holds_program(path) else find_exported(path)[1]
    if artifact is not None:
        return read_bytes(artifact.path / CARD).decode("utf-8", "replace")
    module = load_checkpoint(path).model
    assert isinstance(module, OnnxModule)
    return module.card


def read_evaluation(path: Path, checkpoint: Artifact) -> tuple[str, EvaluationSummary]:
    """Return what an evaluation was made on, and its summary.

    Raises:
        DataError: it is damaged, or of another model.
    """
    artifact = open_artifact(path, "evaluation")
    if checkpoint.manifest.digest not in [item.digest for item in artifact.manifest.inputs]:
        raise DataError(
            f"{path}: is not an evaluation of {display_path(checkpoint.path)}; evaluate that, or leave it out"
        )
    if artifact.manifest.stage != "evaluate":
        raise DataError(f"{path}: is an evaluation of an ensemble, not of one model; evaluate that, or leave it out")
    try:
        summary = EvaluationSummary(**artifact.summary)
    except ValueError as error:
        raise DataError(f"{path}: its summary is not that of an evaluation; evaluate again") from error
    pack = next((one.name for one in ancestors(artifact) if one.kind == "pack" and one.depth == 1), "")
    return f"{pack} {summary.split}".strip(), summary


def _summary(name: str, metadata: CheckpointMetadata, run: Artifact | None) -> Iterator[str]:
    size, color = metadata.face_format
    parameters = run.summary.get("parameters") if run else None
    counted = f", {parameters:,} parameters" if isinstance(parameters, int) else ""
    yield f"{len(metadata.emotions)} emotions, recognised on pictures of faces."
    yield ""
    yield f"    fer predict {shlex.quote(name)} photo.jpg"
    yield f'    fercli.load({json.dumps(name, ensure_ascii=False)}).predict("photo.jpg")'
    yield ""
    faces = f"{'grey' if color == 'gray' else 'RGB'} faces of {size} px"
    yield f"- Architecture: `{metadata.architecture}`{counted}; {faces}."
    yield f"- Emotions, in order: {', '.join(metadata.emotions)}."
    if metadata.temperature != 1:
        yield f"- Probabilities are calibrated: logits are divided by {metadata.temperature:.3f}, fitted on validation."
    yield ""


def _figures_table(rows: Sequence[tuple[str, EvaluationSummary]]) -> Iterator[str]:
    """Yield a table of evaluations: accuracy with its interval, macro F1 and calibration."""
    yield "| data | n | test-time augmentation | accuracy | 95 % interval | macro F1 | ECE (before) |"
    yield "|---|---|---|---|---|---|---|"
    for data, s in rows:
        low, high = s.accuracy_interval
        calibration = s.calibration
        error = "" if calibration is None else f"{calibration.error:.3f}"
        if calibration is not None and calibration.raw_error is not None:
            error += f" ({calibration.raw_error:.3f})"
        figures = (f"{s.n:,}", s.tta, f"{s.accuracy:.1%}", f"{low:.1%} to {high:.1%}", f"{s.macro_f1:.3f}", error)
        yield f"| {_cell(data)} | {' | '.join(figures)} |"


def classes_table(per_class: Mapping[str, ClassSummary]) -> Iterator[str]:
    """Yield a table of the metrics of each emotion."""
    yield "| emotion | n | precision | recall | F1 |"
    yield "|---|---|---|---|---|"
    for emotion, own in per_class.items():
        ratios = ("none" if value is None else f"{value:.3f}" for value in (own.precision, own.recall, own.f1))
        yield f"| {_cell(emotion)} | {own.support:,} | {' | '.join(ratios)} |"


def figures_section(found: Sequence[tuple[str, EvaluationSummary]], metadata: CheckpointMetadata) -> Iterator[str]:
    """Yield the section with the figures of evaluations, each with a name of its data, and the paper's claims."""
    yield "## Figures"
    yield ""
    if not found:
        accuracy = metadata.validation.get("validation_accuracy")
        known = f"; on validation, on which its epoch was selected, its accuracy was {accuracy:.1%}" if accuracy else ""
        yield f"Not evaluated{known}."
        yield ""
    else:
        yield "ECE: expected calibration error with 15 bins, in brackets before calibration."
        yield ""
        yield from _figures_table(found)
        data, first = found[0]
        yield from ("", f"By emotion, on {data}:", "")
        yield from classes_table(first.per_class)
        yield ""
        for data, summary in found:
            if summary.groups is not None:
                yield from (f"By {summary.groups.by}, on {data}:", "", "| group | n | accuracy | 95 % interval |")
                yield "|---|---|---|---|"
                for name, group in summary.groups.groups.items():
                    low, high = group.accuracy_interval
                    yield f"| {_cell(name)} | {group.n:,} | {group.accuracy:.1%} | {low:.1%} to {high:.1%} |"
                yield ""
    claims = load_recipe(find_model(metadata.architecture).recipe_file).claims_of(metadata.architecture)
    for claim in claims:
        yield (
            f"The paper says {claim.accuracy:g} % on {claim.dataset}, {claim.split} ({claim.protocol}), of other "
            "weights than these."
        )
        yield ""


def _making(made: Artifact, metadata: CheckpointMetadata) -> Iterator[str]:
    m = made.manifest
    yield "## How it was made"
    yield ""
    if m.command:
        yield from (f"    {without_folders(m.command)}", "")
    images = {split: sum(by_emotion.values()) for split, by_emotion in m.counts.items()}
    if images:
        yield f"- Images: {', '.join(f'{count:,} of {split}' for split, count in images.items())}."
    yield f"- Epoch: {metadata.epoch}, {metadata.selection or 'selection unknown'}."
    if m.seed is not None:
        yield f"- Seed {m.seed}, fercli {m.fercli}. Digest of the weights and their metadata: `{m.digest}`."
    for one in ancestors(made):
        yield f"{'  ' * (one.depth - 1)}- From {one.kind} {one.name}, `{one.input.digest[:12]}`" + (
            ", as above" if one.repeated else ""
        )
    yield ""


def _terms(made: Artifact, metadata: CheckpointMetadata) -> Iterator[str]:
    yield "## Terms"
    yield ""
    known = [text for source in imported_formats(made) if (text := _terms_of(source))]
    yield from (f"- {text}." for text in known)
    if metadata.drawn_faces:
        yield "- It was trained on faces that fercli drew, which are free to use: it is for trying out fercli."
    if not known and not metadata.drawn_faces:
        yield "- The terms of the training data are not known to fercli; ask where they come from."
    yield "- No image is part of the model's files. Whether the terms of the data cover a use is for the user to judge."
    yield ""


def imported_formats(made: Artifact) -> list[str]:
    """Return the readers of the published datasets from which an artifact was made, each once."""
    found = [one.manifest for one in ancestors(made) if one.manifest and one.manifest.stage == "import"]
    return list(dict.fromkeys(str(manifest.options.get("format") or "") for manifest in found))


def _terms_of(source: str) -> str:
    return next((text for name, text in TERMS.items() if source.startswith(name)), "")


def _limits(found: Sequence[tuple[str, EvaluationSummary]], metadata: CheckpointMetadata) -> Iterator[str]:
    yield "## Known limits"
    yield ""
    if not any(summary.groups for _, summary in found):
        yield (
            "- Differences between groups of people (age, gender, origin) were not measured here; assume that there "
            "are some. `fer evaluate --by` measures them where groups are known."
        )
    if found:
        weak = [e for e, own in found[0][1].per_class.items() if own.recall is not None and own.recall < 0.5]
        if weak:
            yield f"- It recognises less than half of: {', '.join(weak)}."
    if missing := [emotion for emotion in EMOTIONS if emotion not in metadata.emotions]:
        yield f"- It never answers {', '.join(missing)}."
    yield f"- It was trained on faces of {metadata.face_format[0]} px: details of larger faces are not used."


def _cell(text: str) -> str:
    """Return a name as a cell of a table."""
    return one_line(text).replace("|", "\\|")
