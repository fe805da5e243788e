"""A generation run: accepts the faces of all prompts in order, and retries near copies of earlier images.

Images are generated out of order, since retries are mixed with later prompts and cluster workers differ in speed. They
are accepted in order, so that which of two near copies is rejected depends only on the prompts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from fercli.datasets.duplicate_index import DuplicateIndex, fingerprint
from fercli.errors import DataError, ImageError
from fercli.generation.diffusion.face_generator import COPY, Result, Task
from fercli.generation.diffusion.journal import Entry, Journal
from fercli.generation.diffusion.pipeline import Request
from fercli.generation.prompts.prompt import Prompt
from fercli.images import encode_png, pixel_digest, read_image
from fercli.progress import Progress

ABORT_AFTER = 20
"""Abort, rather than waste hours, if none of this many first prompts yields a face."""

Generate = Callable[[deque[Task]], Iterable[Result]]
"""Yields the results of tasks, in any order; it may or may not take tasks that are added while it runs."""


@dataclass
class GenerationRun:
    """Generates the images of prompts.

    Attributes:
        folder: Folder of the output dataset.
        prompts: The prompts.
        duplicates: Index of the dataset's images, to which the new ones are added.
        journal: Journal of the images generated so far.
        max_tries: Maximum number of images per prompt.
        progress: Progress callback, advanced by each prompt.
        results: The result of each prompt, in order; an entry without a digest has no face.
    """

    folder: Path
    prompts: Sequence[Prompt]
    duplicates: DuplicateIndex
    journal: Journal
    max_tries: int
    progress: Progress
    results: list[Entry] = field(default_factory=list)
    _pending: dict[int, Entry] = field(default_factory=dict)

    def run(self, generate: Generate) -> list[Entry]:
        """Generate until every prompt has a face or is out of tries; return the result of each.

        Raises:
            DataError: none of the first prompts yields a face.
        """
        self._pending = {k: e for k, e in self.journal.entries.items() if k < len(self.prompts) and self._is_intact(e)}
        tasks = deque(self._task(k) for k in range(len(self.prompts)) if k not in self._pending)
        before, started = self.journal.seconds, perf_counter()
        with self.progress.task("generating", len(self.prompts)):
            tasks.extendleft(self._accept())
            while tasks:
                for result in _closing(generate(tasks)):
                    entry = self._write(result)
                    images = self.journal.images + self._count_images(result)
                    self.journal.add(entry, before + perf_counter() - started, images)
                    self._pending[entry.number] = entry
                    tasks.extendleft(self._accept())
        return self.results

    def _task(self, number: int) -> Task:
        """Return the task of a prompt's first image, or of an image of an earlier call whose file was lost."""
        prompt, earlier = self.prompts[number], self.journal.entries.get(number)
        request = Request(prompt.text, prompt.negative, prompt.seed)
        return Task(number, request) if earlier is None else Task(number, request, earlier.tries, earlier.rejected)

    def _count_images(self, result: Result) -> int:
        """Return how many images were generated for a result since its last journal entry."""
        earlier = self.journal.entries.get(result.task.number)
        before = 0 if earlier is None else earlier.tries + bool(earlier.sha256)
        return result.task.tries + (result.crop is not None) - before

    def _is_intact(self, entry: Entry) -> bool:
        """Return whether the face of an earlier call exists and is intact."""
        if not entry.sha256:
            return True
        try:
            return pixel_digest(read_image(self.folder / self.prompts[entry.number].file)) == entry.sha256
        except ImageError:
            return False

    def _write(self, result: Result) -> Entry:
        """Write the face of a result to its file."""
        task = result.task
        if result.crop is None or result.face is None:
            return Entry(task.number, task.tries, task.rejected)
        path = self.folder / self.prompts[task.number].file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_png(result.crop))
        box = " ".join(f"{value:.2f}" for value in result.face.box)
        digest = pixel_digest(result.crop)
        return Entry(task.number, task.tries, task.rejected, digest, box, f"{result.face.score:.4f}")

    def _accept(self) -> Iterator[Task]:
        """Accept the faces that are next in order; for a near copy, yield its retry, for which later faces wait."""
        while (number := len(self.results)) in self._pending:
            entry = self._pending[number]
            if entry.sha256:
                file = self.prompts[number].file
                pixels = read_image(self.folder / file)
                image_print = fingerprint(pixels)
                if self.duplicates.copy_of(pixels, image_print) is not None:
                    (self.folder / file).unlink()
                    del self._pending[number]
                    task = self._task(number).retry(COPY)
                    if task.tries < self.max_tries:
                        yield task
                        return
                    entry = Entry(number, task.tries, task.rejected)
                else:
                    self.duplicates.add(file, image_print)
            self._pending.pop(number, None)
            self.results.append(entry)
            self.progress.advance(note=f"{sum(one.tries for one in self.results):,} rejected")
            self._check_success()

    def _check_success(self) -> None:
        if len(self.results) == min(ABORT_AFTER, len(self.prompts)) and not any(entry.sha256 for entry in self.results):
            images = sum(entry.tries for entry in self.results)
            raise DataError(
                f"no face detected in the first {images:,} images ({describe_rejections(self.results)}); does the "
                "generator make photographs? if so, try another --detector, more --steps, or a larger --image-size"
            )


def _closing(results: Iterable[Result]) -> Iterator[Result]:
    """Yield from an iterator, and close it if the caller stops early, which stops the cluster workers."""
    try:
        yield from results
    finally:
        close = getattr(results, "close", None)
        if close is not None:
            close()


def describe_rejections(entries: Iterable[Entry]) -> str:
    """Return the number of rejections by reason, formatted for messages."""
    return ", ".join(f"{count:,} {reason}" for reason, count in rejections(entries).items()) or "none rejected"


def rejections(entries: Iterable[Entry]) -> dict[str, int]:
    """Return the number of rejected images by reason."""
    counts: dict[str, int] = {}
    for entry in entries:
        for reason in entry.rejected:
            counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
