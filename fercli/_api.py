"""The public functions, each made from one line of a table and its stage's config.

A config's fields become the function's keywords: `inspect.signature` and `help` show every option with its type,
default and description. `python -m fercli._stubs` writes the same into `__init__.pyi`, for type checkers and editors.
"""

from __future__ import annotations

import os
import textwrap
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from importlib import import_module
from inspect import Parameter, Signature
from operator import or_
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BeforeValidator, PlainValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from fercli.progress import Progress, progress_of
from fercli.recipes import Settings
from fercli.results import result_of
from fercli.stages.base import Accepts, StageConfig
from fercli.stages.options import path_text, path_text_or_none

StrPath = str | os.PathLike[str]
WIDTH = 112
"""Columns of a docstring's lines."""
PROGRESS = (
    "Progress callback. By default a plain bar is drawn in a notebook and where stderr is a terminal; False draws none."
)
STREAM = "Return an iterator that yields each row as it is found, and keeps none."


@dataclass(frozen=True)
class Function:
    """A public function.

    Attributes:
        config: Its stage's config, as "stage folder:class".
        positional: The fields that may be given by position.
        returns: Its return type, as written in the stub.
        doc: What it does, in a line, and what else there is to know.
        cases: Overloads: a parameter, its type, whether that is the default's, and what is returned then.
    """

    config: str
    positional: tuple[str, ...]
    returns: str
    doc: str
    cases: tuple[tuple[str, str, bool, str], ...] = ()

    def load(self) -> type[StageConfig]:
        """Import the config."""
        stage, _, name = self.config.partition(":")
        config: type[StageConfig] = getattr(import_module(f"fercli.stages.{stage}.config"), name)
        return config


FUNCTIONS = {
    "sample": Function(
        "sample:SampleConfig",
        ("out",),
        "Photographs",
        "Draw photographs with faces that show the seven emotions: data for those who have none.",
    ),
    "import_dataset": Function(
        "import_dataset:ImportConfig",
        ("source", "out"),
        "Dataset[ImportSummary]",
        "Make a dataset of a published one, or of folders of pictures.",
    ),
    "detect": Function(
        "detect:DetectConfig",
        ("photographs", "out"),
        "Dataset[DetectSummary]",
        "Find the faces in photographs and cut them out as squares of one size.",
    ),
    "clean": Function(
        "clean:CleanConfig",
        ("dataset", "out"),
        "Dataset[CleanSummary] | Report",
        "Find duplicates, conflicts and constant images; write a dataset without leaking copies.",
        cases=(
            ("report_only", "Literal[False]", True, "Dataset[CleanSummary]"),
            ("report_only", "Literal[True]", False, "Report"),
        ),
    ),
    "balance": Function(
        "balance:BalanceConfig",
        ("dataset", "out"),
        "Dataset[BalanceSummary] | Plan",
        "Fill a dataset's small classes up by augmentation or generation, or plan what is to be generated.",
        cases=(
            ("dataset", "None", True, "Plan"),
            ("dataset", "StrPath", False, "Dataset[BalanceSummary]"),
        ),
    ),
    "pack": Function(
        "pack:PackConfig",
        ("dataset", "out"),
        "Pack",
        "Write a dataset as one file that trains fast.",
    ),
    "train": Function(
        "train:TrainConfig",
        ("pack", "out"),
        "Run",
        "Train a model by its recipe, the best epoch chosen on validation alone.",
    ),
    "evaluate": Function(
        "evaluate:EvaluateConfig",
        ("checkpoint", "pack", "out"),
        "Evaluation[EvaluationSummary]",
        "Measure a checkpoint, or published weights, on a split of a pack.",
    ),
    "ensemble": Function(
        "ensemble:EnsembleConfig",
        ("checkpoints", "out"),
        "Evaluation[EnsembleSummary]",
        "Measure several checkpoints together on a split of a pack, beside the best of them.",
    ),
    "explain": Function(
        "explain:ExplainConfig",
        ("checkpoint", "images", "out"),
        "Explanation[HeatmapSummary] | Explanation[WeightsSummary]",
        'Show where a model looks in faces, or which features its last layers weigh (`method="weights"`).',
        cases=(
            ("method", 'Literal["gradcam"]', True, "Explanation[HeatmapSummary]"),
            ("method", 'Literal["weights"]', False, "Explanation[WeightsSummary]"),
        ),
    ),
    "predict": Function(
        "predict:PredictConfig",
        ("checkpoint", "source"),
        "Predictions | PredictionStream",
        "Predict the emotions of the faces in a photograph, a video, a folder of them, or before a webcam.\n\n"
        'for row in fercli.predict("run", "photographs").rows: ...          # all of them, in the end\n'
        'for row in fercli.predict("run", "webcam", stream=True): ...       # each one when it is found',
        cases=(
            ("stream", "Literal[False]", True, "Predictions"),
            ("stream", "Literal[True]", False, "PredictionStream"),
        ),
    ),
}


