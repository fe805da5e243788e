"""Reading and writing prompts.jsonl, which users may edit by hand: every error names the line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from fercli.datasets.index import SPLITS
from fercli.errors import DataError, did_you_mean
from fercli.files import open_text
from fercli.generation.prompts.prompt import Demographics, Prompt
from fercli.generation.prompts.vocabulary import NEGATIVE
from fercli.progress import Progress

PROMPTS = "prompts.jsonl"
FIELDS = ("file", "emotion", "seed", "prompt", "negative_prompt", "gender", "age", "origin")
REQUIRED = FIELDS[:4]
MAX_LENGTH = 4000
"""Maximum characters of a prompt; the text encoder reads about 300."""
_PATH = re.compile(r"[^/\\\x00-\x1f]+/[^/\\\x00-\x1f]+/[^/\\\x00-\x1f]+\.png")


def write_prompts(path: Path, prompts: Iterable[Prompt], total: int, progress: Progress) -> Demographics:
    """Write prompts to `path`, one JSON object per line; return their demographics."""
    demographics = Demographics()
    with path.open("w", encoding="utf-8", newline="") as file:
        for prompt in progress.track(prompts, "prompts", total):
            demographics.add(prompt)
            file.write(prompt.line())
    return demographics


def read_prompts(file: Path, emotions: Sequence[str], taken: Collection[str] = ()) -> list[Prompt]:
    """Read prompts, one JSON object per line; blank lines are skipped.

    Args:
        file: The file.
        emotions: Emotions that a prompt may have.
        taken: Paths, in lower case, that already have an image.

    Raises:
        DataError: the file cannot be read, is empty, or a line is invalid.
    """
    prompts: list[Prompt] = []
    lines: dict[str, int] = {}
    for number, line in _lines(file):
        try:
            prompt = _parse(line, emotions)
            key = prompt.file.lower()  # some file systems do not distinguish a.png from A.png
            if key in lines:
                raise ValueError(
                    f"'{prompt.file}' is already named in line {lines[key]}; each image needs a unique name"
                )
            if key in taken:
                raise ValueError(f"'{prompt.file}' is already in the dataset; choose another name")
        except ValueError as error:
            raise DataError(f"{file}, line {number}: {error}") from error
        lines[key] = number
        prompts.append(prompt)
    if not prompts:
        raise DataError(f"{file}: contains no prompts")
    return prompts


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with open_text(file, "utf-8-sig") as lines:  # some editors write a byte order mark
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file of prompts") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text") from error
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from error


class _Pairs(dict[str, Any]):
    """A JSON object that records its duplicate keys."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.duplicates = {name for name, times in Counter(name for name, _ in pairs).items() if times > 1}


def _parse(line: str, emotions: Sequence[str]) -> Prompt:
    """Return the prompt of a line.

    Raises:
        ValueError: the line is invalid; the message says why.
    """
    try:
        values = json.loads(line, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise ValueError("not valid JSON") from error
    if not isinstance(values, _Pairs):
        raise ValueError('not a JSON object, {"file": …, "emotion": …, "seed": …, "prompt": …}')
    for name in values:
        if name in values.duplicates:
            raise ValueError(f"{name} occurs twice")
        if name not in FIELDS:
            raise ValueError(did_you_mean("field", name, list(FIELDS)))
    for name in REQUIRED:
        if name not in values:
            raise ValueError(f"{name} is missing; required are {', '.join(REQUIRED)}")
    for name in FIELDS:
        if name != "seed" and not isinstance(values.get(name, ""), str):
            raise ValueError(f"{name} is not a string")
        if name in values and re.search("[\ud800-\udfff]", str(values[name])):
            raise ValueError(f"{name} contains an unpaired surrogate (\\ud800 to \\udfff), which is not valid text")
    text, seed = values["prompt"], values["seed"]
    if not text.strip() or max(len(text), len(values.get("negative_prompt", ""))) > MAX_LENGTH:
        raise ValueError(f"the prompt is empty, or longer than {MAX_LENGTH:,} characters")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**62:
        raise ValueError(f"seed {str(seed)[:40]} is not a non-negative integer")
    if values["emotion"] not in emotions:
        raise ValueError(did_you_mean("emotion", values["emotion"], list(emotions)))
    _check_path(values)
    gender, age, origin = (values.get(name, "") for name in ("gender", "age", "origin"))
    negative = values.get("negative_prompt", NEGATIVE)
    return Prompt(values["file"], values["emotion"], seed, text, gender, age, origin, negative)


def _check_path(values: dict[str, Any]) -> None:
    file, emotion = values["file"], values["emotion"]
    parts = file.split("/")
    if not _PATH.fullmatch(file) or len(file) > 200 or any(part.startswith(".") for part in parts):
        raise ValueError(f"file '{file[:80]}' is not a path in a dataset; expected <split>/<emotion>/<name>.png")
    if parts[0] not in SPLITS:
        raise ValueError(f"file '{file}': {did_you_mean('split', parts[0], list(SPLITS))}")
    if parts[1] != emotion:
        raise ValueError(f"file '{file}' is in the folder {parts[1]}, but its emotion is {emotion}")
