"""Training phases after the first: their changes, as `epochs=20,lr=1e-5,freeze=backbone,norms` or a table."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from fercli.errors import did_you_mean, format_validation_error
from fercli.recipes.phase_settings import PhaseSettings

WHOLE_TRAINING = ("phase", "select", "snapshots")
"""Settings of the whole training, which a single phase cannot have."""
_OPTION = re.compile(r"\s*([A-Za-z][\w-]*)\s*=(.*)", re.DOTALL)


@dataclass(frozen=True)
class Phase:
    """A phase after the first.

    Attributes:
        settings: Everything it trains with.
        changed: Names of the settings it changes; the others are those of the previous phase.
    """

    settings: PhaseSettings
    changed: tuple[str, ...]

    def values(self) -> dict[str, Any]:
        """Return the changes, for JSON and `parse_phases`."""
        return self.settings.model_dump(mode="json", include=set(self.changed))

    def __str__(self) -> str:
        """Return the phase in the format of `--phase`."""
        values = self.values()
        return ",".join(f"{name.replace('_', '-')}={_text(values[name])}" for name in self.changed)


def parse_phases(value: Any, first: PhaseSettings) -> tuple[Phase, ...]:
    """Parse the phases after the first.

    Args:
        value: Texts or tables, one per phase; a single one needs no list, and `none` alone means no phases.
        first: The settings of the first phase.

    Raises:
        ValueError: a phase is not written as options with values, or one of them is wrong.
    """
    items = [value] if isinstance(value, str | Mapping) else value
    if not isinstance(items, Sequence):
        raise ValueError("write each phase as options with values, such as epochs=20,lr=1e-5")
    if list(items) == ["none"]:
        return ()
    phases: list[Phase] = []
    settings = first
    for number, item in enumerate(items, 2):
        try:
            changes, resets = parse_changes(item)
            before = {name: getattr(settings, name) for name in PhaseSettings.model_fields if name not in resets}
            settings = PhaseSettings.model_validate({**before, **changes})
        except ValidationError as error:
            raise ValueError(f"phase {number}: {format_validation_error(error)}") from error
        except ValueError as error:
            raise ValueError(f"phase {number}: {error}") from error
        phases.append(
            Phase(settings, tuple(name for name in PhaseSettings.model_fields if name in {*changes, *resets}))
        )
    return tuple(phases)


def parse_changes(item: Any, known: Collection[str] = ()) -> tuple[dict[str, Any], set[str]]:
    """Parse the changes of one phase.

    In a text, a part that does not start with `name=` belongs to the previous value, so `freeze=backbone,norms` and
    `progressive-sizes=32=0.5,48=0.5` need no quotes.

    Args:
        item: Options with their values, comma-separated, or a table of them.
        known: Names of the settings; by default all settings of a phase.

    Returns:
        The values that the phase sets, by name; and the names of those it resets to their defaults (`name=`).

    Raises:
        ValueError: it has another format, or contains an unknown setting.
    """
    if item == "none":
        raise ValueError("none removes all phases but the first, and cannot be combined with others")
    if isinstance(item, Mapping):
        pairs = [(str(name).replace("-", "_"), value) for name, value in item.items()]
    elif isinstance(item, str):
        pairs = _pairs(item)
    else:
        raise ValueError(f"write options with values, such as epochs=20,lr=1e-5 (given: {item!r})")
    known = known or tuple(PhaseSettings.model_fields)
    found: dict[str, Any] = {}
    for name, value in pairs:
        option = name.replace("_", "-")
        if name in WHOLE_TRAINING:
            raise ValueError(f"{option}: applies to the whole training, not to one of its phases")
        if name not in known:
            options = [setting.replace("_", "-") for setting in known]
            raise ValueError(did_you_mean("option", option, options, "fer train --help lists all"))
        if name in found:
            raise ValueError(f"{option}: given twice")
        found[name] = value
    return {n: value for n, value in found.items() if value != ""}, {n for n, value in found.items() if value == ""}


def _pairs(text: str) -> list[tuple[str, str]]:
    """Split a text into options and values."""
    pairs: list[tuple[str, str]] = []
    for part in text.split(","):
        if option := _OPTION.fullmatch(part):
            pairs.append((option[1].replace("-", "_"), option[2].strip()))
        elif pairs:
            name, value = pairs[-1]
            pairs[-1] = name, f"{value},{part.strip()}"
        else:
            raise ValueError(f"write options with values, such as epochs=20,lr=1e-5 (given: {text!r})")
    return pairs


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join("=".join(map(str, item)) if isinstance(item, list) else str(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
