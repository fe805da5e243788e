"""`fer balance`, with and without a dataset."""

import csv
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.artifacts.building import build
from fercli.artifacts.digests import digest_file
from fercli.datasets.index import Row, count, emotions_of, read_index, write_index
from fercli.emotions import EMOTIONS
from fercli.errors import DataError, UsageError
from fercli.images import as_color, decode, fit_square, pixel_digest, read_image
from fercli.stages.balance.targets import TARGETS
from tests.helpers.cli import CliResult
from tests.helpers.datasets import encoded, face, make_dataset, names, noise, python, small_csv, write_tree
from tests.helpers.progress import Log

Fer = Callable[..., CliResult]
TRAIN = {"happy": 9, "sad": 4, "disgust": 2}
OTHERS = {"happy": 3, "sad": 2, "disgust": 1}


@pytest.fixture(autouse=True)
def _no_chart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the charts, which are slow and have their own tests."""
    monkeypatch.setattr("fercli.stages.balance.stage.balance_figure", lambda plan, title, **_: encoded(face(0)))


def pictures(side: int = 48) -> dict[str, np.ndarray]:
    cells = [
        (split, emotion, k)
        for split, counts in (("train", TRAIN), ("validation", OTHERS), ("test", OTHERS))
        for emotion, n in counts.items()
        for k in range(n)
    ]
    return {f"{s}/{e}/{k}.png": face(seed, side) for seed, (s, e, k) in enumerate(cells)}


@pytest.fixture
def faces(tmp_path: Path) -> Artifact:
    return make_dataset(tmp_path / "faces", pictures())


def read_pixels(dataset: Artifact) -> dict[str, np.ndarray]:
    return {row.path: read_image(dataset.path / row.path) for row in read_index(dataset)}


# --- with a dataset ---


def test_balanced_dataset_is_complete_and_packs(faces: Artifact, tmp_path: Path) -> None:
    done = open_artifact(fercli.balance(faces.path, tmp_path / "out", target="fer2013").path, "dataset")
    before, after = read_index(faces), read_index(done)
    assert after[: len(before)] == before
    for row in before:
        assert (done.path / row.path).stat().st_ino == (faces.path / row.path).stat().st_ino
    counts = count(after, done.manifest.emotions)
    assert counts == done.manifest.counts
    assert counts["train"] == {"disgust": 9, "happy": 9, "sad": 9}
    assert {split: counts[split] for split in ("validation", "test")} == {
        split: faces.manifest.counts[split] for split in ("validation", "test")
    }
    by_path = {row.path: row for row in after}
    assert len(by_path) == len(after)
    for row in after[len(before) :]:
        parent = by_path[row.parent]
        assert row.origin == "augmented"
        assert parent.origin == "real"
        assert (row.split, row.emotion) == (parent.split, parent.emotion)
        assert re.fullmatch(re.escape(parent.path.removesuffix(".png")) + r"-aug-\d{4}\.png", row.path)
    for row in after:
        assert pixel_digest(read_image(done.path / row.path)) == row.sha256
    assert len({row.sha256 for row in after}) == len(after)
    assert done.manifest.digest == digest_file(done.path / "index.csv")
    assert [i.digest for i in done.manifest.inputs] == [faces.manifest.digest]
    assert (done.path / "balance.png").is_file()
    packed = fercli.pack(done.path, tmp_path / "pack")
    assert packed.manifest.counts == counts
    assert packed.summary["leaks"] == 0


def test_summary_and_plan_csv_agree(faces: Artifact, tmp_path: Path) -> None:
    done = fercli.balance(faces.path, tmp_path / "out")
    zero = {"disgust": 0, "happy": 0, "sad": 0}
    rest = {"have": {"disgust": 1, "happy": 3, "sad": 2}, "target": {"disgust": 3, "happy": 3, "sad": 3}}
    rest |= {"augment": zero, "generate": zero, "needed": 3}  # type: ignore[dict-item]
    assert done.summary == {
        "train": {
            "have": {"disgust": 2, "happy": 9, "sad": 4},
            "target": {"disgust": 9, "happy": 9, "sad": 9},
            "augment": {"disgust": 7, "happy": 0, "sad": 5},
            "generate": zero,
            "needed": 12,
        },
        "validation": rest,
        "test": rest,
        "prompts": 0,
        "check": {"made": 12, "against": 12, "equal": 0, "near": 0, "parent": 0, "made_again": 0, "taken_out": 0},
    }
    with (done.path / "plan.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 9
    for line in table:
        part = done.summary[line["split"]]
        for key in ("have", "target", "augment", "generate"):
            assert int(line[key]) == part[key][line["emotion"]]


def test_parents_are_used_evenly(faces: Artifact, tmp_path: Path) -> None:
    done = fercli.balance(faces.path, tmp_path / "out", policy=13)
    used = Counter(row.parent for row in read_index(done) if row.parent)
    by_class = defaultdict(list)
    for row in read_index(faces):
        if row.split == "train":
            by_class[row.emotion].append(used[row.path])
    assert sorted(by_class["disgust"]) == [5, 6]
    assert sorted(by_class["sad"]) == [2, 2, 2, 3]
    assert sorted(by_class["happy"]) == [0] * 5 + [1] * 4


@pytest.mark.slow
def test_equal_calls_give_equal_bytes_for_any_number_of_workers(faces: Artifact, tmp_path: Path) -> None:
    def made(name: str, **options: object) -> dict[str, bytes]:
        done = fercli.balance(faces.path, tmp_path / name, policy="150", **options)
        return {
            path.relative_to(done.path).as_posix(): path.read_bytes()
            for path in sorted(done.path.rglob("*"))
            if path.is_file() and path.name != "artifact.json"
        }

    first = made("a", workers=0)
    assert made("b", workers=3) == first
    assert made("c", seed=1)["index.csv"] != first["index.csv"]


def test_up_to_date_and_another_policy(faces: Artifact, tmp_path: Path) -> None:
    fercli.balance(faces.path, tmp_path / "out", policy=12)
    assert fercli.balance(faces.path, tmp_path / "out", policy="012", workers=1, splits=["train"]).up_to_date
    with pytest.raises(DataError, match="a different dataset already exists"):
        fercli.balance(faces.path, tmp_path / "out", policy=13)
    assert not fercli.balance(faces.path, tmp_path / "out", policy=13, overwrite=True).up_to_date


def test_policies_that_add_nothing_change_nothing(faces: Artifact, tmp_path: Path) -> None:
    done = fercli.balance(faces.path, tmp_path / "out", policy=1)
    assert read_index(done) == read_index(faces)
    assert done.summary["train"]["target"] == done.summary["train"]["have"]


def test_other_splits_are_filled_on_request_with_a_note(faces: Artifact, tmp_path: Path) -> None:
    log = Log()
    done = fercli.balance(faces.path, tmp_path / "out", splits="test, validation", progress=log)
    counts = done.manifest.counts
    assert counts["train"] == faces.manifest.counts["train"]
    assert set(counts["test"].values()) == set(counts["validation"].values()) == {3}
    assert all(row.split != "train" for row in read_index(done) if row.parent)
    assert "another benchmark" in done.summary["note"]
    assert done.summary["note"] in log.lines
    assert done.manifest.options["splits"] == "validation,test"
    assert fercli.pack(done.path, tmp_path / "pack").summary["leaks"] == 0


def test_child_inherits_subject_and_votes_but_not_position(tmp_path: Path) -> None:
    base = make_dataset(tmp_path / "base", {"train/sad/1.png": face(1), "train/happy/2.png": face(2)})
    rows = [
        replace(
            row,
            votes="sad:7",
            valence="-0.5",
            arousal="0.25",
            subject="S5",
            photograph="p.jpg",
            box="1 2 3 4",
            landmarks="1 2",
            source="s",
            row="9",
        )
        for row in read_index(base)
    ]
    with build(tmp_path / "faces", "dataset", "detect", options={}, inputs=[]) as builder:
        for row in rows:
            (builder.folder / row.path).parent.mkdir(parents=True, exist_ok=True)
            (builder.folder / row.path).write_bytes((base.path / row.path).read_bytes())
        emotions = emotions_of(rows)
        builder.finish(digest=write_index(builder.folder, rows), emotions=emotions, counts=count(rows, emotions))
    balanced = fercli.balance(builder.artifact.path, tmp_path / "out", policy=2)
    child = next(row for row in read_index(balanced) if row.parent)
    assert child == Row(
        child.path, "train", child.emotion, votes="sad:7", photograph="p.jpg", subject="S5", sha256=child.sha256,
        valence="-0.5", arousal="0.25",
        origin="augmented", parent=child.path.replace("-aug-0001", ""),
    )  # fmt: skip


def test_balancing_twice_augments_originals_under_unused_names(faces: Artifact, tmp_path: Path) -> None:
    once = fercli.balance(faces.path, tmp_path / "once")
    twice = fercli.balance(once.path, tmp_path / "twice", policy=20)
    rows = read_index(twice)
    origins = {row.path: row.origin for row in rows}
    assert len(origins) == len(rows)
    assert {origins[row.parent] for row in rows if row.parent} == {"real"}
    assert twice.manifest.counts["train"] == {"disgust": 20, "happy": 20, "sad": 20}
    assert "train/disgust/0-aug-0010.png" in origins


@pytest.mark.slow
def test_children_are_unique_even_for_tiny_parents(tmp_path: Path) -> None:
    """Four pixels of two values have few different children, so that retries are needed."""
    plain = np.array([[0, 255], [255, 255]], np.uint8)
    dataset = make_dataset(
        tmp_path / "faces",
        {"train/sad/1.png": plain, "train/sad/2.png": plain[::-1].copy(), "test/sad/3.png": noise(1, 2, 2)},
    )
    rows = read_index(fercli.balance(dataset.path, tmp_path / "out", policy=600))
    assert len(rows) == 601
    assert len({row.sha256 for row in rows}) == 601


@pytest.mark.slow
def test_too_many_children_of_a_tiny_image_is_an_error(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "faces", {"train/sad/1.png": np.array([[0, 1]], np.uint8)})
    with pytest.raises(DataError, match=r"1\.png: 100 augmented copies all equal existing images; .* little content"):
        fercli.balance(dataset.path, tmp_path / "out", policy=20_000)
    assert not (tmp_path / "out").exists()


def test_constant_images_are_not_augmented(tmp_path: Path) -> None:
    dataset = make_dataset(
        tmp_path / "faces",
        {"train/sad/1.png": np.zeros((48, 48), np.uint8), "train/sad/2.png": face(1), "train/happy/3.png": face(2)},
    )
    log = Log()
    done = fercli.balance(dataset.path, tmp_path / "out", policy=9, progress=log)
    assert {row.parent for row in read_index(done) if row.emotion == "sad"} == {"", "train/sad/2.png"}
    assert any("augmented none of the 1 constant images" in line for line in log.lines)


# --- the target's format ---


def test_images_are_converted_to_the_targets_format(tmp_path: Path) -> None:
    sources = {
        "train/sad/fits.png": face(1),
        "train/sad/large.png": noise(2, 90, 60, 3),
        "train/happy/a.png": noise(3, 48, 48, 3),
        "test/happy/b.png": noise(4, 20, 20),
    }
    first = make_dataset(tmp_path / "first", sources, parents={"train/happy/a.png": "train/sad/large.png"})
    log = Log()
    done = fercli.balance(first.path, tmp_path / "out", target="fer2013", policy=3, progress=log)
    found = read_pixels(done)
    for path, pixels in sources.items():
        np.testing.assert_array_equal(found[path], fit_square(as_color(pixels, "gray"), 48))
    assert {pixels.shape for pixels in found.values()} == {(48, 48)}
    inodes = {p: (done.path / p).stat().st_ino == (first.path / p).stat().st_ino for p in sources}
    assert inodes == {path: path.endswith("fits.png") for path in sources}
    assert all(row.sha256 == pixel_digest(found[row.path]) for row in read_index(done))
    assert "converted 3 images to 48 x 48 gray" in log.lines
    packed = fercli.pack(done.path, tmp_path / "pack")
    assert (packed.summary["size"], packed.summary["color"]) == (48, "gray")


def test_without_a_target_images_keep_their_format(tmp_path: Path) -> None:
    first = make_dataset(
        tmp_path / "first", {"train/sad/1.png": noise(2, 90, 60, 3), "train/happy/2.png": noise(3, 20, 20)}
    )
    done = fercli.balance(first.path, tmp_path / "out", policy=3)
    shapes = Counter(pixels.shape for pixels in read_pixels(done).values())
    assert shapes == {(90, 60, 3): 3, (20, 20): 3}


def test_converted_jpeg_becomes_a_png_with_an_unused_name(tmp_path: Path) -> None:
    tree = {
        "train/sad/1.jpg": encoded(face(1, 60), "JPEG"),
        "train/sad/1.png": face(2, 60),
        "train/happy/2.jpg": encoded(face(3), "JPEG"),
        "train/happy/3.jpeg": encoded(face(4, 60), "JPEG"),
        "validation/happy/4.png": face(5),
    }
    first = fercli.import_dataset(write_tree(tmp_path / "raw", tree), tmp_path / "first")
    done = fercli.balance(first.path, tmp_path / "out", target="fer2013", policy=3)
    paths = {row.path for row in read_index(done) if row.origin == "real" and row.split == "train"}
    assert paths == {"train/sad/1-2.png", "train/sad/1.png", "train/happy/2.jpg", "train/happy/3.png"}
    for row in read_index(done):
        assert read_image(done.path / row.path).shape == (48, 48)


# --- without a dataset ---


@pytest.mark.slow
def test_a_plan_from_published_counts(fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_dataset(tmp_path / "artifacts" / "newest", {"train/sad/1.png": face(1)})  # which must not be used
    result = fer("balance", "--target", "fer2013", "--json")
    assert result.code == 0
    summary = dict(list(json.loads(result.out).items())[4:])
    assert list(summary) == ["train", "validation", "test", "prompts"]
    assert {split: summary[split]["needed"] for split in list(summary)[:3]} == {
        "train": 21_796, "validation": 2_676, "test": 2_564
    }  # fmt: skip
    for split, part in list(summary.items())[:3]:
        assert list(part) == ["have", "target", "augment", "generate", "needed"]
        assert part["have"] == TARGETS["fer2013"].counts[split]
        assert not any(part["augment"].values())
        assert sum(part["generate"].values()) == (21_796 if split == "train" else 0)
    assert summary["prompts"] == 21_796
    out = next(path for path in (tmp_path / "artifacts").iterdir() if path.name != "newest")
    assert re.fullmatch(r"balance-fer2013-[0-9a-f]{6}", out.name)
    assert names(out) == ["artifact.json", "balance.png", "plan.csv", "prompts.jsonl"]
    plan = open_artifact(out, "plan")
    assert plan.manifest.emotions == list(EMOTIONS)
    assert plan.manifest.details["generation"] | {"negative": ""} == {
        "size": 512, "steps": 40, "guidance": 5.5, "seed_step": 200, "negative": ""
    }  # fmt: skip
    genders = plan.manifest.details["people"]["gender"]
    assert [counts["all"] for counts in genders.values()] == [10_898, 10_898]
    with (out / "prompts.jsonl").open() as file:
        assert sum(1 for _ in file) == 21_796
    again = fer("balance")
    assert again.code == 0
    assert "up to date" in again.out
    assert "no dataset given: planning from the published counts of FER2013" in again.err


@pytest.mark.slow
def test_output_fits_80_columns(fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = fer("balance", "--policy", "1000", "--splits", "train,validation,test", "--out", tmp_path / "plan")
    assert result.code == 0
    *lines, last = result.out.splitlines()
    assert last == f"plan {tmp_path / 'plan'}"
    assert max(map(len, lines)) <= 80
    text = " ".join(result.out.split())
    assert "disgust 436 → 1,000 56 → 1,000 55 → 1,000" in text
    assert "another benchmark" in text
    assert re.search(r"woman [\d,]+ in their early twenties [\d,]+ African [\d,]+", text)
    assert "…" not in text
    assert fer("show", tmp_path / "plan").code == 0


def test_empty_plan(tmp_path: Path) -> None:
    done = fercli.balance(out=tmp_path / "plan", policy=1)
    assert done.summary["prompts"] == 0
    assert (done.path / "prompts.jsonl").read_bytes() == b""


def test_out_as_argument_or_option(fer: Fer, faces: Artifact, tmp_path: Path) -> None:
    assert fer("balance", faces.path, "--out", tmp_path / "a", "-q").code == 0
    assert fer("balance", faces.path, tmp_path / "b", "-q").code == 0
    assert (tmp_path / "a" / "index.csv").read_bytes() == (tmp_path / "b" / "index.csv").read_bytes()
    result = fer("balance", faces.path, tmp_path / "b", "--out", tmp_path / "c")
    assert (result.code, len(result.lines)) == (2, 1)
    assert "out: given twice" in result.lines[0]


@pytest.mark.slow
def test_neither_torch_nor_pyplot_is_imported(tmp_path: Path) -> None:
    code = "import sys, fercli; fercli.balance(out=sys.argv[1], policy=500)\n"
    code += "print(*({'torch', 'matplotlib.pyplot'} & set(sys.modules)))"
    out, err = python(code, tmp_path / "plan").communicate()
    assert (out.strip(), err) == ("", "")
    assert decode((tmp_path / "plan" / "balance.png").read_bytes(), "").shape[1] > 1000


# --- errors ---


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("--policy", "0"), 2, "from 1 to 1,000,000"),
        (("--policy", "-5"), 2, "from 1 to 1,000,000"),
        (("--policy", "abc"), 2, "no policy 'abc'; there are level"),
        (("--target", "fer2014"), 2, "no target 'fer2014'; did you mean fer2013"),
        (("--splits", "train,tset"), 2, "no split 'tset'; did you mean test"),
        (("--splits", ""), 2, "no split ''"),
        (("--seed", "-1"), 2, "seed"),
        (("plan",), 1, "plan: no such dataset; .* fer balance --target fer2013 --out plan"),
        (("small.csv", "out"), 1, "not a fercli dataset"),
    ],
)
def test_invalid_calls_are_one_line_errors(
    fer: Fer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    small_csv(tmp_path / "small.csv", 1)
    result = fer("balance", *arguments, "--quiet")
    assert (result.code, result.out, len(result.lines)) == (code, "", 1)
    assert result.lines[0].startswith("fer balance: ")
    assert re.search(text, result.lines[0])
    assert names(tmp_path) == ["small.csv"]


@pytest.mark.parametrize("given", [True, 1.5, ["level"], None])
def test_policies_of_other_types_are_rejected(given: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="policy"):
        fercli.balance(out=tmp_path / "plan", policy=given)


@pytest.mark.parametrize("given", [[], ["tset"], 3])
def test_splits_of_other_types_are_rejected(given: object, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="split"):
        fercli.balance(out=tmp_path / "plan", splits=given)


def test_empty_class_fails_before_any_image_is_read(tmp_path: Path) -> None:
    images = {"train/happy/1.png": face(1), "test/sad/2.png": face(2)}
    dataset = make_dataset(tmp_path / "faces", images)
    for path in images:
        (dataset.path / path).unlink()
    with pytest.raises(DataError, match=r"train has no image to augment for sad \(1 are needed\); add some"):
        fercli.balance(dataset.path, tmp_path / "out")


def test_ratio_leaves_an_empty_class_empty(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "faces", {"train/happy/1.png": face(1), "test/sad/2.png": face(2)})
    assert fercli.balance(dataset.path, tmp_path / "out", policy="ratio").manifest.counts["train"]["sad"] == 0


def test_class_of_constant_images_is_rejected(tmp_path: Path) -> None:
    plain = {f"train/sad/{k}.png": np.full((8, 8), k, np.uint8) for k in range(2)}
    dataset = make_dataset(tmp_path / "faces", plain)
    with pytest.raises(DataError, match="no image to augment for sad: its 2 images are constant"):
        fercli.balance(dataset.path, tmp_path / "out", policy=5)


def test_missing_emotions_of_the_target_are_logged(faces: Artifact, tmp_path: Path) -> None:
    log = Log()
    fercli.balance(faces.path, tmp_path / "out", target="fer2013", progress=log)
    assert "the dataset has no angry, fear, surprise, neutral, which FER2013 has: no images are created" in log.lines


def test_unlabelled_datasets_are_rejected_and_unlabelled_images_kept(faces: Artifact, tmp_path: Path) -> None:
    bare = make_dataset(tmp_path / "bare", {"unlabelled/1.png": face(1)})
    with pytest.raises(DataError, match="contains no labelled images"):
        fercli.balance(bare.path, tmp_path / "out")
    mixed = make_dataset(tmp_path / "mixed", {**pictures(), "unlabelled/1.png": face(99)})
    assert fercli.balance(mixed.path, tmp_path / "out").manifest.counts["unlabelled"]["unlabelled"] == 1


def test_missing_split_is_rejected(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "faces", {"train/happy/1.png": face(1)})
    with pytest.raises(DataError, match="has no test split to fill; it has train"):
        fercli.balance(dataset.path, tmp_path / "out", splits="test")
    done = fercli.balance(dataset.path, tmp_path / "out", policy=7)
    assert done.summary["test"]["target"] == {"happy": 0}


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda path: path.unlink(), "no such file; the dataset is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:90]), "damaged: re-create it"),
        (lambda path: path.write_bytes(encoded(face(77))), "was modified after the dataset was created"),
    ],
)
@pytest.mark.parametrize("target", [None, "fer2013"])
def test_damaged_dataset_is_a_one_line_error_and_leaves_nothing(
    faces: Artifact, tmp_path: Path, damage: Callable[[Path], object], text: str, target: str | None
) -> None:
    damage(faces.path / "test/happy/1.png")
    with pytest.raises(DataError, match=rf"test/happy/1\.png.*{text}"):
        fercli.balance(faces.path, tmp_path / "out", target=target)
    assert names(tmp_path) == ["faces"]


def test_input_is_never_written_to(faces: Artifact) -> None:
    with pytest.raises(UsageError, match="the output is inside the input"):
        fercli.balance(faces.path, faces.path / "within")
    with pytest.raises(UsageError, match="the output is inside the input"):
        fercli.balance(faces.path, faces.path, overwrite=True)
