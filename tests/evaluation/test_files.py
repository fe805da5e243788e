"""The lineage on an evaluation's page: every stage, also one that changed nothing, and every member by its run."""

from __future__ import annotations

import re
from pathlib import Path

import fercli
from fercli.artifacts import Artifact
from tests.helpers.datasets import face, make_dataset
from tests.helpers.models import make_run


def listed(evaluation: Artifact) -> list[tuple[str, str]]:
    """Return kind and name of each entry under "Made from"."""
    page = (evaluation.path / "report.html").read_text(encoding="utf-8")
    return [(kind, path.rsplit("/", 1)[-1]) for kind, path in re.findall(r"<b>(\w+)</b> <code>([^<]*)</code>", page)]


def test_no_stage_and_no_member_is_missing(tmp_path: Path) -> None:
    splits = ("train", "validation", "test")
    faces = {f"{split}/{emotion}/0.png": face(k, 16) for k, split in enumerate(splits) for emotion in ("sad",)}
    data = make_dataset(tmp_path / "data", faces)
    cleaned = fercli.clean(data.path, tmp_path / "cleaned")
    assert cleaned.manifest.digest == data.manifest.digest
    pack = fercli.pack(cleaned.path, tmp_path / "pack")
    runs = [make_run(tmp_path / f"run-{seed}", pack, seed=seed) for seed in (0, 1)]
    shared = [("pack", "pack"), ("dataset", "cleaned"), ("dataset", "data")]
    alone = fercli.evaluate(runs[0].path, pack.path, tmp_path / "evaluation", device="cpu")
    assert listed(alone) == [("run", "run-0"), *shared]
    together = fercli.ensemble([run.path for run in runs], tmp_path / "ensemble", pack=pack.path, device="cpu")
    assert listed(together) == [("run", "run-0"), *shared, ("run", "run-1")]
