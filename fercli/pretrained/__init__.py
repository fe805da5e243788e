"""fercli's own trained models, which are part of the package. Imported without torch.

Each is a folder with a checkpoint, whose weights have half precision, and a model card, `CARD.md`. A command that takes
a checkpoint also takes their names. `benchmarks/pretrained.sh` makes them.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from fercli.exported import is_exported
from fercli.hub.address import is_address

HOME = Path(__file__).parent
DEFAULT = "ferplus"
"""The model that predict and explain use if none is given."""
CARD = "CARD.md"
FIGURES = "figures.json"
_WEIGHTS = "model.safetensors"


def pretrained_names() -> list[str]:
    """Return the names of the models, the default first."""
    found = (path.parent.name for path in HOME.glob(f"*/{_WEIGHTS}"))
    return sorted(found, key=lambda name: (name != DEFAULT, name))


def find_pretrained(path: str | os.PathLike[str]) -> Path | None:
    """Return the folder of the model that a path names; None if it names none.

    A run or checkpoint of that name in the working directory takes precedence, another file or folder does not.
    """
    name = os.fspath(path)
    if name not in pretrained_names():
        return None
    here = Path(name)
    ours = (here / "best").exists() or (here / _WEIGHTS).exists() or Path(f".{name}.partial").exists()
    return None if ours else HOME / name


def names_checkpoint(path: Path) -> bool:
    """Return whether a path names one of the models, or is a checkpoint, a run or an exported model by its contents.

    An address on the hub always is, since nothing else has one.
    """
    return (
        is_address(path)
        or find_pretrained(path) is not None
        or is_exported(path)
        or (path / "best").is_dir()
        or (path / "model.json").is_file()
    )


def is_pretrained(folder: Path) -> bool:
    """Return whether a folder is that of one of the models."""
    return folder.parent == HOME


@dataclass(frozen=True)
class Figure:
    """One measurement of a model's card, by `fer evaluate`.

    Attributes:
        data: The dataset and split, for display.
        n: Number of faces.
        accuracy: Accuracy, 0..1.
        interval: Its 95 % interval, (low, high).
        macro_f1: Macro F1 over the emotions that occur.
        error: Expected calibration error (15 bins).
        raw_error: The same before calibration.
        tta: Test-time augmentation.
        seen: Whether the model was trained or selected on other images of this dataset.
    """

    data: str
    n: int
    accuracy: float
    interval: tuple[float, float]
    macro_f1: float
    error: float
    raw_error: float
    tta: str
    seen: bool


def read_card(name: str) -> str:
    """Return a model's card, in Markdown."""
    return (HOME / name / CARD).read_text("utf-8")


def read_figures(name: str) -> list[Figure]:
    """Return the measurements of a model's card, the most important first."""
    found = json.loads((HOME / name / FIGURES).read_text("utf-8"))
    return [Figure(**{**one, "interval": tuple(one["interval"])}) for one in found]
