"""The prompts' faces, one after the other: taken in the prompts' order, each unlike all before it, or drawn again.

Images come out of order (a rejected one is drawn again among later ones, and a cluster's workers differ in pace). They
are taken in order, so that which of two near copies is rejected depends on nothing but the prompts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from fercli.datasets.duplicate_index import DuplicateIndex, fingerprint
from fercli.errors import DataError, ImageError
from fercli.generation.diffusion.faces import COPY, Result, Task
from fercli.generation.diffusion.journal import Entry, Journal
from fercli.generation.diffusion.pipeline import Request
from fercli.generation.prompts.prompts import Prompt
from fercli.images import encode_png, pixel_digest, read_image
from fercli.progress import Progress

HOPELESS = 20
"""If none of the first so many prompts gives a face, none is drawn any further: hours would go for nothing."""

Make = Callable[[deque[Task]], Iterable[Result]]
"""Yields what came of the tasks, in any order; it may see tasks that are added while it runs, or not."""


@dataclass
class Drawing:
    """Images being generated.

    Attributes:
        folder: Folder of the data set that is written.
        prompts: What is wanted.
        lookout: Knows the data set's own images; the new ones are added.
        journal: What was drawn so far.
        tries: Images drawn at most for one prompt.
        progress: Moves with the prompts.
        taken: What came of each prompt, in their order: an entry without a digest has no face.
    """

    folder: Path
    prompts: Sequence[Prompt]
    lookout: DuplicateIndex
    journal: Journal
    tries: int
    progress: Progress
    taken: list[Entry] = field(default_factory=list)
    _waiting: dict[int, Entry] = field(default_factory=dict)

    def run(self, make: Make) -> list[Entry]:
        """Draw until every prompt has a face or its tries are spent; return what came of each.

        Raises:
            DataError: the first prompts give no face at all.
        """
        self._waiting = {k: e for k, e in self.journal.entries.items() if k < len(self.prompts) and self._stands(e)}
        tasks = deque(self._task(k) for k in range(len(self.prompts)) if k not in self._waiting)
        before, started = self.journal.seconds, perf_counter()
        with self.progress.task("generating", len(self.prompts)):
            tasks.extendleft(self._take())
            while tasks:
                for made in _closing(make(tasks)):
                    entry = self._keep(made)
                    self.journal.add(entry, before + perf_counter() - started, self.journal.images + self._drawn(made))
                    self._waiting[entry.number] = entry
                    tasks.extendleft(self._take())
        return self.taken

    def _task(self, number: int) -> Task:
        """Return the task of a prompt's first image, or of the one that is lost after an earlier call drew it."""
        prompt, earlier = self.prompts[number], self.journal.entries.get(number)
        order = Request(prompt.text, prompt.negative, prompt.seed)
        return Task(number, order) if earlier is None else Task(number, order, earlier.tries, earlier.rejected)

    def _drawn(self, made: Result) -> int:
        """Return how many images a task took this time."""
        earlier = self.journal.entries.get(made.task.number)
        before = 0 if earlier is None else earlier.tries + bool(earlier.sha256)
        return made.task.tries + (made.crop is not None) - before

    def _stands(self, entry: Entry) -> bool:
        """Tell whether the face of an earlier call is whole and in its place."""
        if not entry.sha256:
            return True
        try:
            return pixel_digest(read_image(self.folder / self.prompts[entry.number].file)) == entry.sha256
        except ImageError:
            return False

    def _keep(self, made: Result) -> Entry:
        """Write a face to its place."""
        task = made.task
        if made.crop is None or made.face is None:
            return Entry(task.number, task.tries, task.rejected)
        place = self.folder / self.prompts[task.number].file
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(encode_png(made.crop))
        box = " ".join(f"{value:.2f}" for value in made.face.box)
        return Entry(task.number, task.tries, task.rejected, pixel_digest(made.crop), box, f"{made.face.score:.4f}")

    def _take(self) -> Iterator[Task]:
        """Take the faces whose turn it is; yield the task of one that is a copy, for which the next then waits."""
        while (number := len(self.taken)) in self._waiting:
            entry = self._waiting[number]
            if entry.sha256:
                place = self.prompts[number].file
                pixels = read_image(self.folder / place)
                picture = fingerprint(pixels)
                if self.lookout.copy_of(pixels, picture) is not None:
                    (self.folder / place).unlink()
                    del self._waiting[number]
                    task = self._task(number).again(COPY)
                    if task.tries < self.tries:
                        yield task
                        return
                    entry = Entry(number, task.tries, task.rejected)
                else:
                    self.lookout.add(place, picture)
            self._waiting.pop(number, None)
            self.taken.append(entry)
            self.progress.advance(note=f"{sum(one.tries for one in self.taken):,} rejected")
            self._give_up()

    def _give_up(self) -> None:
        if len(self.taken) == min(HOPELESS, len(self.prompts)) and not any(entry.sha256 for entry in self.taken):
            images = sum(entry.tries for entry in self.taken)
            raise DataError(
                f"not one face in the first {images:,} images ({describe_rejections(self.taken)}); is the generator "
                "one of photographs? else try another --detector, more --steps, or a larger --image-size"
            )


def _closing(made: Iterable[Result]) -> Iterator[Result]:
    """Yield from an iterator, and close it when the caller stops early: a cluster's workers end by that."""
    try:
        yield from made
    finally:
        close = getattr(made, "close", None)
        if close is not None:
            close()


def describe_rejections(entries: Iterable[Entry]) -> str:
    """Return the reasons of all rejections, counted, as people read them."""
    return ", ".join(f"{count:,} {reason}" for reason, count in rejections(entries).items()) or "none rejected"


def rejections(entries: Iterable[Entry]) -> dict[str, int]:
    """Return how many images were rejected, by reason."""
    counts: dict[str, int] = {}
    for entry in entries:
        for reason in entry.rejected:
            counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
