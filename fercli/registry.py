"""Registries of plug-ins: fercli's own entries, those of installed packages, and `module:attribute` references.

There is one `Registry` for each kind of entry (models, readers, detectors). Its own entries are a table; packages add
entries through an entry point group (`fercli.models`, …), which is searched only if a name is not in the table or a
list is requested. Entries are imported on first use. `docs/plugins.md` shows a complete package.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, TypeVar

from fercli.errors import FerError, UsageError, did_you_mean

TRUSTED = "FERCLI_PLUGINS"
"""Environment variable: comma-separated `module:attribute` references that files on disk may use too."""
_LOADED: dict[str, str] = {}
"""Top-level modules of the plugins loaded in this process, and the packages that register them ("" for references)."""
_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")

T = TypeVar("T")


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed package.

    Attributes:
        name: Name of the entry.
        reference: `module:attribute` of the object.
        package: The package that provides it.
    """

    name: str
    reference: str
    package: str


def is_reference(name: str) -> bool:
    """Return whether a name has the form `module:attribute`."""
    return bool(_REFERENCE.fullmatch(name))


def load_attribute(reference: str) -> Any:
    """Import and return the object at `module:attribute`."""
    module, _, attribute = reference.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def resolve(entry: str | Callable[..., Any]) -> Any:
    """Return an entry given as an object, or as `module:attribute` for import on first use."""
    return load_attribute(entry) if isinstance(entry, str) else entry


class Registry(Generic[T]):
    """The entries of one kind, by name.

    Args:
        what: Kind of entry, for messages, such as `model`.
        group: The entry point group.
        own: fercli's own entries; plug-ins cannot replace them.
        adapt: Creates an entry from a name and the object of a plug-in; raises `TypeError` or `ValueError` if the
            object is of the wrong kind.
        where: Hint for messages on where all entries are listed.
    """

    def __init__(
        self, what: str, group: str, own: Mapping[str, T], adapt: Callable[[str, Any], T], where: str = ""
    ) -> None:
        self.what, self.group, self.own, self.where = what, group, own, where
        self._adapt = adapt
        self._loaded: dict[str, T] = {}
        self._named: set[str] = set()

    def find(self, name: str, *, from_call: bool = False) -> T:
        """Return an entry.

        Args:
            name: The name of an entry of fercli or of an installed package, or `module:attribute`.
            from_call: Whether the user passed the name in this call. Only then is a module imported that no installed
                package registers and `FERCLI_PLUGINS` does not list: a name read from a file, such as someone else's
                checkpoint, must not choose what code is run. Names passed by a call stay trusted in this process.

        Raises:
            UsageError: there is no such entry, several packages provide it, or it is not trusted.
            FerError: the entry of an installed package cannot be loaded.
        """
        if name in self.own:
            return self.own[name]
        plugins = [plugin for plugin in installed(self.group) if plugin.name == name]
        if len(plugins) > 1:
            raise UsageError(self._format_conflict(plugins))
        if plugins:
            return self._load(plugins[0].name, plugins[0].reference, plugins[0].package)
        if is_reference(name):
            if from_call:
                self._named.add(name)
            elif not self._is_trusted(name):
                raise UsageError(
                    f"{self.what} '{name}' is code outside fercli, which is imported only if the call names it: set "
                    f"{TRUSTED}={name}, or install a package that registers it as an entry point ({self.group})"
                )
            return self._load(name, name, "")
        raise UsageError(did_you_mean(self.what, name, self.names(), self.where))

    def names(self) -> list[str]:
        """Return the names of all entries, fercli's own first, without importing any."""
        return list(dict.fromkeys([*self.own, *(plugin.name for plugin in installed(self.group))]))

    def plugins(self) -> tuple[dict[str, T], list[str]]:
        """Return the entries of installed packages by name, and a message for each that cannot be used."""
        found: dict[str, T] = {}
        problems: list[str] = []
        for name in dict.fromkeys(plugin.name for plugin in installed(self.group)):
            same = [plugin for plugin in installed(self.group) if plugin.name == name]
            if name in self.own or len(same) > 1:
                problems.append(self._format_conflict(same))
                continue
            try:
                found[name] = self.find(name)
            except FerError as error:
                problems.append(str(error))
        return found, problems

    def forget(self) -> None:
        """Forget the loaded plug-ins and the names passed by calls."""
        self._loaded.clear()
        self._named.clear()

    def _is_trusted(self, reference: str) -> bool:
        listed = (part.strip() for part in os.environ.get(TRUSTED, "").split(","))
        entries = (plugin.reference for plugin in installed(self.group))
        return reference in self._named or reference in listed or reference in entries

    def _load(self, name: str, reference: str, package: str) -> T:
        key = f"{name}={reference}"
        if key not in self._loaded:
            of = f" of the package {package}" if package else ""
            _LOADED.setdefault(re.split("[.:]", reference)[0], package)
            try:
                self._loaded[key] = self._adapt(name, load_attribute(reference))
            except (Exception, SystemExit) as error:  # foreign code may raise anything
                reason = f"{type(error).__name__}: {error}"
                kind = FerError if package else UsageError
                raise kind(f"{self.what} '{name}'{of} cannot be loaded from {reference} ({reason})") from error
        return self._loaded[key]

    def _format_conflict(self, plugins: Iterable[Plugin]) -> str:
        plugins = list(plugins)
        packages = [*(["fercli"] if plugins[0].name in self.own else []), *(plugin.package for plugin in plugins)]
        references = " or ".join(plugin.reference for plugin in plugins)
        return (
            f"{self.what} '{plugins[0].name}' is provided by several packages, {' and '.join(packages)}; "
            f"rename one, or use {references}"
        )


def loaded_packages() -> dict[str, str]:
    """Return the packages whose plug-ins were loaded in this process, and their versions; empty if unknown."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for module, package in _LOADED.items():
        try:
            found[package or module] = version(package or module)
        except PackageNotFoundError:
            found[package or module] = str(getattr(sys.modules.get(module), "__version__", ""))
    return found


def raised_in_plugin(error: BaseException) -> str:
    """Return where a plugin's code raised an error, as `module, line N`; empty if no plugin was involved."""
    found, trace = "", error.__traceback__
    while trace is not None:
        module = str(trace.tb_frame.f_globals.get("__name__", ""))
        if module.split(".")[0] in _LOADED:
            found = f"{module}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def installed(group: str) -> tuple[Plugin, ...]:
    """Return the entry points of a group, sorted by name and package, without importing any."""
    return _installed(group, tuple(sys.path))


@cache
def _installed(group: str, _path: tuple[str, ...]) -> tuple[Plugin, ...]:
    from importlib.metadata import entry_points  # slow: a tenth of the time budget of `fer --help`

    found = {
        Plugin(point.name, point.value.partition("[")[0].replace(" ", ""), point.dist.name if point.dist else "?")
        for point in entry_points(group=group)
    }
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.package, plugin.reference)))
