"""What every stage's config is made of, and where its input and output lie when a call does not say.

A config is a frozen pydantic model whose fields are the stage's options. The command line is made from it: a field's
description is its help, its default its default. `Cli` says what the types cannot.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fercli.artifacts import MANIFEST, Artifact, Input, is_artifact, key_of, open_artifact
from fercli.errors import DataError, UsageError, explain
from fercli.lineage import ancestors
from fercli.progress import Progress

HOME = Path("artifacts")
"""Where artifacts go and are looked for when a call names no place."""


@dataclass(frozen=True)
class Cli:
    """How a field stands on the command line, and whether it counts as an option of the artifact.

    Args:
        argument: A place among the positional arguments instead of a flag.
        flag: A flag besides its place, for calls that leave out an argument before it.
        metavar: What help calls the value.
        counts: Whether another value makes another artifact. Inputs (counted by digest), the output's place, workers
            and device do not count.
        added: Whether the option was added after artifacts without it existed: at its default it is left out of the
            options, so that those stay up to date.
    """

    argument: bool = False
    flag: bool = False
    metavar: str = ""
    counts: bool = True
    added: bool = False


Out = Annotated[
    Path | None, Field(description="Where the artifact goes."), Cli(argument=True, metavar="OUT", counts=False)
]
OutOption = Annotated[Path | None, Field(description="Where the artifact goes."), Cli(metavar="OUT", counts=False)]
"""`--out`, for commands whose positional arguments are several inputs."""
Overwrite = Annotated[bool, Field(description="Replace a different artifact at OUT."), Cli(counts=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32, description="Seed of everything drawn at random.")]
Split = Annotated[Literal["train", "validation", "test"], Field(description="Split to measure on.")]
Tta = Annotated[
    Literal["none", "flip", "ten-crop"], Field(description="Views of a face whose predictions are averaged.")
]
FacesAtATime = Annotated[
    int, Field(ge=1, le=65_536, description="Faces at a time: speed and memory, not results."), Cli(counts=False)
]
Workers = Annotated[
    int | None,
    Field(ge=0, description="Threads or processes that work beside this one; 0: none (default: one a core)."),
    Cli(counts=False),
]
Device = Annotated[
    str,
    Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps."),
    Cli(counts=False),
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
            UsageError: an option is unknown or its value is not allowed.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise UsageError(f"{cls.stage}: {explain(error)}") from error

    def options(self) -> dict[str, Any]:
        """Return the options that make the artifact what it is, ready for JSON."""
        counted = {name for name, field in type(self).model_fields.items() if self._counts(name, field.default)}
        return self.model_dump(mode="json", include=counted)

    def _counts(self, name: str, default: Any) -> bool:
        cli = cli_of(type(self), name)
        return cli.counts and not (cli.added and getattr(self, name) == default)


def cli_of(config: type[StageConfig], name: str) -> Cli:
    """Return how a config's field stands on the command line."""
    for item in config.model_fields[name].metadata:
        if isinstance(item, Cli):
            return item
    return Cli()


def take(given: Path | None, *kinds: str, progress: Progress) -> Artifact:
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


def take_pack(given: Path | None, checkpoint: Path, progress: Progress) -> Artifact:
    """Open the pack to measure a checkpoint on: the one given, else its run's, else the newest under `artifacts/`.

    Raises:
        DataError: it is not there or no pack.
        UsageError: none was given, and none is to be found.
    """
    if given is None and (checkpoint.parent / MANIFEST).is_file():
        for ancestor in ancestors(open_artifact(checkpoint.parent)):
            if ancestor.input.kind == "pack" and ancestor.state == "there":
                progress.log(f"taking {ancestor.path}, the pack it was trained on")
                return open_artifact(ancestor.path, "pack")
    return take(given, "pack", progress=progress)


def snapshot_name(epoch: int) -> str:
    """Return what the checkpoint of a snapshot is called in its run, beside best and last."""
    return f"snapshot-{epoch:03d}"


def in_run(checkpoint: Path) -> bool:
    """Tell by its name whether a checkpoint stands in a run: best, last, or a snapshot."""
    return re.fullmatch(r"best|last|snapshot-\d{3,}", checkpoint.name) is not None


def named(checkpoint: Path) -> Path:
    """Return the path by which people know a checkpoint: its run's, where it stands in one."""
    return checkpoint.parent if in_run(checkpoint) else checkpoint


def place(config: StageConfig, out: Path | None, source: Path, inputs: list[Input], progress: Progress) -> Path:
    """Return where the artifact goes: `out`, or `artifacts/<stage>-<name>-<6 hex digits of options and inputs>`.

    Raises:
        UsageError: the place is, lies within, or holds the input, which a stage never writes into.
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
    keep_apart(out, source)
    return out


def keep_apart(out: Path, source: Path) -> None:
    """Refuse an output that is, lies within, or holds an input; `place` asks it of the one that lends the name.

    Raises:
        UsageError: it does.
    """
    here, there = Path(os.path.realpath(out)), Path(os.path.realpath(source))
    if here == there or (there.is_dir() and there in here.parents):
        raise UsageError(f"{out}: the output lies in the input {source}; choose a place outside it")
    if here in there.parents:  # replacing it would take the input away
        raise UsageError(f"{out}: the input {source} lies in the output; choose another place")


def check_exists(path: Path, what: str) -> None:
    """Raise DataError where a raw input is not there."""
    if not path.exists():
        raise DataError(f"{path}: no such {what}")
