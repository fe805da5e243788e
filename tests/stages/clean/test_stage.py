"""`fer clean` on small datasets with known copies."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import count, read_index
from fercli.errors import DataError, UsageError
from fercli.images import encode_png, pixel_digest, read_image
from fercli.stages.clean.config import CleanConfig
from fercli.stages.clean.findings import Findings
from fercli.stages.clean.page import evenly
from fercli.stages.clean.stage import clean
from tests.helpers.datasets import face, make_dataset

NONE = dict.fromkeys(
    ("groups", "across_splits", "test_in_train", "validation_in_train", "test_in_validation", "conflicts"), 0
)


def brighter(pixels: np.ndarray) -> np.ndarray:
    return (pixels // 2 + 90).astype(np.uint8)


LEAKY = {
    "train/happy/1.png": face(1),
    "train/sad/2.png": face(1),
    "validation/happy/3.png": face(1),
    "test/happy/4.png": face(1),
    "train/sad/5.png": face(2),
    "validation/sad/6.png": face(2),
    "train/fear/7.png": face(3),
    "train/fear/8.png": face(3),
    "train/fear/9.png": face(4),
    "test/fear/10.png": brighter(face(4)),
    "train/sad/11.png": face(5),
    "validation/happy/12.png": np.ascontiguousarray(face(5)[:, ::-1]),
    "train/sad/13.png": np.zeros((48, 48), np.uint8),
    "train/sad/14.png": face(6),
}
EXACT = {
    "groups": 3,
    "across_splits": 2,
    "test_in_train": 1,
    "validation_in_train": 2,
    "test_in_validation": 1,
    "conflicts": 1,
}
NEAR = {**NONE, "groups": 2, "across_splits": 2, "test_in_train": 1, "validation_in_train": 1, "conflicts": 1}
LEAKS = ["train/happy/1.png", "train/sad/2.png", "validation/happy/3.png", "train/sad/5.png"]


def run(dataset: Artifact, out: Path, **options: object) -> Artifact:
    return clean(CleanConfig.of(dataset=dataset.path, out=out, workers=1, **options))


def paths(artifact: Artifact) -> list[str]:
    return [row.path for row in read_index(artifact)]


@pytest.fixture
def leaky(tmp_path: Path) -> Artifact:
    return make_dataset(tmp_path / "leaky", LEAKY)


def test_known_counts(leaky: Artifact, tmp_path: Path) -> None:
    done = run(leaky, tmp_path / "out")
    assert done.summary == {
        "exact": EXACT,
        "near": NEAR,
        "constant": 1,
        "removed": {"train": 3, "validation": 1, "test": 0},
    }
    assert json.loads((done.path / "report.json").read_text())["summary"] == done.summary


def test_cleaned_dataset_keeps_rows_and_files(leaky: Artifact, tmp_path: Path) -> None:
    done = open_artifact(run(leaky, tmp_path / "out").path, "dataset")
    assert read_index(done) == [row for row in read_index(leaky) if row.path not in LEAKS]
    for row in read_index(done):
        assert pixel_digest(read_image(done.path / row.path)) == row.sha256
        assert (done.path / row.path).stat().st_ino == (leaky.path / row.path).stat().st_ino
    assert not any((done.path / path).exists() for path in LEAKS)
    assert all((leaky.path / path).exists() for path in LEAKY)
    manifest = done.manifest
    assert manifest.digest == digest_file(done.path / "index.csv")
    assert manifest.emotions == leaky.manifest.emotions
    assert manifest.counts == count(read_index(done), manifest.emotions)
    assert manifest.skipped == {"exact copy": LEAKS}
    assert [i.digest for i in manifest.inputs] == [leaky.manifest.digest]


def test_removed_csv_has_reason_and_copy(leaky: Artifact, tmp_path: Path) -> None:
    done = run(leaky, tmp_path / "out", near=True, constant=True)
    with (done.path / "removed.csv").open(newline="") as file:
        table = list(csv.reader(file))
    assert table == [
        ["path", "split", "emotion", "reason", "copy_of"],
        ["train/happy/1.png", "train", "happy", "exact copy", "test/happy/4.png"],
        ["train/sad/2.png", "train", "sad", "exact copy", "test/happy/4.png"],
        ["validation/happy/3.png", "validation", "happy", "exact copy", "test/happy/4.png"],
        ["train/sad/5.png", "train", "sad", "exact copy", "validation/sad/6.png"],
        ["train/fear/9.png", "train", "fear", "near copy", "test/fear/10.png"],
        ["train/sad/11.png", "train", "sad", "near copy", "validation/happy/12.png"],
        ["train/sad/13.png", "train", "sad", "constant", ""],
    ]
    assert done.summary["removed"] == {"train": 6, "validation": 1, "test": 0}


def test_report_only_writes_no_dataset(leaky: Artifact, tmp_path: Path) -> None:
    done = run(leaky, tmp_path / "out", near=True, report_only=True)
    assert open_artifact(done.path, "report").manifest.digest == digest_file(done.path / "report.json")
    assert sorted(p.name for p in done.path.iterdir()) == ["artifact.json", "report.html", "report.json"]
    assert done.summary["removed"] == {"train": 5, "validation": 1, "test": 0}
    assert done.manifest.counts == leaky.manifest.counts
    report = json.loads((done.path / "report.json").read_text())
    assert report["exact"][0] == ["train/happy/1.png", "train/sad/2.png", "validation/happy/3.png", "test/happy/4.png"]
    assert [(pair["a"], pair["b"], pair["mirrored"]) for pair in report["near"]] == [
        (["train/fear/9.png"], ["test/fear/10.png"], False),
        (["train/sad/11.png"], ["validation/happy/12.png"], True),
    ]
    assert report["constant"] == ["train/sad/13.png"]
    assert "would be removed" in (done.path / "report.html").read_text()


def test_cleaning_is_idempotent(leaky: Artifact, tmp_path: Path) -> None:
    once = run(leaky, tmp_path / "once", near=True)
    twice = run(once, tmp_path / "twice", near=True)
    assert paths(twice) == paths(once)
    assert twice.summary["exact"] == {**NONE, "groups": 1}
    assert twice.summary["near"] == NONE
    assert twice.summary["removed"] == {"train": 0, "validation": 0, "test": 0}


def test_children_follow_their_parents(tmp_path: Path) -> None:
    images = {
        "test/sad/1.png": face(1),
        "train/sad/2.png": face(1),
        "train/sad/2-flip.png": face(7),
        "train/sad/3.png": face(8),
        "train/sad/3-flip.png": face(9),
        "train/sad/4.png": face(10),
    }
    parents = {
        "train/sad/2-flip.png": "train/sad/2.png",
        "train/sad/3-flip.png": "train/sad/3.png",
        "train/sad/4.png": "test/sad/1.png",
    }
    done = run(make_dataset(tmp_path / "data", images, parents), tmp_path / "out")
    assert paths(done) == ["test/sad/1.png", "train/sad/3.png", "train/sad/3-flip.png"]
    assert done.manifest.skipped == {
        "exact copy": ["train/sad/2.png"],
        "parent removed": ["train/sad/2-flip.png"],
        "parent in another split": ["train/sad/4.png"],
    }


def test_unlabelled_images_and_other_sizes(tmp_path: Path) -> None:
    images = {
        "unlabelled/1.png": face(1, 90),
        "unlabelled/2.png": np.repeat(face(1, 90)[..., None], 3, axis=2),
        "unlabelled/3.png": face(2, 31)[:, :20],
    }
    done = run(make_dataset(tmp_path / "data", images), tmp_path / "out")
    assert done.summary == {"exact": NONE, "near": {**NONE, "groups": 1}, "constant": 0, "removed": {"unlabelled": 0}}
    assert paths(done) == list(images)


def test_up_to_date_and_overwrite(leaky: Artifact, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert not run(leaky, out).up_to_date
    assert run(leaky, out).up_to_date
    with pytest.raises(DataError, match="a different dataset already exists"):
        run(leaky, out, near=True)
    assert run(leaky, out, near=True, overwrite=True).summary["removed"]["train"] == 5
    assert run(leaky, out, report_only=True, overwrite=True).manifest.kind == "report"


def test_result_does_not_depend_on_workers(leaky: Artifact, tmp_path: Path) -> None:
    one = run(leaky, tmp_path / "one")
    many = clean(CleanConfig.of(dataset=leaky.path, out=tmp_path / "many", workers=3))
    assert (one.path / "report.json").read_bytes() == (many.path / "report.json").read_bytes()
    assert (one.path / "index.csv").read_bytes() == (many.path / "index.csv").read_bytes()


# --- errors ---


def test_missing_image_is_named(leaky: Artifact, tmp_path: Path) -> None:
    (leaky.path / "train/sad/5.png").unlink()
    with pytest.raises(DataError, match=r"train/sad/5\.png: no such file.*re-create it"):
        run(leaky, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["leaky"]


def test_broken_image_is_named(leaky: Artifact, tmp_path: Path) -> None:
    path = leaky.path / "validation/sad/6.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"validation/sad/6\.png: .*re-create it"):
        run(leaky, tmp_path / "out")


def test_changed_image_is_named(leaky: Artifact, tmp_path: Path) -> None:
    (leaky.path / "train/fear/8.png").write_bytes(encode_png(face(99)))
    with pytest.raises(DataError, match=r"train/fear/8\.png: was modified"):
        run(leaky, tmp_path / "out")


def test_changed_index_is_refused(leaky: Artifact, tmp_path: Path) -> None:
    with (leaky.path / "index.csv").open("a") as file:
        file.write("\n")
    with pytest.raises(DataError, match=r"index\.csv: was modified"):
        run(leaky, tmp_path / "out")


def test_output_inside_the_input_is_refused(leaky: Artifact) -> None:
    for out in (leaky.path, leaky.path / "train" / "clean"):
        with pytest.raises(UsageError, match="the output is inside the input"):
            run(leaky, out)


def test_foreign_output_is_refused(leaky: Artifact, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("all of it")
    with pytest.raises(DataError, match="already exists and is not a fercli artifact"):
        run(leaky, tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "thesis.tex").read_text() == "all of it"


def test_another_kind_is_refused(leaky: Artifact, tmp_path: Path) -> None:
    report = run(leaky, tmp_path / "report", report_only=True)
    with pytest.raises(DataError, match="is a report; expected a dataset"):
        run(report, tmp_path / "out")


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": np.zeros((48, 48), np.uint8)})
    with pytest.raises(DataError, match="none of its 1 images would be left"):
        run(data, tmp_path / "out", constant=True)
    assert run(data, tmp_path / "out").summary["constant"] == 1


# --- the report page ---


def test_names_are_escaped_and_page_is_self_contained(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>".replace("/", "\u2044"), 'a" onerror="x', "it's\nthis", "{{ 7 * 6 }}"]
    images = {f"{split}/sad/{name}.png": face(i) for i, name in enumerate(names) for split in ("train", "test")}
    done = run(make_dataset(tmp_path / "d<b>", images), tmp_path / "out")
    assert paths(done) == [path for path in images if path.startswith("test")]
    page = (done.path / "report.html").read_text()
    assert "<script" not in page
    assert 'onerror="' not in page
    assert "&lt;script&gt;alert(1)&lt;\u2044script&gt;" in page
    assert "Copies in d&lt;b&gt;" in page
    assert "{{ 7 * 6 }}" in page
    assert re.findall(r'(?:src|href)="(?!data:image/png;base64,)', page) == []


def test_page_shows_pairs_with_their_values(leaky: Artifact, tmp_path: Path) -> None:
    page = (run(leaky, tmp_path / "out").path / "report.html").read_text()
    assert re.findall(r"\d+ of \d+ shown", page) == ["2 of 2 shown", "1 of 1 shown", "2 of 2 shown", "1 of 1 shown"]
    assert re.search(r"correlation (0\.9[789]\d|1\.000), \d+ bits? apart, mirrored", page)
    assert "4 images in the group" in page
    # The image of the highest-ranking split is on the left.
    assert re.search(r'alt="test/happy/4\.png".*?alt="train/sad/2\.png"', page, re.DOTALL)


def test_page_of_a_clean_dataset(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", {"train/sad/1.png": face(1), "test/sad/2.png": face(2)})
    page = (run(data, tmp_path / "out").path / "report.html").read_text()
    for text in ("No image appears in more than one split", "No two splits share a picture", "0 images were removed"):
        assert text in page


def test_long_lists_are_sampled_and_counted(tmp_path: Path) -> None:
    images = {f"{split}/sad/{i}.png": face(i) for i in range(45) for split in ("train", "test")}
    page = (run(make_dataset(tmp_path / "data", images), tmp_path / "out").path / "report.html").read_text()
    assert "40 of 45 shown" in page
    assert page.count("<img ") == 80


def test_evenly_includes_both_ends() -> None:
    assert evenly([], 3) == []
    assert evenly([1, 2], 0) == []
    assert evenly(list(range(101)), 5) == [0, 25, 50, 75, 100]
    assert evenly([4, 5], 2) == [4, 5]


def test_findings_of_an_empty_dataset() -> None:
    assert Findings([], [], [], [], {}).summary() == {"exact": NONE, "near": NONE, "constant": 0, "removed": {}}
