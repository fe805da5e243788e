"""The model card for the hub: fercli's card after the metadata by which the hub lists and finds models.

The hub has no field for intervals: a metric's name and arguments have them (`model-index`, as in Papers with Code).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fercli.artifacts import open_artifact
from fercli.errors import UsageError
from fercli.evaluation.card import TERMS, figures_section, imported_formats, model_card
from fercli.evaluation.summary import EvaluationSummary
from fercli.exported import ONNX
from fercli.files import read_bytes
from fercli.hub.address import HubAddress
from fercli.hub.library import import_library
from fercli.pretrained import CARD, is_pretrained, read_figures
from fercli.publishing.files import Source
from fercli.sanitize import replace_unprintable

README = "README.md"
TASK = "image-classification"
Found = Sequence[tuple[str, EvaluationSummary]]
"""Evaluations: what each was made on, and its summary."""


def hub_card(
    source: Source, address: HubAddress, evaluations: Sequence[Path], found: Found, pages: Sequence[str], licence: str
) -> str:
    """Return the contents of README.md.

    Args:
        source: The model.
        address: Where it is published.
        evaluations: Evaluations of it.
        found: The same, read.
        pages: The paths of their pages in the repository.
        licence: The licence's identifier on the hub; empty: other, with the terms of the data.

    Raises:
        UsageError: the licence is not an identifier.
        FerError: huggingface_hub is not installed.
    """
    text = _text(source, address, evaluations, found)
    if pages:
        links = "".join(f"- [{data}]({page})\n" for (data, _), page in zip(found, pages, strict=True))
        text = f"{text.rstrip()}\n\n## Pages of the evaluations\n\n{links}"
    return f"---\n{_metadata(source, address, evaluations, found, licence)}\n---\n\n{text}"


def _text(source: Source, address: HubAddress, evaluations: Sequence[Path], found: Found) -> str:
    folder = source.checkpoint.path
    if not source.exported:
        return model_card(folder, evaluations, called=str(HubAddress(address.owner, address.name)))
    card = read_bytes(source.artifact.path / CARD).decode("utf-8", "replace")
    s = source.artifact.summary
    use = (
        f"\n## {ONNX}\n\nThe model as `fer export` wrote it ({s.get('precision')}), with preprocessing and calibration "
        "inside, compared with its checkpoint in `parity.csv`. `example.py` and `example.js` use it without fercli. To "
        f"use it with fercli, download the file:\n\n    fer predict {ONNX} photo.jpg\n"
    )
    figures = "\n".join(figures_section(found, source.metadata)).replace("## Figures", f"## Figures of {ONNX}")
    return replace_unprintable(f"{card.rstrip()}\n{use}" + (f"\n{figures.rstrip()}\n" if found else ""))


def _metadata(source: Source, address: HubAddress, evaluations: Sequence[Path], found: Found, licence: str) -> str:
    """Return the metadata as YAML."""
    library = import_library()
    if licence and not re.fullmatch(r"[a-z0-9][a-z0-9.-]{0,63}", licence):
        raise UsageError(
            f"license: '{licence}' is not a licence of the hub; give an identifier such as mit or apache-2.0"
        )
    datasets = list(dict.fromkeys(map(_dataset, imported_formats(source.made))))
    results = list(_results(library.EvalResult, source, evaluations, found))
    terms: dict[str, Any] = {"license": licence}
    if not licence:
        url = f"{library.constants.ENDPOINT}/{address.repository}#terms"
        terms = {"license": "other", "license_name": "terms-of-the-training-data", "license_link": url}
    data = library.ModelCardData(
        **terms,
        library_name="fercli",
        pipeline_tag=TASK,
        tags=[
            "facial-expression-recognition",
            "emotion-recognition",
            source.metadata.architecture,
            *(["onnx"] if source.exported else []),
        ],
        **({"datasets": datasets} if datasets else {}),
        **({"model_name": address.name, "eval_results": results} if results else {}),
    )
    return str(data.to_yaml())


def _results(kind: Any, source: Source, evaluations: Sequence[Path], found: Found) -> Iterator[Any]:
    """Yield the metrics of each evaluation, as the hub's `EvalResult`."""
    for path, (data, s) in zip(evaluations, found, strict=True):
        formats = imported_formats(open_artifact(path, "evaluation"))
        common: dict[str, Any] = {
            "task_type": TASK,
            "task_name": "Facial expression recognition",
            "dataset_type": _dataset(formats[0]) if formats else _identifier(data),
            "dataset_name": data,
            "dataset_config": data,
            "dataset_split": s.split,
        }
        args = {"n": s.n, "test_time_augmentation": s.tta, "selection": s.selection}
        low, high = s.accuracy_interval
        yield kind(
            **common,
            metric_type="accuracy",
            metric_name=f"Accuracy (95 % interval {low:.1%} to {high:.1%}, n = {s.n:,})",
            metric_value=round(s.accuracy, 6),
            metric_args={**args, "interval_95": [round(low, 6), round(high, 6)]},
        )
        yield kind(
            **common,
            metric_type="f1",
            metric_name=f"Macro F1 over {s.averaged_over} emotions",
            metric_value=round(s.macro_f1, 6),
            metric_args={**args, "average": "macro"},
        )
        if s.calibration is not None:
            yield kind(
                **common,
                metric_type="expected_calibration_error",
                metric_name=f"Expected calibration error ({s.calibration.bins} bins)",
                metric_value=round(s.calibration.error, 6),
                metric_args=args,
            )
    if is_pretrained(source.checkpoint.path):
        for one in read_figures(source.checkpoint.path.name):
            low, high = one.interval
            yield kind(
                task_type=TASK,
                task_name="Facial expression recognition",
                dataset_type=_identifier(one.data),
                dataset_name=one.data,
                metric_type="accuracy",
                metric_name=f"Accuracy (95 % interval {low:.1%} to {high:.1%}, n = {one.n:,})",
                metric_value=round(one.accuracy, 6),
                metric_args={"n": one.n, "test_time_augmentation": one.tta, "interval_95": [low, high]},
            )


def _dataset(reader: str) -> str:
    """Return the name of a published dataset, by the name of its reader, which also names a layout."""
    return next((name for name in TERMS if reader.startswith(name)), _identifier(reader))


def _identifier(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unknown"
