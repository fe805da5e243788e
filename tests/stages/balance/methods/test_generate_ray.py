"""Generation on Ray: the same dataset as in one process."""

import json
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.datasets.index import read_index
from fercli.images import read_image
from tests.helpers import generators
from tests.helpers.datasets import encoded, face, make_dataset

ray = pytest.importorskip("ray")
pytest.importorskip("diffusers")
pytest.importorskip("transformers")


@pytest.mark.long  # each worker imports torch and diffusers
def test_cluster_gives_the_same_result_as_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercli.stages.balance.stage.balance_figure", lambda plan, title, **_: encoded(face(0)))
    monkeypatch.setattr(
        "fercli.stages.balance.methods.generate.create_detector", generators.create_every_image_detector
    )
    ray.cloudpickle.register_pickle_by_value(generators)  # the workers cannot import the tests
    monkeypatch.setattr("fercli.stages.balance.methods.generate.TASKS_PER_CALL", 3)
    generator = generators.tiny_generator(tmp_path / "tiny")
    faces = make_dataset(tmp_path / "faces", {"train/sad/1.png": face(1), "train/happy/2.png": face(2)})
    one, two = (
        fercli.balance(
            faces.path, tmp_path / engine, method="generate", generator=str(generator), engine=engine, steps=1,
            image_size=64, device="cpu", policy=6, workers=1, keep_anyway=True,
        )
        for engine in ("local", "ray")
    )  # fmt: skip
    rows = [[row for row in read_index(done) if row.origin == "generated"] for done in (one, two)]
    assert [row.made for row in rows[0]] == [row.made for row in rows[1]]
    assert len(rows[0]) == 10
    for a, b in zip(*rows, strict=True):
        pixels = [read_image(done.path / row.path).astype(int) for done, row in ((one, a), (two, b))]
        assert np.abs(pixels[0] - pixels[1]).max() <= 1
    facts = [[json.loads(line)["seed"] for line in (done.path / "generated.jsonl").open()] for done in (one, two)]
    assert facts[0] == facts[1]
