"""What every stage's config is made of, and where its input and output lie when a call does not say.

A config is a frozen pydantic model whose fields are the stage's options. The command line is made from it: a field's
description is its help, its default its default. `Cli` says what the types cannot.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fercli.artifacts import MANIFEST, Artifact, Input, is_artifact, key_of, open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.artifacts.staging import check_disjoint as check_disjoint
from fercli.emotions import CONTEMPT, EMOTIONS, canonical
from fercli.errors import DataError, UsageError, explain
from fercli.files import as_text, kind_of
from fercli.progress import Progress
from fercli.videos.every import Every

HOME = Path("artifacts")
"""Where artifacts go and are looked for when a call names no place."""


@dataclass(frozen=True)
class Cli:
    """How a field stands on the command line, and whether it counts as an option of the artifact.

    Args:
        argument: A place among the positional arguments instead of a flag.
        flag: A flag besides its place, for calls that leave out an argument before it.
        metavar: What help calls the value.
        in_key: Whether another value makes another artifact. Inputs (counted by digest), the output's place, workers
            and device do not count.
        path: Whether its text may name a file or folder: an input, as any field that is a Path.
        added: Whether the option was added after artifacts without it existed: at its default it is left out of the
            options, so that those stay up to date.
    """

    argument: bool = False
    flag: bool = False
    metavar: str = ""
    in_key: bool = True
    path: bool = False
    added: bool = False


@dataclass(frozen=True)
class Accepts:
    """What a call from Python may give for a field, where its type does not say so (`fercli._api.accepts`)."""

    type: Any


Out = Annotated[
    Path | None, Field(description="Where the artifact goes."), Cli(argument=True, metavar="OUT", in_key=False)
]
OutOption = Annotated[Path | None, Field(description="Where the artifact goes."), Cli(metavar="OUT", in_key=False)]
"""`--out`, for commands whose positional arguments are several inputs."""
Overwrite = Annotated[bool, Field(description="Replace a different artifact at OUT."), Cli(in_key=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32, description="Seed of everything drawn at random.")]
Split = Annotated[
    Literal["train", "validation", "test", "all"],
    Field(description="Split to measure on, or all of them, of a pack that the run was not trained on"),
]
Tta = Annotated[
    Literal["none", "flip", "ten-crop"], Field(description="Views of a face whose predictions are averaged.")
]
SearchSize = Annotated[
    int | None,
    Field(
        ge=32,
        description="Longest side, pixels, at which photographs are searched for faces: more finds smaller ones and "
        "takes longer (default: as much as faces of the crops' size need).",
    ),
    Cli(metavar="N", added=True),
]
Turns = Annotated[
    bool,
    Field(description="Look for faces turned by 90, 180 and 270 degrees, too; they are cut out upright."),
    Cli(added=True),
]
FacesAtATime = Annotated[
    int, Field(ge=1, le=65_536, description="Faces at a time: speed and memory, not results."), Cli(in_key=False)
]


def _frame_step(value: object) -> object:
    """Return one way to write each distance of frames, so that 500ms and 0.5s, or 10 and 10f, are the same option."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return str(Every.parse(text)) if isinstance(text, str) else value


FrameStep = Annotated[
    str,
    BeforeValidator(_frame_step),
    Accepts(str | int),
    Field(description="Frames taken of videos: one every 1s, 0.5s, 250ms, or of every 10 (frames)."),
    Cli(metavar="TIME"),
]
Workers = Annotated[
    int | None,
    Field(ge=0, description="Threads or processes that work beside this one; 0: none (default: one a core)."),
    Cli(in_key=False),
]
Device = Annotated[
    str,
    Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps."),
    Cli(in_key=False),
]


