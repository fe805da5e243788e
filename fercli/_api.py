"""The public functions, each created from a table entry and its stage's config.

The fields of the config become keywords: `inspect.signature` and `help` show every option with its type, default and
description. `python -m fercli._stubs` writes the same to `__init__.pyi`, for type checkers and editors.
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

from fercli.artifacts import Artifact
from fercli.progress import Progress, progress_of
from fercli.recipes import Settings
from fercli.results import result_of
from fercli.stages.base import Accepts, StageConfig
from fercli.stages.options import path_text, path_text_or_none

StrPath = str | os.PathLike[str]
WIDTH = 112
"""Line length of docstrings."""
PROGRESS = (
    "Progress callback. By default, a plain bar is shown in a notebook and if stderr is a terminal; False shows none."
)
STREAM = "Return an iterator that yields each row as soon as it is available, and keeps none."


@dataclass(frozen=True)
class Function:
    """A public function.

    Attributes:
        config: Its stage's config, as "stage package:class".
        positional: The fields that may be passed by position.
        returns: Its return type, as written in the stub.
        doc: Its docstring, up to the arguments.
        cases: Overloads: a parameter, its type, whether the default is of this type, and the return type.
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
        "Generate synthetic photographs of faces with the seven emotions, to try fercli without data.",
    ),
    "import_dataset": Function(
        "import_dataset:ImportConfig",
        ("source", "out"),
        "Dataset[ImportSummary]",
        "Import a published dataset or folders of images as a dataset.",
    ),
    "detect": Function(
        "detect:DetectConfig",
        ("photographs", "out"),
        "Dataset[DetectSummary]",
        "Detect the faces in photographs and videos, and crop them to squares of one size.",
    ),
    "clean": Function(
        "clean:CleanConfig",
        ("dataset", "out"),
        "Dataset[CleanSummary] | Report",
        "Find duplicates, label conflicts and constant images; write a dataset without leaking copies.",
        cases=(
            ("report_only", "Literal[False]", True, "Dataset[CleanSummary]"),
            ("report_only", "Literal[True]", False, "Report"),
        ),
    ),
    "balance": Function(
        "balance:BalanceConfig",
        ("dataset", "out"),
        "Dataset[BalanceSummary] | Plan",
        "Fill up the small classes of a dataset by augmentation or generation, or plan what to generate.",
        cases=(
            ("dataset", "None", True, "Plan"),
            ("dataset", "StrPath", False, "Dataset[BalanceSummary]"),
        ),
    ),
    "pack": Function(
        "pack:PackConfig",
        ("dataset", "out"),
        "Pack",
        "Pack a dataset into one HDF5 file for fast training.",
    ),
    "train": Function(
        "train:TrainConfig",
        ("pack", "out"),
        "Run",
        "Train a model by its recipe; the best epoch is selected on validation only.",
    ),
    "evaluate": Function(
        "evaluate:EvaluateConfig",
        ("checkpoint", "pack", "out"),
        "Evaluation[EvaluationSummary]",
        "Evaluate a checkpoint, or published weights, on a split of a pack.",
    ),
    "ensemble": Function(
        "ensemble:EnsembleConfig",
        ("checkpoints", "out"),
        "Evaluation[EnsembleSummary]",
        "Evaluate an ensemble of checkpoints on a split of a pack, against its best member.",
    ),
    "compare": Function(
        "compare:CompareConfig",
        ("sides", "out"),
        "Comparison",
        "Compare evaluations, runs, cross-validations, or groups of them, by the test that fits them.",
    ),
    "explain": Function(
        "explain:ExplainConfig",
        ("checkpoint", "images", "out"),
        "Explanation[HeatmapSummary] | Explanation[WeightsSummary]",
        'Explain a model by Grad-CAM heat maps of faces, or by the weights of its last layers (`method="weights"`).',
        cases=(
            ("method", 'Literal["gradcam"]', True, "Explanation[HeatmapSummary]"),
            ("method", 'Literal["weights"]', False, "Explanation[WeightsSummary]"),
        ),
    ),
    "predict": Function(
        "predict:PredictConfig",
        ("checkpoint", "source"),
        "Predictions | PredictionStream",
        "Predict the emotions of the faces in a photograph, a video, a folder of them, or a webcam stream.\n\n"
        'for row in fercli.predict("run", "photographs").rows: ...          # all rows at the end\n'
        'for row in fercli.predict("run", "webcam", stream=True): ...       # each row as soon as available',
        cases=(
            ("stream", "Literal[False]", True, "Predictions"),
            ("stream", "Literal[True]", False, "PredictionStream"),
        ),
    ),
}


