"""`fer balance --method gan`, end to end."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import fercli
from fercli.artifacts import Artifact
from fercli.datasets.index import read_index
from fercli.errors import DataError, FerError, UsageError
from fercli.generation.gan.sampling import generate_faces, sample_noise
from fercli.images import decode, pixel_digest, read_image
from tests.helpers.cli import CliResult
from tests.helpers.datasets import encoded, face, make_dataset
from tests.helpers.generators import load_generator
from tests.helpers.progress import Log

# Such a small GAN learns nothing, which is rejected without keep_anyway.
UNTRAINED = {"method": "gan", "gan_steps": 40, "gan_batch": 8, "gan_width": 4, "device": "cpu", "workers": 1}
OPTIONS = {**UNTRAINED, "keep_anyway": True}
COUNTS = {"train": {"angry": 3, "happy": 70, "sad": 55}, "validation": {"happy": 4, "sad": 3}, "test": {"happy": 3}}


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Use one thread, as in the killed process; and skip the chart, which has its own tests."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fercli.stages.balance.stage.balance_figure", lambda plan, title, **_: encoded(face(0)))
        yield


def pictures(counts: dict[str, dict[str, int]], side: int = 32) -> dict[str, np.ndarray]:
    cells = [(s, e, k) for s, by in counts.items() for e, n in by.items() for k in range(n)]
    return {f"{s}/{e}/{k}.png": face(seed, side) for seed, (s, e, k) in enumerate(cells)}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    counts = {**COUNTS, "train": {e: n for e, n in COUNTS["train"].items() if e != "angry"}}
    return make_dataset(tmp_path_factory.mktemp("faces") / "faces", pictures(counts))


@pytest.fixture(scope="module")
def whole(faces: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return fercli.balance(faces.path, tmp_path_factory.mktemp("whole") / "out", policy=75, **OPTIONS)


@pytest.mark.slow
def test_plan_is_filled_exactly(faces: Artifact, whole: Artifact) -> None:
    before, after = read_index(faces), read_index(whole)
    assert after[: len(before)] == before
    made = after[len(before) :]
    assert whole.manifest.counts["train"] == {"happy": 75, "sad": 75}
    for split in ("validation", "test"):
        assert whole.manifest.counts[split] == faces.manifest.counts[split]
    assert [row.path for row in made[:6]] == [f"train/happy/generated-{k:05d}.png" for k in (1, 2, 3, 4, 5)] + [
        "train/sad/generated-00001.png"
    ]
    assert len(made) == 25
    assert {(row.split, row.origin, row.parent, row.source) for row in made} == {
        ("train", "generated", "", "gan/generator.safetensors")
    }
    how = json.loads(made[0].made)
    assert how == {"model": made[0].source, "revision": whole.summary["gan"]["generator_sha256"][:12], "seed": 0}
    digests = [row.sha256 for row in after]
    assert len(set(digests)) == len(digests)  # no duplicates, also of real images
    for row in made:
        assert pixel_digest(read_image(whole.path / row.path)) == row.sha256
    assert not (whole.path / "resume").exists()


@pytest.mark.slow
def test_summary_and_files(faces: Artifact, whole: Artifact) -> None:
    told = whole.summary["gan"]
    assert (told["made"], told["steps"], told["faces_seen"]) == (25, 40, 320)
    assert told["drawn"] == told["nearest_real"]["n"] == 512
    assert told["drawn"] >= told["made"] + sum(told["rejected"].values())
    assert -1 <= told["nearest_real"]["median"] <= told["nearest_real"]["highest"] <= 1
    assert told["nearest_real"]["at least 0.97"] == 0
    assert told["nearest_real_of_held_out"]["n"] == 10
    assert told["learnt_from"] == {"happy": 70, "sad": 55}
    with (whole.path / "gan" / "training.csv").open() as file:
        assert [line.split(",")[0] for line in file] == ["step", *map(str, range(1, 41))]
    for name in ("gan.png", "gan-nearest.png", "balance.png"):
        assert decode((whole.path / name).read_bytes(), name).std() > 10


@pytest.mark.slow
def test_faces_can_be_regenerated_from_the_checkpoint(whole: Artifact) -> None:
    generator, metadata = load_generator(whole.path / "gan")
    assert metadata.training_data == whole.manifest.inputs[0].digest
    for row in [row for row in read_index(whole) if row.origin == "generated"][::6]:
        label = metadata.emotions.index(row.emotion)
        found = generate_faces(
            generator, sample_noise(metadata.noise_seed, label, int(row.row), metadata.truncation)[None], label
        )[0]
        assert np.abs(found.astype(int) - read_image(whole.path / row.path)).max() <= 1


@pytest.mark.slow
def test_equal_calls_give_equal_datasets(faces: Artifact, whole: Artifact, tmp_path: Path) -> None:
    again = fercli.balance(faces.path, tmp_path / "out", policy=75, **OPTIONS)
    assert again.manifest.digest == whole.manifest.digest
    assert again.manifest.key == whole.manifest.key
    other = fercli.balance(faces.path, tmp_path / "other", policy=75, **OPTIONS, seed=1)
    assert other.manifest.digest != whole.manifest.digest
    packed = fercli.pack(again.path, tmp_path / "pack")
    assert packed.manifest.counts["train"] == {"happy": 75, "sad": 75}


def _die(place: str, dataset: Path, out: Path) -> None:
    torch.set_num_threads(1)
    from fercli.generation.gan import training
    from fercli.stages.balance.methods import gan as methods_gan

    training.SAVE_SECONDS = 0.0
    holder, name, which = {
        "in the training": (training.GanTrainer, "step", 25),
        "before the sampling": (methods_gan, "GanSampler", 1),
        "in the sampling": (methods_gan, "encode_png", 12),
    }[place]
    function, calls = getattr(holder, name), iter(range(1, 10**6))

    def deadly(*arguments: object) -> object:
        if next(calls) == which:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    setattr(holder, name, deadly)
    fercli.balance(dataset, out, policy=75, **OPTIONS)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "done"), [("in the training", 24), ("before the sampling", 40), ("in the sampling", 40)]
)
def test_killed_call_resumes_with_the_same_result(
    place: str, done: int, faces: Artifact, whole: Artifact, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fercli.stages.balance.methods.gan", "torch._dynamo"])
    process = context.Process(target=_die, args=(place, faces.path, tmp_path / "out"))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    log = Log()
    again = fercli.balance(faces.path, tmp_path / "out", policy=75, **OPTIONS, progress=log)
    assert [line for line in log.lines if line.startswith("resuming")] == [f"resuming from step {done}/40"]
    told = [line for line in log.lines if line.startswith("step 40/40")]
    assert len(told) == (done < 40)
    assert all(re.search(r"[\d,]+ faces/s, 0:00 left$", line) for line in told)
    assert again.manifest.digest == whole.manifest.digest
    assert again.summary["gan"]["generator_sha256"] == whole.summary["gan"]["generator_sha256"]
    left = {p.relative_to(again.path) for p in again.path.rglob("*")}
    assert left == {p.relative_to(whole.path) for p in whole.path.rglob("*")}


@pytest.mark.slow
def test_no_face_is_used_in_two_splits(faces: Artifact, tmp_path: Path) -> None:
    done = fercli.balance(faces.path, tmp_path / "out", policy=72, splits="train,test", **OPTIONS)
    assert done.manifest.counts["test"] == {"happy": 72, "sad": 72}
    made = [row for row in read_index(done) if row.origin == "generated"]
    assert len({(row.emotion, row.row) for row in made}) == len(made) == 2 + 17 + 69 + 72


def test_no_training_if_nothing_is_missing(faces: Artifact, tmp_path: Path) -> None:
    done = fercli.balance(faces.path, tmp_path / "out", policy=10, **OPTIONS)
    assert done.manifest.counts == faces.manifest.counts
    assert not (done.path / "gan").exists()
    assert "gan" not in done.summary


@pytest.mark.slow
def test_rgb_eight_classes_and_truncation(tmp_path: Path) -> None:
    emotions = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral", "contempt")
    images = pictures({"train": dict.fromkeys(emotions, 50)})
    dataset = make_dataset(tmp_path / "faces", {p: np.stack([x, x[::-1], x.T], 2) for p, x in images.items()})
    done = fercli.balance(dataset.path, tmp_path / "out", policy=51, gan_truncation=0.8, **OPTIONS)
    assert done.manifest.counts["train"] == dict.fromkeys(emotions, 51)
    assert read_image(done.path / "train/contempt/generated-00001.png").shape == (32, 32, 3)
    assert json.loads((done.path / "gan" / "generator.json").read_text())["truncation"] == 0.8


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            pictures(COUNTS),
            r"train has 3 images of angry for the GAN to learn from, and 72 are needed for train: from fewer than 50 "
            r"it would mostly reproduce them; use --method augment, or add images",
        ),
        (
            {**pictures({"train": {"happy": 55}}), "train/happy/x.png": face(99, 48)},
            r"x\.png: 48 x 48 gray, but train/happy/0\.png is 32 x 32 gray; .* convert them with --target fer2013",
        ),
        (
            {**pictures({"train": {"happy": 55}}), "train/happy/x.png": np.stack([face(99, 32)] * 3, 2)},
            r"x\.png: 32 x 32 rgb, but",
        ),
        (pictures({"train": {"happy": 55}}, 40), r"0\.png: 40 x 40 gray; the GAN generates squares of 32 to 128"),
        (
            {path: x[:16] for path, x in pictures({"train": {"happy": 55}}).items()},
            r"0\.png: 32 x 16 gray; the GAN generates squares",
        ),
        ({f"train/happy/{k}.png": np.full((32, 32), k, np.uint8) for k in range(60)}, "no labelled, original images"),
    ],
    ids=["too few", "sizes", "colours", "side", "not square", "constant"],
)
def test_unsuitable_images_are_rejected(images: dict[str, np.ndarray], message: str, tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "faces", images)
    with pytest.raises(DataError, match=message) as raised:
        fercli.balance(dataset.path, tmp_path / "out", policy=75, **OPTIONS)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / ".out.partial").exists()


def test_too_few_images_fail_before_any_is_read(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "faces", pictures(COUNTS))
    for file in dataset.path.glob("*/*/*.png"):
        file.unlink()
    with pytest.raises(DataError, match="train has 3 images of angry for the GAN to learn from"):
        fercli.balance(dataset.path, tmp_path / "out", policy=75, **OPTIONS)


def test_missing_train_split_is_an_error(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "faces", pictures({"test": {"happy": 60}}))
    with pytest.raises(DataError, match="no train split"):
        fercli.balance(dataset.path, tmp_path / "out", policy=75, **OPTIONS)
    with pytest.raises(DataError, match="no labelled, original images in the train split"):
        fercli.balance(dataset.path, tmp_path / "out", policy=75, splits="test", **OPTIONS)


@pytest.mark.slow
def test_target_converts_mixed_images_to_one_format(tmp_path: Path) -> None:
    images = {**pictures({"train": {"happy": 55, "sad": 50}}), "train/sad/x.png": face(999, 80)}
    dataset = make_dataset(tmp_path / "faces", images)
    done = fercli.balance(dataset.path, tmp_path / "out", target="fer2013", **OPTIONS)
    assert done.manifest.counts["train"] == {"happy": 55, "sad": 55}
    assert read_image(done.path / "train/sad/generated-00001.png").shape == (48, 48)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"gan_steps": 0}, "gan-steps"), ({"gan_width": 3}, "gan-width"), ({"gan_truncation": 0}, "gan-truncation")],
)
def test_invalid_options(options: dict[str, float], message: str, faces: Artifact, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        fercli.balance(faces.path, tmp_path / "out", **{**OPTIONS, **options})


def test_unavailable_device(faces: Artifact, tmp_path: Path) -> None:
    with pytest.raises(FerError, match="--device cuda:99"):
        fercli.balance(faces.path, tmp_path / "out", policy=75, **{**OPTIONS, "device": "cuda:99"})


def test_command_output(fer: Callable[..., CliResult], faces: Artifact, whole: Artifact, tmp_path: Path) -> None:
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in UNTRAINED.items()]
    ended = fer("balance", faces.path, whole.path, "--policy", "75", "--keep-anyway", *flags)
    assert ended.code == 0
    assert "GAN trained for 40 steps (320 faces" in ended.out
    assert "25 of 512 generated faces were accepted" in ended.out
    assert "gan-nearest.png" in ended.out
    assert "do not resemble the faces of train: happy, sad" in ended.out.replace("\n", " ")
    told = json.loads(fer("balance", faces.path, whole.path, "--policy", "75", "--json", *flags).out)
    assert told["gan"]["made"] == 25


@pytest.mark.slow
def test_untrained_gan_is_rejected_but_its_state_is_kept(faces: Artifact, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        fercli.balance(faces.path, tmp_path / "out", policy=75, **UNTRAINED)
    line = str(refused.value)
    assert re.search(r"do not look like the faces of train: those of \w+ have a median correlation of -?0\.\d\d", line)
    assert "--gan-steps" in line
    assert "--keep-anyway" in line
    assert not (tmp_path / "out").exists()
    log = Log()
    kept = fercli.balance(faces.path, tmp_path / "out", policy=75, progress=log, **OPTIONS)
    assert "resuming from step 40/40" in log.lines
    assert kept.summary["gan"]["unlike_any_face"] == ["happy", "sad"]
    assert fercli.balance(faces.path, tmp_path / "out", policy=75, **UNTRAINED).up_to_date
