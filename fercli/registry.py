"""What can be named on a call: fercli's own entries, those of installed packages, and `module:attribute`.

One `Registry` serves each kind of thing (models, readers, detectors). Its own entries are a table; packages add entries
through the entry points of a group (`fercli.models`, …), which are looked up only when a name is not in the table or a
list is asked for, and imported only when they are used. `docs/plugins.md` shows a whole package.
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
"""Environment variable: `module:attribute` names, separated by commas, that files read from disk may name too."""
_LOADED: dict[str, str] = {}
"""Top-level modules of the plugins loaded in this process, and the packages that register them ("" for references)."""
_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")

T = TypeVar("T")


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed package.

    Attributes:
        name: What a call names it by.
        reference: `module:attribute` of the object.
        package: The package that has it.
    """

    name: str
    reference: str
    package: str


def is_reference(name: str) -> bool:
    """Tell whether a name is written as `module:attribute`."""
    return bool(_REFERENCE.fullmatch(name))


def load_attribute(reference: str) -> Any:
    """Import a module and return its attribute, by `module:attribute`."""
    module, _, attribute = reference.partition(":")
    found: Any = import_module(module)
    for part in attribute.split("."):
        found = getattr(found, part)
    return found


def resolve(place: str | Callable[..., Any]) -> Any:
    """Return what a table gives as an object, or as `module:attribute` so that it is imported when it is used."""
    return load_attribute(place) if isinstance(place, str) else place


class Registry(Generic[T]):
    """The entries of one kind, by name.

    Args:
        what: What an entry is, for messages, such as `model`.
        group: Group of the entry points that add entries.
        own: fercli's own entries; they cannot be replaced from outside.
        adapt: Makes an entry of a name and the object that a plugin gives; raises `TypeError` or `ValueError` where the
            object is of the wrong kind.
        where: What lists all entries, for messages.
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
            name: The name of an entry of fercli's own or of an installed package, or `module:attribute`.
            from_call: Whether the user gave the name on this call. Only then is a module imported that no installed
                package registers and `FERCLI_PLUGINS` does not list: a name read from a file, such as a checkpoint of
                someone else, must not choose what code is run. What a call has named stays known to the process.

        Raises:
            UsageError: there is no such entry, several packages have it, or it may not be imported.
            FerError: the package that has it is broken.
        """
        if name in self.own:
            return self.own[name]
        plugins = [plugin for plugin in installed(self.group) if plugin.name == name]
        if len(plugins) > 1:
            raise UsageError(self._twice(plugins))
        if plugins:
            return self._load(plugins[0].name, plugins[0].reference, plugins[0].package)
        if is_reference(name):
            if from_call:
                self._named.add(name)
            elif not self._is_trusted(name):
                raise UsageError(
                    f"{self.what} '{name}' is code of another package, which is imported only where you name it: set "
                    f"{TRUSTED}={name}, or install a package that has it among its entry points ({self.group})"
                )
            return self._load(name, name, "")
        raise UsageError(did_you_mean(self.what, name, self.names(), self.where))

    def names(self) -> list[str]:
        """Return the names of all entries, fercli's own first; nothing is imported."""
        return list(dict.fromkeys([*self.own, *(plugin.name for plugin in installed(self.group))]))

    def plugins(self) -> tuple[dict[str, T], list[str]]:
        """Return the entries of installed packages by name, and a line about each that cannot be used."""
        found: dict[str, T] = {}
        problems: list[str] = []
        for name in dict.fromkeys(plugin.name for plugin in installed(self.group)):
            same = [plugin for plugin in installed(self.group) if plugin.name == name]
            if name in self.own or len(same) > 1:
                problems.append(self._twice(same))
                continue
            try:
                found[name] = self.find(name)
            except FerError as error:
                problems.append(str(error))
        return found, problems

    def forget(self) -> None:
        """Forget the plugins that were loaded and the names that calls have given."""
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
            except (Exception, SystemExit) as error:  # whatever the code of others raises
                reason = f"{type(error).__name__}: {error}"
                kind = FerError if package else UsageError
                raise kind(f"{self.what} '{name}'{of} cannot be loaded from {reference} ({reason})") from error
        return self._loaded[key]

    def _twice(self, plugins: Iterable[Plugin]) -> str:
        plugins = list(plugins)
        packages = [*(["fercli"] if plugins[0].name in self.own else []), *(plugin.package for plugin in plugins)]
        references = " or ".join(plugin.reference for plugin in plugins)
        return (
            f"{self.what} '{plugins[0].name}' is in several packages, {' and '.join(packages)}; "
            f"rename one, or name it as {references}"
        )


def loaded_packages() -> dict[str, str]:
    """Return the packages whose plugins were loaded in this process, and their versions, empty where unknown."""
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
    """Return the entry points of a group, by name and package; nothing is imported."""
    return _installed(group, tuple(sys.path))


@cache
def _installed(group: str, _path: tuple[str, ...]) -> tuple[Plugin, ...]:
    from importlib.metadata import entry_points  # a tenth of the time that `fer --help` has

    found = {
        Plugin(point.name, point.value.partition("[")[0].replace(" ", ""), point.dist.name if point.dist else "?")
        for point in entry_points(group=group)
    }
    return tuple(sorted(found, key=lambda plugin: (plugin.name, plugin.package, plugin.reference)))
