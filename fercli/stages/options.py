"""Options shared by several stages."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from fercli.datasets.balancing.policies import parse_policy
from fercli.datasets.index import SPLITS
from fercli.emotions import CONTEMPT, EMOTIONS, canonical
from fercli.errors import UsageError, did_you_mean
from fercli.faces.detectors import DEFAULT_HELP, NAMES_HELP
from fercli.stages.base import Accepts, Cli
from fercli.trackers.table import NAMES_HELP as TRACKERS_HELP
from fercli.trackers.table import parse_targets
from fercli.videos.every import Every

Out = Annotated[
    Path | None, Field(description="Output path of the artifact."), Cli(argument=True, metavar="OUT", in_key=False)
]
OutOption = Annotated[Path | None, Field(description="Output path of the artifact."), Cli(metavar="OUT", in_key=False)]
"""`--out`, for commands whose positional arguments are inputs only."""
CHECKPOINT_HELP = (
    "A checkpoint, a run (its best checkpoint), a model listed by fer models --pretrained, or one on the hub, as "
    "hf://OWNER/NAME."
)
Overwrite = Annotated[bool, Field(description="Replace a different artifact at the output path."), Cli(in_key=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32, description="Random seed.")]
Split = Annotated[
    Literal["train", "validation", "test", "all"],
    Field(description="Split to evaluate; all is for packs that the run was not trained on"),
]
Tta = Annotated[
    Literal["none", "flip", "ten-crop"],
    Field(description="Test-time augmentation, averaged over views of each face"),
]
Detector = Annotated[str | None, Field(description=f"Face detector: {NAMES_HELP} {DEFAULT_HELP}."), Cli(metavar="NAME")]
DetectorWeights = Annotated[
    Path | None,
    Field(description="Weights file of the detector (default: the file from fer weights get)."),
    Cli(metavar="FILE", in_key=False),
]
Margin = Annotated[
    float, Field(ge=0, le=1, description="Margin around the detected box on each side, as a share of its size.")
]
Strict = Annotated[bool, Field(description="Stop at the first unreadable image instead of skipping it.")]
Engine = Annotated[
    Literal["local", "ray"], Field(description="Where to run: on this machine or on Ray"), Cli(in_key=False)
]
RayAddress = Annotated[
    str | None,
    Field(description="Ray cluster, HOST:PORT or auto (default: RAY_ADDRESS, or this machine)."),
    Cli(metavar="ADDRESS", in_key=False),
]
SearchSize = Annotated[
    int | None,
    Field(
        ge=32,
        description="Longest side in pixels to which photographs are resized for detection; larger finds smaller faces "
        "but is slower (default: derived from the crop size).",
    ),
    Cli(metavar="N", added=True),
]
Turns = Annotated[
    bool,
    Field(description="Also detect faces rotated by 90, 180 and 270 degrees; they are cropped upright."),
    Cli(added=True),
]
InferenceBatchSize = Annotated[
    int,
    Field(ge=1, le=65_536, description="Faces per batch; does not affect results."),
    Cli(in_key=False),
]


def _frame_step(value: object) -> object:
    """Normalise a frame interval, so that 500ms and 0.5s, or 10 and 10f, are the same value."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return str(Every.parse(text)) if isinstance(text, str) else value


FrameStep = Annotated[
    str,
    BeforeValidator(_frame_step),
    Accepts(str | int),
    Field(description="Interval between frames sampled from videos: 1s, 0.5s, 250ms, or 10 for every tenth frame."),
    Cli(metavar="TIME"),
]
Workers = Annotated[
    int | None,
    Field(ge=0, description="Parallel workers; 0 does all work in the main thread (default: one per CPU core)."),
    Cli(in_key=False),
]
Device = Annotated[
    str,
    Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="Device: auto, cpu, cuda, cuda:N or mps."),
    Cli(in_key=False),
]


def _device_count(given: object) -> object:
    """Return a number of devices as text; a number is accepted too."""
    text = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
    if isinstance(text, str) and not re.fullmatch(r"all|[1-9]\d{0,3}", text):
        raise ValueError("expected a number from 1 to 9999, or all")
    return text


_Count = Annotated[str, BeforeValidator(_device_count), Accepts(str | int), Cli(metavar="N|all", in_key=False)]
Devices = Annotated[
    _Count,
    Field(description="Number of devices to train on, or all: CUDA devices, or processes that share the CPU's cores."),
]
InferenceDevices = Annotated[_Count, Field(description="Number of CUDA devices that share each batch, or all.")]
JobDevices = Annotated[
    _Count, Field(description="Number of CUDA devices at which the jobs take turns, or all; at least as many jobs run.")
]


def _track(given: object) -> object:
    """Check the trackers' names and destinations; one may be given without a sequence."""
    texts = (given,) if isinstance(given, str) else given
    if isinstance(texts, Sequence) and all(isinstance(text, str) for text in texts):
        parse_targets(texts)
        return tuple(texts)
    return given


Track = Annotated[
    tuple[str, ...],
    BeforeValidator(_track),
    Accepts(str | Sequence[str]),
    Field(description=f"Experiment tracker, and optionally its destination: {TRACKERS_HELP}."),
    Cli(metavar="NAME[=WHERE]", in_key=False),
]


def policy_name(given: object) -> object:
    """Normalise a policy of balance, given by name or as a number."""
    return parse_policy(given) if isinstance(given, str | int) and not isinstance(given, bool) else given


def split_names(given: object) -> object:
    """Return the splits, comma-separated, in canonical order and without duplicates; accepts a sequence too."""
    if not isinstance(given, str | Sequence):
        return given
    names = [str(name).strip() for name in (given.split(",") if isinstance(given, str) else given)]
    for name in names:
        if name not in SPLITS:
            raise UsageError(did_you_mean("split", name, list(SPLITS)))
    if not names:
        raise UsageError(f"splits: name at least one of {', '.join(SPLITS)}")
    return ",".join(split for split in SPLITS if split in names)


def path_text(value: Any) -> str:
    """Validate text that may be a path: pydantic's `str` rejects paths and names that are not UTF-8."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError("input should be a valid string")
    if not (text := os.fsdecode(value)):
        raise ValueError("input should not be empty")
    return text


def path_text_or_none(value: Any) -> str | None:
    """Validate like `path_text`, but accept None."""
    return None if value is None else path_text(value)


def _emotion_order(value: Any) -> Any:
    """Return emotions as one string, `happy,surprise,…`, in canonical spelling."""
    if value is None:
        return None
    names = value.split(",") if isinstance(value, str) else [str(name) for name in value]
    found = [canonical(name) for name in names]
    if None in found:
        raise ValueError(
            f"'{names[found.index(None)].strip()}' is not an emotion; use {', '.join(EMOTIONS)} or {CONTEMPT}"
        )
    if len(set(found)) < len(found):
        raise ValueError("an emotion occurs twice")
    if len(found) not in (len(EMOTIONS), len(EMOTIONS) + 1):
        raise ValueError("expected 7 or 8 emotions, in the order of the file's classifier")
    return ",".join(str(name) for name in found)


WeightsEmotions = Annotated[
    str | None,
    BeforeValidator(_emotion_order),
    Accepts(str | Sequence[str] | None),
    Field(
        description="Emotions in the class order of --weights FILE, as in happy,surprise,… (default: the order in the "
        "checkpoint's metadata, or that of the model's authors)."
    ),
    Cli(metavar="NAMES", added=True),
]