def path_text(value: Any) -> str:
    """Validate text that may name a file: pydantic's own `str` takes no name that is not UTF-8, and no path."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError("input should be a valid string")
    if not (text := os.fsdecode(value)):
        raise ValueError("input should not be empty")
    return text


def path_text_or_none(value: Any) -> str | None:
    """Validate as `path_text`; None stays."""
    return None if value is None else path_text(value)


def _emotion_order(value: Any) -> Any:
    """Return names of emotions as one text, `happy,surprise,…`, each as fercli spells it."""
    if value is None:
        return None
    names = value.split(",") if isinstance(value, str) else [str(name) for name in value]
    found = [canonical(name) for name in names]
    if None in found:
        raise ValueError(
            f"'{names[found.index(None)].strip()}' is no emotion; there are {', '.join(EMOTIONS)}, {CONTEMPT}"
        )
    if len(set(found)) < len(found):
        raise ValueError("an emotion is named twice")
    if len(found) not in (len(EMOTIONS), len(EMOTIONS) + 1):
        raise ValueError("names 7 emotions, or 8, in the order of the classifier in the file")
    return ",".join(str(name) for name in found)


WeightsEmotions = Annotated[
    str | None,
    BeforeValidator(_emotion_order),
    Accepts(str | Sequence[str] | None),
    Field(
        description="The emotions in the order of the classifier in --weights FILE, as happy,surprise,… (default: that "
        "of a checkpoint's card, or of the model's authors)"
    ),
    Cli(metavar="NAMES", added=True),
]


class StageConfig(BaseModel):
    """The base of all configs: frozen, and refusing what it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    stage: ClassVar[str]
    """The stage's name, as on the command line."""
    kind: ClassVar[str]
    """The kind of artifact it writes."""

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Make a config from options, a wrong one told in one line.

        Raises:
            UsageError: an option is unknown or its value is not allowed, or the output and an input share a place.
        """
        try:
            config = cls(**values)
        except ValidationError as error:
            raise UsageError(f"{cls.stage}: {explain(error)}") from error
        out = getattr(config, "out", None)
        if out is not None:  # at once, not after hours: `build` asks it again, of inputs that no option named
            check_disjoint(out, *config.paths())
        return config

    def paths(self) -> list[Path]:
        """Return the files and folders that the options name as inputs."""
        found: list[Path] = []
        for name in type(self).model_fields:
            value, cli = getattr(self, name), cli_of(type(self), name)
            if isinstance(value, str) and cli.path and Path(value).expanduser().exists():
                found.append(Path(value).expanduser())
            elif name != "out":
                found += [item for item in (value if isinstance(value, tuple) else [value]) if isinstance(item, Path)]
        return found

    def as_json(self, *without: str) -> str:
        """Return all options but those named as JSON, file names as valid text (`fercli.files.as_text`)."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name not in without}
        names = {n: type(v)(as_text(str(v))) for n, v in values.items() if isinstance(v, str | Path)}
        return self.model_copy(update=names).model_dump_json(indent=1, exclude=set(without))

    def options(self) -> dict[str, Any]:
        """Return the options that make the artifact what it is, ready for JSON."""
        counted = {name for name, field in type(self).model_fields.items() if self._counts(name, field.default)}
        return self.model_dump(mode="json", include=counted)

    def _counts(self, name: str, default: Any) -> bool:
        cli = cli_of(type(self), name)
        return cli.in_key and not (cli.added and getattr(self, name) == default)


def cli_of(config: type[StageConfig], name: str) -> Cli:
    """Return how a config's field stands on the command line."""
    for item in config.model_fields[name].metadata:
        if isinstance(item, Cli):
            return item
    return Cli()


def resolve_input(given: Path | None, *kinds: str, progress: Progress) -> Artifact:
    """Open the input artifact: the one given, or the newest of the right kind under `artifacts/`.

    Raises:
        DataError: it is not there or of another kind.
        UsageError: none was given and none is under `artifacts/`.
    """
    if given is not None:
        return open_artifact(given, *kinds)
    newest: tuple[float, Artifact] | None = None
    for path in HOME.iterdir() if HOME.is_dir() else ():
        if path.name.startswith(".") or not is_artifact(path):
            continue
        artifact = open_artifact(path)
        changed = (path / "artifact.json").stat().st_mtime
        if artifact.manifest.kind in kinds and (newest is None or changed > newest[0]):
            newest = changed, artifact
    if newest is None:
        raise UsageError(f"no {' or '.join(kinds)} given, and none under {HOME}/: name one")
    progress.log(f"taking {newest[1].path}, the newest {newest[1].manifest.kind} under {HOME}/")
    return newest[1]


def resolve_pack(given: Path | None, checkpoint: Path, progress: Progress) -> Artifact:
    """Open the pack to measure a checkpoint on: the one given, else its run's, else the newest under `artifacts/`.

    Raises:
        DataError: it is not there or no pack.
        UsageError: none was given, and none is to be found.
    """
    if given is None and (checkpoint.parent / MANIFEST).is_file():
        for ancestor in ancestors(open_artifact(checkpoint.parent)):
            # Its own pack alone: that of a run whose weights it began with is another.
            if ancestor.depth == 1 and ancestor.input.kind == "pack" and ancestor.state == "there":
                progress.log(f"taking {ancestor.path}, the pack it was trained on")
                return open_artifact(ancestor.path, "pack")
    return resolve_input(given, "pack", progress=progress)


def resolve_output(
    config: StageConfig, out: Path | None, source: Path, inputs: list[Input], progress: Progress
) -> Path:
    """Return where the artifact goes: `out`, or `artifacts/<stage>-<name>-<6 hex digits of options and inputs>`.

    Raises:
        UsageError: the place is, lies within, or holds an input, which a stage never writes into.
    """
    if out is None:
        key = key_of(config.kind, config.stage, config.options(), inputs)
        name = source.resolve().stem or "root"
        # An input with a made name (import-fer2013-1a2b3c) lends its own name, not the whole chain of stages.
        parts = name.split("-")
        if len(parts) > 2 and len(parts[-1]) == 6:
            name = "-".join(parts[1:-1])
        out = HOME / f"{config.stage}-{name[:40]}-{key[:6]}"
        progress.log(f"writing {out}")
    check_disjoint(out, source, *(Path(item.path) for item in inputs if item.kind != "hub"))
    return out


def check_exists(path: Path, what: str) -> None:
    """Raise DataError where a raw input is not there, or is a pipe, a device or a socket."""
    if not path.exists():
        raise DataError(f"{path}: no such {what}")
    if not (path.is_dir() or path.is_file()):
        raise DataError(f"{path}: {kind_of(path.stat().st_mode)}; give a {what}")
