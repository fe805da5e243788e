"""Reading prompts.jsonl, which people edit by hand: every mistake is one line that names the line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from fercli.datasets.index import SPLITS
from fercli.errors import DataError, did_you_mean
from fercli.files import open_text
from fercli.generation.prompts.prompts import Prompt
from fercli.generation.prompts.vocabulary import NEGATIVE

FIELDS = ("file", "emotion", "seed", "prompt", "negative_prompt", "gender", "age", "origin")
NEEDED = FIELDS[:4]
LONGEST = 4000
"""Characters of a prompt; the text encoder reads about 300."""
_PLACE = re.compile(r"[^/\\\x00-\x1f]+/[^/\\\x00-\x1f]+/[^/\\\x00-\x1f]+\.png")


def read_prompts(file: Path, emotions: Sequence[str], taken: Collection[str] = ()) -> list[Prompt]:
    """Read prompts, a line of JSON each; blank lines are passed over.

    Args:
        file: The file.
        emotions: Those that a prompt may be for.
        taken: Places, in lower case, that have an image already.

    Raises:
        DataError: the file cannot be read, is empty, or a line is wrong.
    """
    prompts: list[Prompt] = []
    places: dict[str, int] = {}
    for number, line in _lines(file):
        try:
            prompt = _prompt(line, emotions)
            key = prompt.file.lower()  # some disks do not tell a.png from A.png
            if key in places:
                raise ValueError(f"'{prompt.file}' has been named in line {places[key]}; each image needs a name")
            if key in taken:
                raise ValueError(f"'{prompt.file}' is in the data set already; name it otherwise")
        except ValueError as error:
            raise DataError(f"{file}, line {number}: {error}") from error
        places[key] = number
        prompts.append(prompt)
    if not prompts:
        raise DataError(f"{file}: no prompt in it")
    return prompts


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        with open_text(file, "utf-8-sig") as lines:  # some editors begin a file with a mark
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file of prompts") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not a text in UTF-8") from error
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from error


class _Pairs(dict[str, Any]):
    """An object of JSON that knows which of its names stood twice."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.twice = {name for name, times in Counter(name for name, _ in pairs).items() if times > 1}


def _prompt(line: str, emotions: Sequence[str]) -> Prompt:
    """Return the prompt of a line.

    Raises:
        ValueError: with what is wrong.
    """
    try:
        values = json.loads(line, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        raise ValueError("not a line of JSON") from error
    if not isinstance(values, _Pairs):
        raise ValueError('not an object of JSON, {"file": …, "emotion": …, "seed": …, "prompt": …}')
    for name in values:
        if name in values.twice:
            raise ValueError(f"{name} is named twice")
        if name not in FIELDS:
            raise ValueError(did_you_mean("field", name, list(FIELDS)))
    for name in NEEDED:
        if name not in values:
            raise ValueError(f"no {name} in it; wanted are {', '.join(NEEDED)}")
    for name in FIELDS:
        if name != "seed" and not isinstance(values.get(name, ""), str):
            raise ValueError(f"{name} is no text")
        if name in values and re.search("[\ud800-\udfff]", str(values[name])):
            raise ValueError(f"{name} holds half a character (\\ud800 to \\udfff), which no text has")
    text, seed = values["prompt"], values["seed"]
    if not text.strip() or max(len(text), len(values.get("negative_prompt", ""))) > LONGEST:
        raise ValueError(f"the prompt is empty, or of more than {LONGEST:,} characters")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**62:
        raise ValueError(f"seed {str(seed)[:40]} is no whole number from 0 on")
    if values["emotion"] not in emotions:
        raise ValueError(did_you_mean("emotion", values["emotion"], list(emotions)))
    _check_place(values)
    gender, age, origin = (values.get(name, "") for name in ("gender", "age", "origin"))
    negative = values.get("negative_prompt", NEGATIVE)
    return Prompt(values["file"], values["emotion"], seed, text, gender, age, origin, negative)


def _check_place(values: dict[str, Any]) -> None:
    file, emotion = values["file"], values["emotion"]
    parts = file.split("/")
    if not _PLACE.fullmatch(file) or len(file) > 200 or any(part.startswith(".") for part in parts):
        raise ValueError(f"file '{file[:80]}' is no place in a data set: wanted as <split>/<emotion>/<name>.png")
    if parts[0] not in SPLITS:
        raise ValueError(f"file '{file}': {did_you_mean('split', parts[0], list(SPLITS))}")
    if parts[1] != emotion:
        raise ValueError(f"file '{file}' lies among {parts[1]}, but its emotion is {emotion}")
