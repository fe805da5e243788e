"""Search spaces of `fer tune`: one TOML file each. Imported without torch."""

from __future__ import annotations

import math
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from itertools import product
from pathlib import Path
from typing import Any

from fercli.errors import UsageError, did_you_mean
from fercli.files import read_bytes

DEFAULT = "around-recipe"
POINTS = 1_000_000
"""Maximum number of points of a grid, and of steps in a range."""
Value = bool | int | float | str


@dataclass(frozen=True)
class Choice:
    """A setting with listed values."""

    values: tuple[Value, ...]


@dataclass(frozen=True)
class Range:
    """A setting between two numbers, both included.

    Attributes:
        low: The smallest value.
        high: The largest value.
        log: Whether it is searched on a logarithmic scale.
        step: Distance of neighbouring values; None: any value between.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether its values are integers."""
        return all(isinstance(value, int) for value in (self.low, self.high, self.step or 1))

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return self.low, self.high


Dimension = Choice | Range
Space = Mapping[str, Dimension]


def named_spaces() -> list[str]:
    """Return the names of the spaces that come with fercli."""
    files = resources.files("fercli.recipes.spaces").iterdir()
    return sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml"))


def read_space(source: str, recipe: Mapping[str, Any], settings: list[str]) -> Space:
    """Read a search space.

    A TOML file with one entry per setting: a list of values, or a table with `low` and `high`, or with `times`, two
    factors of the recipe's own value; and with `log = true` for a logarithmic scale or `step` for equal steps.

    Args:
        source: Path of a TOML file, or the name of a space that comes with fercli.
        recipe: The settings that `times` refers to.
        settings: Names of the settings that can be searched.

    Raises:
        UsageError: there is no such file or name, or an entry is invalid.
    """
    try:
        table = tomllib.loads(_text(source))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"space {source}: {error}") from error
    table = table.get("space", table)
    if not isinstance(table, dict) or not table:
        raise UsageError(f"space {source}: has no settings; write lines such as lr = [0.01, 0.1]")
    space = {}
    for key, entry in table.items():
        name = key.replace("-", "_")
        if name not in settings:
            raise UsageError(f"space {source}: {did_you_mean('setting', name[:80], settings)}")
        try:
            space[name] = _dimension(entry, recipe.get(name))
        except ValueError as error:
            raise UsageError(f"space {source}: {name}: {error}") from error
    return space


def grid_points(space: Space) -> Iterator[dict[str, Value]]:
    """Yield every point of a space, the last setting varying fastest.

    Raises:
        UsageError: a setting is a range without steps, or there are too many points.
    """
    axes: list[tuple[Value, ...]] = []
    for name, dimension in space.items():
        if isinstance(dimension, Range) and dimension.step is None:
            raise UsageError(f"space: {name} is a range, which has no grid; list its values, or give step")
        axes.append(dimension.values if isinstance(dimension, Choice) else tuple(_steps(dimension)))
    if (number := math.prod(map(len, axes))) > POINTS:
        raise UsageError(f"space: a grid of {number:,} points; list fewer values, at most {POINTS:,} points in all")
    for values in product(*axes):
        yield dict(zip(space, values, strict=True))


def describe(dimension: Dimension) -> str:
    """Return a dimension in words."""
    if isinstance(dimension, Choice):
        return ", ".join(str(value) for value in dimension.values)
    step = f", in steps of {dimension.step:g}" if dimension.step is not None else ""
    return f"{dimension.low:g} to {dimension.high:g}{' (log)' if dimension.log else ''}{step}"


def _steps(dimension: Range) -> Iterator[Value]:
    assert dimension.step is not None
    for number in range(math.floor((dimension.high - dimension.low) / dimension.step + 1e-9) + 1):
        yield _at_step(dimension.low, dimension.step, number)


def _at_step(low: float, step: float, number: int) -> float:
    value = low + number * step
    return value if isinstance(value, int) else float(f"{value:.12g}")


def _text(source: str) -> str:
    path = Path(source).expanduser()
    if source in named_spaces() and not path.exists():
        return resources.files("fercli.recipes.spaces").joinpath(f"{source}.toml").read_text("utf-8")
    if path.suffix != ".toml" and not path.exists():
        raise UsageError(did_you_mean("space", source, named_spaces(), "or give the path of a .toml file"))
    try:
        return read_bytes(path).decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"space {source}: not UTF-8 text") from error
    except OSError as error:
        raise UsageError(f"space {source}: {error.strerror}") from error


def _dimension(entry: Any, own: Any) -> Dimension:
    """Return the dimension of an entry; `own` is the recipe's value. Raises ValueError."""
    if isinstance(entry, list):
        if not entry:
            raise ValueError("the list is empty; give at least one value")
        if not all(isinstance(value, Value) for value in entry):
            raise ValueError("values must be numbers, texts or true and false")
        if len(set(map(repr, entry))) < len(entry):
            raise ValueError("a value is listed twice")
        return Choice(tuple(entry))
    if not isinstance(entry, dict):
        raise ValueError(f"expected a list of values or a table with low and high, not {entry!r}")
    if unknown := sorted(entry.keys() - {"low", "high", "times", "log", "step"}):
        raise ValueError(did_you_mean("key", str(unknown[0]), ["low", "high", "times", "log", "step"]))
    low, high = _ends(entry, own)
    log, step = entry.get("log", False), entry.get("step")
    if not isinstance(log, bool):
        raise ValueError("log must be true or false")
    if not low < high:
        raise ValueError(f"the range is empty: low {low:g} is not below high {high:g}")
    if log and low <= 0:
        raise ValueError(f"a logarithmic range must start above 0, not at {low:g}")
    if step is not None and (not _is_number(step) or not 0 < step <= high - low):
        raise ValueError("step must be a number above 0, and at most high - low")
    if step is not None and log:
        raise ValueError("a logarithmic range has no steps; list its values")
    if step is not None:
        if high - low > step * POINTS:
            raise ValueError(f"more than {POINTS:,} steps; give a larger step, or none")
        high = _at_step(low, step, math.floor((high - low) / step + 1e-9))  # the last step may lie below it
    return Range(low, high, log, step)


def _ends(entry: dict[str, Any], own: Any) -> tuple[float, float]:
    if "times" not in entry:
        if not _is_number(entry.get("low")) or not _is_number(entry.get("high")):
            raise ValueError("a range needs low and high, two numbers")
        return entry["low"], entry["high"]
    times = entry["times"]
    if "low" in entry or "high" in entry or not isinstance(times, list) or len(times) != 2:
        raise ValueError("times must be two factors of the recipe's value, without low and high")
    if not all(map(_is_number, times)) or not _is_number(own) or own == 0:
        raise ValueError(
            "times needs two factors, and a recipe whose value is a number other than 0; give low and high"
        )
    low, high = sorted(float(f"{own * factor:.12g}") for factor in map(float, times))
    return (round(low), round(high)) if isinstance(own, int) and math.isfinite(high - low) else (low, high)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
