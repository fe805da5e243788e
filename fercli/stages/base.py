"""The base class of stage configs, and the default input and output paths.

A config is a frozen pydantic model whose fields are the stage's options. The command line is generated from it,
including help texts and defaults. `Cli` describes what the types cannot express.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from fercli.artifacts import MANIFEST, NOT_PATHS, Artifact, Input, is_artifact, key_of, open_artifact
from fercli.artifacts.lineage import ancestors
from fercli.artifacts.staging import check_disjoint as check_disjoint
from fercli.errors import DataError, UsageError, format_validation_error
from fercli.files import as_text, file_type
from fercli.hub.address import PREFIX, is_address
from fercli.progress import Progress

HOME = Path("artifacts")
"""The default folder for reading and writing artifacts."""


@dataclass(frozen=True)
class Cli:
    """How a field appears on the command line, and whether it is part of the artifact's key.

    Args:
        argument: Whether it is a positional argument instead of an option.
        flag: Whether a positional argument can also be given as an option.
        metavar: The name of the value in help texts.
        in_key: Whether its value identifies the artifact. False for inputs (their digests are in the key), the output
            path, workers and device.
        path: Whether its text may be the path of an input, as for any field of type Path.
        added: Whether the option was added later: at its default it is left out of the key, so that existing artifacts
            stay up to date.
    """

    argument: bool = False
    flag: bool = False
    metavar: str = ""
    in_key: bool = True
    path: bool = False
    added: bool = False


@dataclass(frozen=True)
class Accepts:
    """The type that a call from Python may pass for a field, if it differs from the field's (`fercli._api.accepts`)."""

    type: Any


class StageConfig(BaseModel):
    """The base class of all configs: frozen, no extra fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    stage: ClassVar[str]
    """The name of the stage on the command line."""
    kind: ClassVar[str]
    """The kind of artifact it writes."""

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Create a config, with one-line errors.

        Raises:
            UsageError: an option is unknown, a value is invalid, or the output overlaps an input.
        """
        try:
            config = cls(**values)
        except ValidationError as error:
            raise UsageError(f"{cls.stage}: {format_validation_error(error)}") from error
        out = getattr(config, "out", None)
        if out is not None and is_address(out):
            raise UsageError(f"{cls.stage}: {PREFIX}… is on the hub; write to a folder, and publish it with fer push")
        if out is not None:  # fail early; `build` checks again, including inputs that are not options
            check_disjoint(out, *config.paths())
        return config

    def paths(self) -> list[Path]:
        """Return the input files and folders that the options name."""
        found: list[Path] = []
        for name in type(self).model_fields:
            value, cli = getattr(self, name), cli_of(type(self), name)
            if isinstance(value, str) and cli.path and Path(value).expanduser().exists():
                found.append(Path(value).expanduser())
            elif name != "out":
                found += [item for item in (value if isinstance(value, tuple) else [value]) if isinstance(item, Path)]
        return found

    def as_json(self, *without: str) -> str:
        """Return the options as JSON, except those in `without`, with file names as valid Unicode."""
        values = {name: getattr(self, name) for name in type(self).model_fields if name not in without}
        names = {n: type(v)(as_text(str(v))) for n, v in values.items() if isinstance(v, str | Path)}
        return self.model_copy(update=names).model_dump_json(indent=1, exclude=set(without))

    def options(self) -> dict[str, Any]:
        """Return the options that are part of the artifact's key, as JSON values."""
        in_key = {name for name, field in type(self).model_fields.items() if self._in_key(name, field.default)}
        return self.model_dump(mode="json", include=in_key)

    def _in_key(self, name: str, default: Any) -> bool:
        cli = cli_of(type(self), name)
        return cli.in_key and not (cli.added and getattr(self, name) == default)


def cli_of(config: type[StageConfig], name: str) -> Cli:
    """Return how a config's field appears on the command line."""
    for item in config.model_fields[name].metadata:
        if isinstance(item, Cli):
            return item
    return Cli()


def resolve_input(given: Path | None, *kinds: str, progress: Progress) -> Artifact:
    """Open the input artifact: the one given, or the newest of the right kind under `artifacts/`.

    Raises:
        DataError: it does not exist or is of another kind.
        UsageError: none was given and there is none under `artifacts/`.
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
        raise UsageError(f"no {' or '.join(kinds)} given, and none found under {HOME}/")
    progress.log(f"using {newest[1].path}, the newest {newest[1].manifest.kind} under {HOME}/")
    return newest[1]


def resolve_pack(given: Path | None, checkpoint: Path, progress: Progress) -> Artifact:
    """Open the pack to evaluate a checkpoint on: the one given, else its run's, else the newest under `artifacts/`.

    Raises:
        DataError: it does not exist or is not a pack.
        UsageError: none was given and none was found.
    """
    if given is None and (checkpoint.parent / MANIFEST).is_file():
        for ancestor in ancestors(open_artifact(checkpoint.parent)):
            # Only its own pack, not that of a run it was initialized from.
            if ancestor.depth == 1 and ancestor.input.kind == "pack" and ancestor.state == "there":
                progress.log(f"using {ancestor.path}, the pack it was trained on")
                return open_artifact(ancestor.path, "pack")
    return resolve_input(given, "pack", progress=progress)


def resolve_output(
    config: StageConfig, out: Path | None, source: Path, inputs: list[Input], progress: Progress
) -> Path:
    """Return the output path: `out`, or `artifacts/<stage>-<name>-<6 hex digits of options and inputs>`.

    Raises:
        UsageError: the output is, contains, or lies within an input.
    """
    if out is None:
        key = key_of(config.kind, config.stage, config.options(), inputs)
        name = source.resolve().stem or "root"
        # From a generated name (import-fer2013-1a2b3c) keep only the middle part, not the chain of stages.
        parts = name.split("-")
        if len(parts) > 2 and len(parts[-1]) == 6:
            name = "-".join(parts[1:-1])
        out = HOME / f"{config.stage}-{name[:40]}-{key[:6]}"
        progress.log(f"writing {out}")
    check_disjoint(out, source, *(Path(item.path) for item in inputs if item.kind not in NOT_PATHS))
    return out


def check_exists(path: Path, what: str) -> None:
    """Raise DataError if a raw input does not exist, or is a pipe, a device or a socket."""
    if not path.exists():
        raise DataError(f"{path}: no such {what}")
    if not (path.is_dir() or path.is_file()):
        raise DataError(f"{path}: {file_type(path.stat().st_mode)}, not a {what}")
