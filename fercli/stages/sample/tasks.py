"""Planning and rendering: one task per photograph, independent of the worker and the order."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from fercli.datasets.index import SPLITS
from fercli.datasets.splitting import stratified
from fercli.emotions import EMOTIONS
from fercli.faces.synthetic.identity import Identity, sample_identity
from fercli.faces.synthetic.photograph import FaceTruth, render_photograph
from fercli.images import Pixels

_PHOTOGRAPHS, _PEOPLE = 0, 1  # separate the random streams


@dataclass(frozen=True, slots=True)
class Task:
    """One photograph to render.

    Attributes:
        path: Path within the artifact: `<split>/<emotion>/<emotion>-<number>.jpg`.
        number: Its number among the emotion's photographs, over all splits.
        people: Number of people in its split.
    """

    path: str
    split: str
    emotion: str
    number: int
    people: int


@dataclass(frozen=True, slots=True)
class RenderedPhotograph:
    """A rendered photograph: the SHA-256 of its file, and its faces."""

    sha256: str
    faces: list[FaceTruth]


def plan_tasks(images: int) -> list[Task]:
    """Return the tasks: emotions balanced, each split 80/10/10, in order of split and emotion."""
    emotions = [EMOTIONS[k % len(EMOTIONS)] for k in range(images)]
    cells = Counter(zip(stratified(emotions), emotions, strict=True))
    in_split = Counter(split for split, _ in cells.elements())
    done: Counter[str] = Counter()
    tasks = []
    for split in SPLITS:
        for emotion in EMOTIONS:
            for _ in range(cells[split, emotion]):
                done[emotion] += 1
                path = f"{split}/{emotion}/{emotion}-{done[emotion]:04d}.jpg"
                tasks.append(Task(path, split, emotion, done[emotion], max(3, in_split[split] // 2)))
    return tasks


def sample_person(seed: int, split: str, number: int) -> Identity:
    """Sample a person of a split. The split is part of the seed, so no person is in two splits."""
    return sample_identity(np.random.default_rng([seed, _PEOPLE, SPLITS.index(split), number]))


def render_tasks(folder: Path, tasks: Iterable[Task], seed: int) -> list[RenderedPhotograph]:
    """Render photographs into the artifact's folder; the bytes of each depend only on the seed and its task."""
    return [_render(folder, task, seed) for task in tasks]


def _render(folder: Path, task: Task, seed: int) -> RenderedPhotograph:
    key = [seed, _PHOTOGRAPHS, SPLITS.index(task.split), EMOTIONS.index(task.emotion), task.number]
    generator = np.random.default_rng(key)
    pixels, faces = render_photograph(task.emotion, task.people, partial(sample_person, seed, task.split), generator)
    data = _jpeg(pixels, int(generator.integers(60, 96)))
    (folder / task.path).write_bytes(data)
    return RenderedPhotograph(hashlib.sha256(data).hexdigest(), faces)


def render_in_worker(folder: Path, tasks: list[Task], seed: int) -> list[RenderedPhotograph]:
    """Like `render_tasks`, for one of several processes: without OpenCV's own threads."""
    cv2.setNumThreads(1)
    return render_tasks(folder, tasks, seed)


def batches(tasks: list[Task], size: int) -> Iterator[list[Task]]:
    """Yield the tasks in batches."""
    for start in range(0, len(tasks), size):
        yield tasks[start : start + size]


def _jpeg(pixels: Pixels, quality: int) -> bytes:
    return bytes(cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1])
