"""The stage: render the photographs, in one process per core, and write the ground truth."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from joblib import Parallel, delayed

from fercli.artifacts import Artifact
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file, digest_json
from fercli.artifacts.tables import write_csv
from fercli.datasets.index import SPLITS
from fercli.emotions import EMOTIONS
from fercli.progress import SILENT, Progress
from fercli.stages.base import resolve_output
from fercli.stages.sample.config import SampleConfig
from fercli.stages.sample.contact_sheet import SHEET, contact_sheet
from fercli.stages.sample.summary import PhotographsSummary
from fercli.stages.sample.tasks import RenderedPhotograph, Task, batches, plan_tasks, render_in_worker, render_tasks
from fercli.stages.sample.truth import COLUMNS, TRUTH, truth_rows

_BATCH = 8


def sample(config: SampleConfig, progress: Progress = SILENT) -> Artifact:
    """Render photographs with faces that show the seven emotions.

    All faces in a photograph show the emotion of its folder. No person is in two splits: each split has its own people,
    half as many as photographs. The same seed gives the same bytes, whatever the number of workers.

    Returns:
        Photographs as `<split>/<emotion>/<name>.jpg`, `truth.csv` with box, landmarks and action units of every face,
        and `contact-sheet.png`.

    Raises:
        UsageError: an option is invalid.
        DataError: something else already exists at the output path.
    """
    out = resolve_output(config, config.out, Path("faces"), [], progress) if config.out is None else config.out
    options = config.options()
    with build(
        out, config.kind, config.stage, options=options, inputs=[], seed=config.seed, overwrite=config.overwrite
    ) as builder:
        if builder.done is None:
            tasks = plan_tasks(config.images)
            for task in tasks:
                (builder.folder / task.path).parent.mkdir(parents=True, exist_ok=True)
            rendered = list(progress.track(_render_all(builder.folder, tasks, config), "rendering", len(tasks)))
            found = zip(tasks, (one.faces for one in rendered), strict=True)
            write_csv(builder.folder / TRUTH, COLUMNS, truth_rows(found))
            (builder.folder / SHEET).write_bytes(contact_sheet(builder.folder, tasks, rendered))
            files = {task.path: one.sha256 for task, one in zip(tasks, rendered, strict=True)}
            counts = {s: {e: sum(t.split == s and t.emotion == e for t in tasks) for e in EMOTIONS} for s in SPLITS}
            builder.finish(
                digest=digest_json([digest_file(builder.folder / TRUTH), files]),
                emotions=list(EMOTIONS),
                counts=counts,
                summary=PhotographsSummary(
                    images={split: sum(by_emotion.values()) for split, by_emotion in counts.items()},
                    faces=sum(len(one.faces) for one in rendered),
                    emotions=list(EMOTIONS),
                ),
            )
    return builder.artifact


def _render_all(folder: Path, tasks: list[Task], config: SampleConfig) -> Iterator[RenderedPhotograph]:
    """Render the tasks and yield them in order, working a bounded number ahead.

    Processes come from joblib: unlike the standard library's, they do not run the caller's script again, so
    `fercli.sample` can be called at the top level of a script.
    """
    workers = (os.cpu_count() or 1) if config.workers is None else config.workers
    if workers < 2:
        for task in tasks:
            yield from render_tasks(folder, [task], config.seed)
        return
    pool = Parallel(workers, backend="loky", return_as="generator", batch_size=1, pre_dispatch=2 * workers)
    for batch in pool(delayed(render_in_worker)(folder, part, config.seed) for part in batches(tasks, _BATCH)):
        yield from batch