def make(name: str) -> Callable[..., Any]:
    """Return a public function."""
    function = FUNCTIONS[name]
    config = function.load()
    signature = signature_of(name)
    # What is neither positional nor the function's own goes to the config, which names a wrong option's right one.
    named = (*function.positional, "progress", "stream")
    own = [parameter for parameter in signature.parameters.values() if parameter.name in named]
    call = Signature([*own, Parameter("options", Parameter.VAR_KEYWORD)])

    def public(*arguments: Any, **keywords: Any) -> Any:
        try:
            given = dict(call.bind(*arguments, **keywords).arguments)
        except TypeError as error:
            raise TypeError(f"{name}(): {error}") from None
        values = given.pop("options", {}) | given
        progress, stream = progress_of(values.pop("progress", None)), values.pop("stream", False)
        values = {key: _several(config, key, value) for key, value in values.items()}
        return _run(name, config.of(**values), progress, stream)

    public.__name__ = public.__qualname__ = name
    public.__module__ = "fercli"
    public.__doc__ = docstring(name)
    public.__signature__ = signature  # type: ignore[attr-defined]
    return public


def _run(name: str, config: StageConfig, progress: Progress, stream: bool) -> Any:
    stage = import_module(f"{type(config).__module__.rpartition('.')[0]}.stage")
    if name == "predict":
        return stage.PredictionStream(config, progress) if stream else stage.predict(config, progress)
    return result_of(getattr(stage, name)(config, progress))


def _several(config: type[StageConfig], name: str, value: Any) -> Any:
    """Return one path that is given where several may be as a tuple of it."""
    field = config.model_fields.get(name)
    if field is None or field.annotation != tuple[Path, ...] or value is None:
        return value
    return (value,) if isinstance(value, str | os.PathLike) else tuple(value)


def signature_of(name: str) -> Signature:
    """Return a public function's signature: every option by name, with what it accepts and its default."""
    function = FUNCTIONS[name]
    config = function.load()
    parameters = [_parameter(config, field, Parameter.POSITIONAL_OR_KEYWORD) for field in function.positional]
    if name == "predict":
        parameters.append(Parameter("stream", Parameter.KEYWORD_ONLY, default=False, annotation=bool))
    progress = Progress | bool | None
    parameters += [_parameter(config, field, Parameter.KEYWORD_ONLY) for field in keywords_of(name)]
    parameters.append(Parameter("progress", Parameter.KEYWORD_ONLY, default=None, annotation=progress))
    return Signature(parameters, return_annotation=function.returns)


def keywords_of(name: str) -> list[str]:
    """Return the fields that are given by name alone: a stage's own, then the recipe's settings."""
    function = FUNCTIONS[name]
    config = function.load()
    fields = [field for field in config.model_fields if field not in function.positional]
    return sorted(fields, key=lambda field: _of_recipe(config, field))


def docstring(name: str) -> str:
    """Return a public function's docstring: what it does, and each option's description."""
    function = FUNCTIONS[name]
    config = function.load()
    told = [(field, describe(config, field)) for field in function.positional]
    told += [("stream", STREAM)] if name == "predict" else []
    told += [(field, describe(config, field)) for field in keywords_of(name)] + [("progress", PROGRESS)]
    lines = [
        textwrap.fill(f"{field}: {text}", WIDTH, initial_indent="    ", subsequent_indent="        ")
        for field, text in told
    ]
    raises = "    fercli.errors.FerError: in one line, what is wrong and what to do."
    return "\n".join([function.doc, "", "Args:", *lines, "", "Raises:", raises]) + "\n"


def describe(config: type[StageConfig], name: str) -> str:
    """Return a field's description as a sentence; for a recipe's setting with the default that it has."""
    text = (config.model_fields[name].description or "").rstrip(".")
    return f"{text} (default: the recipe's)." if _of_recipe(config, name) else f"{text}."


def _of_recipe(config: type[StageConfig], name: str) -> bool:
    """Tell whether the model's recipe says an option that a call leaves out."""
    return issubclass(config, Settings) and name in Settings.model_fields


def _parameter(config: type[StageConfig], name: str, kind: Any) -> Parameter:
    field = config.model_fields[name]
    if _of_recipe(config, name):
        return Parameter(name, kind, default=None, annotation=accepts(field) | None)
    default = Parameter.empty if field.is_required() else field.get_default()
    return Parameter(name, kind, default=default, annotation=accepts(field))


def accepts(field: FieldInfo) -> Any:
    """Return what a call may give for a field: often more than the type of its value."""
    for item in field.metadata:
        if isinstance(item, Accepts):
            return item.type
        if isinstance(item, PlainValidator) and item.func in (path_text, path_text_or_none):
            return StrPath if item.func is path_text else StrPath | None
        if isinstance(item, BeforeValidator) and item.json_schema_input_type is not PydanticUndefined:
            return _accepted(item.json_schema_input_type)
    known = _accepted(field.annotation)
    parsed = any(isinstance(item, BeforeValidator) for item in field.metadata)
    return known | str if parsed and str not in (known, *get_args(known)) else known


def _accepted(kind: Any) -> Any:
    """Return the type of values that pydantic takes for a type's."""
    if kind is Path:
        return StrPath
    if get_origin(kind) is tuple:
        item = _accepted(get_args(kind)[0])
        return reduce(or_, (item, types.GenericAlias(Iterable, (item,))))
    if get_origin(kind) in (Union, types.UnionType):
        return reduce(or_, map(_accepted, get_args(kind)))
    return kind