def make(name: str) -> Callable[..., Any]:
    """Create a public function."""
    function = FUNCTIONS[name]
    config = function.load()
    signature = signature_of(name)
    # Other options go to the config, whose errors suggest the right name of a misspelled option.
    named = (*function.positional, "progress", "stream")
    explicit = [parameter for parameter in signature.parameters.values() if parameter.name in named]
    call = Signature([*explicit, Parameter("options", Parameter.VAR_KEYWORD)])

    def public(*arguments: Any, **keywords: Any) -> Any:
        try:
            given = dict(call.bind(*arguments, **keywords).arguments)
        except TypeError as error:
            raise TypeError(f"{name}(): {error}") from None
        values = given.pop("options", {}) | given
        progress, stream = progress_of(values.pop("progress", None)), values.pop("stream", False)
        values = {key: _as_tuple(config, key, _as_path(value)) for key, value in values.items()}
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


def _as_path(value: Any) -> Any:
    """Return the path of a result, so that one call's result can be passed to the next."""
    if isinstance(value, list | tuple):
        return type(value)(map(_as_path, value))
    return value.path if isinstance(value, Artifact) else value


def _as_tuple(config: type[StageConfig], name: str, value: Any) -> Any:
    """Return a value of a field of several paths as a tuple; other values unchanged."""
    field = config.model_fields.get(name)
    if field is None or field.annotation != tuple[Path, ...] or value is None:
        return value
    return (value,) if isinstance(value, str | os.PathLike) else tuple(value)


def signature_of(name: str) -> Signature:
    """Return a public function's signature: every option, with its accepted type and default."""
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
    """Return the keyword-only fields: the stage's own, then the recipe's settings."""
    function = FUNCTIONS[name]
    config = function.load()
    fields = [field for field in config.model_fields if field not in function.positional]
    return sorted(fields, key=lambda field: _from_recipe(config, field))


def docstring(name: str) -> str:
    """Return a public function's docstring, with the description of each option."""
    function = FUNCTIONS[name]
    config = function.load()
    described = [(field, describe(config, field)) for field in function.positional]
    described += [("stream", STREAM)] if name == "predict" else []
    described += [(field, describe(config, field)) for field in keywords_of(name)] + [("progress", PROGRESS)]
    lines = [
        textwrap.fill(f"{field}: {text}", WIDTH, initial_indent="    ", subsequent_indent="        ")
        for field, text in described
    ]
    raises = "    fercli.errors.FerError: one line that says what is wrong and what to do."
    return "\n".join([function.doc, "", "Args:", *lines, "", "Raises:", raises]) + "\n"


def describe(config: type[StageConfig], name: str) -> str:
    """Return a field's description as a sentence; for a recipe's setting with its default."""
    text = (config.model_fields[name].description or "").rstrip(".")
    return f"{text} (default: the recipe's)." if _from_recipe(config, name) else f"{text}."


def _from_recipe(config: type[StageConfig], name: str) -> bool:
    """Return whether the model's recipe provides the default of an option."""
    return issubclass(config, Settings) and name in Settings.model_fields


def _parameter(config: type[StageConfig], name: str, kind: Any) -> Parameter:
    field = config.model_fields[name]
    if _from_recipe(config, name):
        return Parameter(name, kind, default=None, annotation=accepts(field) | None)
    default = Parameter.empty if field.is_required() else field.get_default()
    return Parameter(name, kind, default=default, annotation=accepts(field))


def accepts(field: FieldInfo) -> Any:
    """Return the type that a call may pass for a field; often wider than the field's type."""
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
    """Return the type of the values that pydantic accepts for a type."""
    if kind is Path:
        return StrPath
    if get_origin(kind) is tuple:
        item = _accepted(get_args(kind)[0])
        return reduce(or_, (item, types.GenericAlias(Iterable, (item,))))
    if get_origin(kind) in (Union, types.UnionType):
        return reduce(or_, map(_accepted, get_args(kind)))
    return kind
