"""The options of the models, collected from their specs. Imported without torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fercli.errors import UsageError
from fercli.models.registry import MODELS


def option_names() -> dict[str, str]:
    """Return the options of fercli's built-in models by name, with their help texts."""
    found: dict[str, dict[str, tuple[str, ...]]] = {}
    for spec in MODELS:
        for option, values in spec.options.items():
            found.setdefault(option, {})[spec.name] = values
    return {option: _help(models) for option, models in sorted(found.items())}


def _help(models: Mapping[str, tuple[str, ...]]) -> str:
    first, *_ = models.values()
    named = [*list(models)[:2], *(["…"] if len(models) > 2 else [])]
    return f"{', '.join(named)}: {', '.join(first[:-1])} or {first[-1]}."


def read_options(pairs: Iterable[str] | Mapping[str, object]) -> dict[str, str]:
    """Parse options from `name=value` texts or a mapping.

    Raises:
        UsageError: a text is not such a pair, or an option is given twice with different values.
    """
    found: dict[str, str] = {}
    if isinstance(pairs, Mapping):
        pairs = [f"{name}={value}" for name, value in pairs.items()]
    for pair in pairs:
        name, equals, value = str(pair).partition("=")
        name, value = name.strip().replace("-", "_"), value.strip()
        if not (equals and name and value):
            raise UsageError(f"option: '{pair}' is not written as NAME=VALUE")
        if found.setdefault(name, value) != value:
            raise UsageError(f"option: {name} is given twice, with different values; keep one")
    return found
