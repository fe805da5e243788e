"""The lineage in an evaluation's report: all stages, including one that changed nothing, and all members."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fercli
from fercli.artifacts import Artifact
from tests.helpers.datasets import face, make_dataset
from tests.helpers.models import make_run


def lineage_of(evaluation: Artifact) -> list[tuple[str, str]]:
    """Return kind and name of each entry under "Lineage"."""
    page = (evaluation.path / "report.html").read_text(encoding="utf-8")
    return [(kind, path.rsplit("/", 1)[-1]) for kind, path in re.findall(r"<b>(\w+)</b> <code>([^<]*)</code>", page)]


@pytest.mark.slow
def test_lineage_lists_all_stages_and_members(tmp_path: Path) -> None:
    splits = ("train", "validation", "test")
    faces = {f"{split}/{emotion}/0.png": face(k, 16) for k, split in enumerate(splits) for emotion in ("sad",)}
    data = make_dataset(tmp_path / "data", faces)
    cleaned = fercli.clean(data.path, tmp_path / "cleaned")
    assert cleaned.manifest.digest == data.manifest.digest
    pack = fercli.pack(cleaned.path, tmp_path / "pack")
    runs = [make_run(tmp_path / f"run-{seed}", pack, seed=seed) for seed in (0, 1)]
    shared = [("pack", "pack"), ("dataset", "cleaned"), ("dataset", "data")]
    single = fercli.evaluate(runs[0].path, pack.path, tmp_path / "evaluation", device="cpu")
    assert lineage_of(single) == [("run", "run-0"), *shared]
    joint = fercli.ensemble([run.path for run in runs], tmp_path / "ensemble", pack=pack.path, device="cpu")
    assert lineage_of(joint) == [("run", "run-0"), *shared, ("run", "run-1")]
