"""`fer balance --method generate`, with a tiny generator and a detector that accepts every image as a face."""

import csv
import itertools
import json
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.helpers.cli import CliResult
from tests.helpers.datasets import encoded, face, make_dataset, names, noise

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

import torch

import fercli
from fercli.artifacts import Artifact, open_artifact
from fercli.datasets.index import Row, read_index
from fercli.errors import DataError, FerError, UsageError
from fercli.faces.base import Face
from fercli.generation.diffusion.face_generator import FaceGenerator
from fercli.generation.diffusion.journal import Journal
from fercli.generation.diffusion.pipeline import DiffusionSampler, Request, Settings
from fercli.generation.diffusion.source import find_source
from fercli.generation.prompts.file import read_prompts
from fercli.images import pixel_digest, read_image
from fercli.stages.balance.methods import generate as method
from tests.helpers.generators import EveryImageDetector, tiny_generator
from tests.helpers.progress import Log

Fer = Callable[..., CliResult]
PLAIN: dict[str, Any] = {"method": "generate", "steps": 1, "image_size": 64, "device": "cpu", "workers": 0}
SMALL: dict[str, Any] = {**PLAIN, "keep_anyway": True}  # images of a model with random weights do not look like faces


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_generator(tmp_path_factory.mktemp("generators") / "tiny")


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fercli.stages.balance.stage.balance_figure", lambda plan, title, **_: encoded(face(0)))
    monkeypatch.setattr(method, "create_detector", lambda name, weights: EveryImageDetector())


@pytest.fixture
def faces(tmp_path: Path) -> Artifact:
    cells = [("train", "happy", 5), ("train", "sad", 2), ("validation", "sad", 2), ("test", "happy", 2)]
    images = {f"{s}/{e}/{k}.png": face(700 + 10 * c + k) for c, (s, e, n) in enumerate(cells) for k in range(n)}
    return make_dataset(tmp_path / "faces", images)


def generated(done: Artifact) -> list[Row]:
    return [row for row in read_index(done) if row.origin == "generated"]


def renders(monkeypatch: pytest.MonkeyPatch, render: Callable[[Request], np.ndarray | None]) -> list[Request]:
    """Replace the sampler by `render`; return the list in which requests are recorded."""
    requested: list[Request] = []

    def sample_all(self: DiffusionSampler, requests: Sequence[Request]) -> list[np.ndarray | None]:
        requested.extend(requests)
        return [render(request) for request in requests]

    monkeypatch.setattr(DiffusionSampler, "sample", sample_all)
    return requested


@pytest.mark.slow
def test_classes_are_filled_in_the_format_of_the_dataset(faces: Artifact, generator: Path, tmp_path: Path) -> None:
    done = fercli.balance(faces.path, tmp_path / "out", generator=str(generator), seed=7, **SMALL)
    assert done.manifest.counts["train"] == {"happy": 5, "sad": 5}
    rows = generated(done)
    assert [row.path for row in rows] == [f"train/sad/generated-0000{k}.png" for k in (1, 2, 3)]
    prompts = [json.loads(line) for line in (done.path / "prompts.jsonl").open()]
    records = [json.loads(line) for line in (done.path / "generated.jsonl").open()]
    revision = find_source(str(generator), None).revision
    for number, (row, prompt, record) in enumerate(zip(rows, prompts, records, strict=True)):
        pixels = read_image(done.path / row.path)
        assert pixels.shape == (48, 48)
        assert row.sha256 == pixel_digest(pixels) == record["sha256"]
        assert (row.source, row.row, row.parent) == ("prompts.jsonl", str(number), "")
        origin = json.loads(row.made)
        assert origin == {"model": "tiny", "revision": revision, "seed": 7 + 200 * number, "prompt": prompt["prompt"]}
        assert record["seed"] == prompt["seed"] == origin["seed"]
        assert (record["steps"], record["guidance"], record["scheduler"], record["size"]) == (1, 5.5, "default", 64)
    summary = done.summary["generation"]
    assert (summary["made"], summary["images"], summary["rejected"], summary["missing"]) == (3, 3, {}, {})
    assert done.summary["check"] | {"against": 0} == {
        "made": 3, "against": 0, "equal": 0, "near": 0, "parent": 0, "made_again": 0, "taken_out": 0
    }  # fmt: skip
    with (done.path / "plan.csv").open(newline="") as file:
        plan = {(line["split"], line["emotion"]): line for line in csv.DictReader(file)}
    assert plan["train", "sad"]["generate"] == "3"
    assert read_image(done.path / "generated.png").ndim == 3
    assert [i.name for i in done.manifest.inputs] == ["dataset", "generator"]
    assert fercli.balance(faces.path, tmp_path / "out", generator=str(generator), seed=7, **SMALL).up_to_date
    assert fercli.pack(done.path, tmp_path / "pack").summary["leaks"] == 0


@pytest.mark.slow
def test_image_depends_on_its_seed_not_on_its_batch(generator: Path) -> None:
    sampler = DiffusionSampler(find_source(str(generator), None), Settings(64, 2, 5.5, "default", "cpu"))
    requests = [Request("a sad man", "blurred", 200 * k) for k in range(4)]
    together, alone = sampler.sample(requests), [sampler.sample([request])[0] for request in requests]
    for one, other in zip(together, alone, strict=True):
        assert one is not None
        assert other is not None
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1  # rounding, by the order of summation
    assert together[0] is not None
    assert together[1] is not None
    assert np.abs(together[0].astype(int) - together[1].astype(int)).max() > 20
    assert (sampler.is_truncated("word " * 90), sampler.is_truncated("a face")) == (True, False)


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["dpm++", "unipc", "euler", "ddim"])
def test_every_scheduler_works(generator: Path, scheduler: str) -> None:
    sampler = DiffusionSampler(find_source(str(generator), None), Settings(64, 2, 5.5, scheduler, "cpu"))
    (picture,) = sampler.sample([Request("a sad man", "", 3)])
    assert picture is not None
    assert picture.std() > 5


@pytest.mark.slow
def test_batch_size_does_not_change_the_dataset(faces: Artifact, generator: Path, tmp_path: Path) -> None:
    one, two = (
        fercli.balance(faces.path, tmp_path / str(n), generator=str(generator), batch_size=n, **SMALL) for n in (1, 2)
    )
    for a, b in zip(generated(one), generated(two), strict=True):
        assert (a.path, a.made) == (b.path, b.made)
        pixels = [read_image(done.path / a.path).astype(int) for done in (one, two)]
        assert np.abs(pixels[0] - pixels[1]).max() <= 1


@pytest.mark.slow
def test_rejected_images_are_retried_with_the_next_seed(
    faces: Artifact, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = noise(1, 64, 64) // 2 + 128
    bad: dict[int, np.ndarray | None] = {0: None, 1: np.zeros_like(red), 200: red, 201: np.full_like(red, 9)}

    def render(request: Request) -> np.ndarray | None:
        return bad.get(request.seed, np.repeat(face(request.seed, 64)[..., None], 3, 2) // 2)

    monkeypatch.setattr(method, "create_detector", lambda name, weights: EveryImageDetector(bound=160))
    requested = renders(monkeypatch, render)
    done = fercli.balance(faces.path, tmp_path / "out", generator=str(generator), batch_size=2, **SMALL)
    assert [json.loads(row.made)["seed"] for row in generated(done)] == [2, 202, 400]
    assert sorted(request.seed for request in requested) == [0, 1, 2, 200, 201, 202, 400]
    assert done.summary["generation"]["rejected"] == {"blanked": 2, "no face": 1, "without contrast": 1}
    assert done.summary["generation"]["images"] == 7


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ([], "no face"),
        ([(0, 0, 60, 60), (0, 0, 30, 30)], "several faces"),
        ([(0, 0, 60, 60), (0, 0, 29, 20)], ""),
        ([(0, 0, 47, 40)], "small face"),
    ],
)
def test_a_single_large_enough_face_is_required(boxes: list[tuple[int, ...]], reason: str) -> None:
    class FixedDetector:
        name = "finds"

        def detect(self, pixels: np.ndarray) -> list[Face]:
            return [Face(tuple(map(float, box)), 1.0) for box in boxes]  # type: ignore[arg-type]

    generator = FaceGenerator(None, FixedDetector(), 48, "gray", 0.0, 1, 1)  # type: ignore[arg-type]
    found = generator.extract(noise(1, 64, 64, 3))
    assert found == reason if isinstance(found, str) else (reason == "" and found[0].shape == (48, 48))


@pytest.mark.slow
def test_near_copies_are_retried_for_every_batch_size(
    faces: Artifact, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second prompt's first image is the first's, mirrored; the third's is a brightened test image."""
    test = read_image(faces.path / "test/happy/0.png")
    bad = {200: face(5)[:, ::-1] // 2 + 20, 400: test // 2 + 100, 401: face(5)}

    def render(request: Request) -> np.ndarray:
        return np.repeat(bad.get(request.seed, face(5 + request.seed))[..., None], 3, 2)

    renders(monkeypatch, render)
    for batch in (1, 2, 8):
        done = fercli.balance(faces.path, tmp_path / str(batch), generator=str(generator), batch_size=batch, **SMALL)
        assert [json.loads(row.made)["seed"] for row in generated(done)] == [0, 201, 402]
        assert done.summary["generation"]["rejected"] == {"near copy": 3}
        assert done.summary["check"]["near"] == 0


@pytest.mark.slow
def test_prompts_without_a_face_are_reported_and_the_rest_kept(
    fer: Fer, faces: Artifact, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = renders(
        monkeypatch,
        lambda request: None if 200 <= request.seed < 400 else np.repeat(face(request.seed)[..., None], 3, 2),
    )
    options = [text for name, value in PLAIN.items() for text in (f"--{name.replace('_', '-')}", value)]
    monkeypatch.setenv("COLUMNS", "80")
    result = fer("balance", faces.path, tmp_path / "out", "--generator", generator, "--tries", 3, *options)
    assert result.code == 0
    assert "missing: 1 of train/sad yielded no face within 3 tries (3 blanked)" in result.err
    assert "missing: 1 of train/sad" in result.out
    assert max(map(len, result.out.splitlines()[:-1])) <= 80
    done = open_artifact(tmp_path / "out", "dataset")
    assert done.manifest.counts["train"] == {"happy": 5, "sad": 4}
    assert done.summary["generation"]["missing"] == {"train/sad": 1}
    assert len(requested) == 5
    records = [json.loads(line) for line in (done.path / "generated.jsonl").open()]
    assert (records[1]["file"], records[1]["rejected"]) == (None, ["blanked"] * 3)
    assert not (done.path / "train/sad/generated-00002.png").exists()


@pytest.mark.slow
def test_generator_without_faces_aborts_early(
    faces: Artifact, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = renders(monkeypatch, lambda request: None)
    with pytest.raises(DataError, match=r"no face detected in the first 40 images \(40 blanked\)"):
        fercli.balance(faces.path, tmp_path / "out", generator=str(generator), policy=500, tries=2, **SMALL)
    assert len(requested) == 40
    assert names(tmp_path) == ["faces"]


@pytest.mark.slow
def test_out_of_memory_halves_the_batch(
    faces: Artifact, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, sizes, max_batch = type(find_pipe(generator)).__call__, [], 3

    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        sizes.append(len(options["prompt"]))
        if len(options["prompt"]) > max_batch:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, *arguments, **options)

    monkeypatch.setattr(type(find_pipe(generator)), "__call__", call)
    log = Log()
    done = fercli.balance(
        faces.path, tmp_path / "out", generator=str(generator), batch_size=8, policy=13, progress=log, **SMALL
    )
    assert len(generated(done)) == 19
    assert sizes[:4] == [8, 4, 2, 2]
    assert "out of memory with batch size 8: continuing with 4" in log.lines
    max_batch = 0
    with pytest.raises(FerError, match="not have enough memory for one image; use a smaller --image-size"):
        fercli.balance(faces.path, tmp_path / "none", generator=str(generator), batch_size=8, policy=13, **SMALL)


def find_pipe(generator: Path) -> Any:
    return DiffusionSampler(find_source(str(generator), None), Settings(64, 1, 5.5, "default", "cpu")).pipe


@pytest.mark.slow
def test_images_flagged_by_the_safety_checker_are_dropped(
    generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    safe = find_source(str(tiny_generator(tmp_path / "safe", safety=True)), None)
    assert (safe.has_safety_checker, find_source(str(generator), None).has_safety_checker) == (True, False)
    sampler = DiffusionSampler(safe, Settings(64, 1, 5.5, "default", "cpu"))
    requests = [Request("a", "", 1), Request("b", "", 2)]
    monkeypatch.setattr(sampler.pipe.safety_checker, "forward", lambda images, clip_input: (images, [False, True]))
    one, other = sampler.sample(requests)
    assert one is not None
    assert other is None


def generate_and_die(dataset: Path, out: Path, options: dict[str, Any]) -> None:
    """Generate, and kill the process before the fourth journal entry."""
    torch.set_num_threads(1)
    add, calls = Journal.add, itertools.count(1)

    def killing(self: Journal, *arguments: Any) -> None:
        if next(calls) == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        add(self, *arguments)

    Journal.add = killing  # type: ignore[method-assign]
    fercli.balance(dataset, out, **options)


@pytest.mark.slow
def test_killed_call_resumes_with_the_same_result(
    faces: Artifact, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampler = DiffusionSampler(find_source(str(generator), None), Settings(64, 1, 5.5, "default", "cpu"))
    pictures = sampler.sample([Request("a sad man", "", 200 * k) for k in range(11)])
    bound = float(np.median([picture[..., 0].mean() for picture in pictures if picture is not None]))
    monkeypatch.setattr(method, "create_detector", lambda name, weights: EveryImageDetector(bound))
    options = {**SMALL, "generator": str(generator), "policy": 9}
    original = fercli.balance(faces.path, tmp_path / "original", **options)
    assert original.summary["generation"]["rejected"]
    # Forked, since importing diffusers again would take longer than the rest.
    process = multiprocessing.get_context("fork").Process(
        target=generate_and_die, args=(faces.path, tmp_path / "out", options)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    partial = tmp_path / ".out.partial"
    assert len((partial / "journal.jsonl").read_text().splitlines()) == 3
    with (partial / "journal.jsonl").open("a") as file:
        file.write('{"number": 4, "tri')  # incomplete
    images = sorted(partial.glob("train/*/generated-*.png"))
    images[0].write_bytes(images[0].read_bytes()[:60])  # and a face is truncated
    log = Log()
    seeds: list[int] = []
    sample = DiffusionSampler.sample
    monkeypatch.setattr(
        DiffusionSampler, "sample", lambda self, batch: seeds.extend(r.seed for r in batch) or sample(self, batch)
    )
    again = fercli.balance(faces.path, tmp_path / "out", progress=log, **options)
    assert "resuming from prompt 3/11" in log.lines
    assert len(seeds) < original.summary["generation"]["images"]
    assert (again.path / "index.csv").read_bytes() == (original.path / "index.csv").read_bytes()
    assert again.summary["generation"]["rejected"] == original.summary["generation"]["rejected"]
    assert not (again.path / "journal.jsonl").exists()


@pytest.mark.slow
def test_mix_creates_a_share_by_augmentation(faces: Artifact, generator: Path, tmp_path: Path) -> None:
    options = {**SMALL, "method": "mix", "generator": str(generator), "policy": 9}
    done = fercli.balance(faces.path, tmp_path / "out", augment_share=0.4, **options)
    origins = Counter((row.emotion, row.origin) for row in read_index(done) if row.split == "train")
    assert origins == {
        ("happy", "real"): 5, ("happy", "augmented"): 1, ("happy", "generated"): 3,
        ("sad", "real"): 2, ("sad", "augmented"): 2, ("sad", "generated"): 5,
    }  # fmt: skip
    with (done.path / "plan.csv").open(newline="") as file:
        plan = {line["emotion"]: line for line in csv.DictReader(file) if line["split"] == "train"}
    assert (plan["sad"]["augment"], plan["sad"]["generate"]) == ("2", "5")
    assert done.summary["check"]["made"] == 11


@pytest.mark.slow
def test_balancing_twice_skips_existing_names(faces: Artifact, generator: Path, tmp_path: Path) -> None:
    once = fercli.balance(faces.path, tmp_path / "once", generator=str(generator), **SMALL)
    twice = fercli.balance(once.path, tmp_path / "twice", generator=str(generator), seed=1, policy=6, **SMALL)
    assert [row.path.rsplit("/")[-1] for row in generated(twice) if row.emotion == "sad"] == [
        f"generated-0000{k}.png" for k in (1, 2, 3, 4)
    ]
    assert len({row.sha256 for row in generated(twice)}) == 5


# --- plans ---


@pytest.fixture
def plan(tmp_path: Path) -> Artifact:
    done = fercli.balance(out=tmp_path / "plan", target="fer2013", policy=440)
    assert done.summary["prompts"] == 4
    return done


@pytest.mark.slow
def test_plan_alone_becomes_a_dataset_of_generated_images(plan: Artifact, generator: Path, tmp_path: Path) -> None:
    options = {**SMALL}
    options.pop("method")
    done = fercli.balance(plan.path, tmp_path / "out", generator=str(generator), **options)
    rows = read_index(done)
    assert [row.path for row in rows] == [f"train/disgust/generated-0000{k}.png" for k in (1, 2, 3, 4)]
    assert read_image(done.path / rows[0].path).shape == (48, 48)
    assert done.manifest.counts["train"]["disgust"] == 4


@pytest.mark.slow
def test_edited_plan_is_added_to_a_dataset(faces: Artifact, plan: Artifact, generator: Path, tmp_path: Path) -> None:
    lines = [
        {"file": "train/sad/mine.png", "emotion": "sad", "seed": 5, "prompt": "a sad man"},
        {"file": "validation/happy/x.png", "emotion": "happy", "seed": 9, "prompt": "b", "negative_prompt": "c"},
    ]
    (plan.path / "prompts.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    for given in (plan.path, plan.path / "prompts.jsonl"):
        out = tmp_path / f"out-{given.name}"
        done = fercli.balance(faces.path, out, plan=given, generator=str(generator), **SMALL)
        assert {(row.path, json.loads(row.made)["seed"]) for row in generated(done)} == {
            ("train/sad/mine.png", 5), ("validation/happy/x.png", 9)
        }  # fmt: skip
        assert "validation is filled up too" in done.summary["note"]
        records = [json.loads(line) for line in (done.path / "generated.jsonl").open()]
        assert records[1]["negative_prompt"] == "c"


GOOD = {"file": "train/sad/a.png", "emotion": "sad", "seed": 1, "prompt": "p"}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("not json", "line 2: not valid JSON"),
        ("[1]", "line 2: not a JSON object"),
        ("[" * 100_000, "line 2: not valid JSON"),
        ({"promt": "x"}, "line 2: no field 'promt'; did you mean prompt"),
        ('{"file": "train/sad/x.png", "emotion": "happy", "emotion": "sad"}', "line 2: emotion occurs twice"),
        ({"prompt": "a \ud800"}, "line 2: prompt contains an unpaired surrogate"),
        ({"file": "train/sad/\udfff.png"}, "line 2: file contains an unpaired surrogate"),
        ({"seed": None}, "line 2: seed is missing; required are file, emotion, seed, prompt"),
        ({"seed": True}, "line 2: seed True is not a non-negative integer"),
        ({"seed": -1}, "line 2: seed -1 is not a non-negative integer"),
        ({"seed": 1.5}, "line 2: seed 1.5 is not a non-negative integer"),
        ({"prompt": " "}, "line 2: the prompt is empty"),
        ({"prompt": "x" * 5000}, "or longer than 4,000 characters"),
        ({"prompt": ["x"]}, "line 2: prompt is not a string"),
        ({"emotion": "sadd"}, "line 2: no emotion 'sadd'; did you mean sad"),
        ({"file": "train/sad/A.PNG"}, "not a path in a dataset"),
        ({"file": "train/sad/first.png"}, "'train/sad/first.png' is already named in line 1"),
        ({"file": "train/sad/First.png"}, "is already named in line 1"),
        ({"file": "train/sad/0.png"}, "is already in the dataset"),
        ({"file": "../sad/x.png"}, "not a path in a dataset"),
        ({"file": "/etc/sad/x.png"}, "not a path in a dataset"),
        ({"file": "train/sad/../../x.png"}, "not a path in a dataset"),
        ({"file": "train/../x.png"}, "not a path in a dataset"),
        ({"file": "trian/sad/x.png"}, "no split 'trian'; did you mean train"),
        ({"file": "train/happy/x.png"}, "is in the folder happy, but its emotion is sad"),
        ({"file": "train\\sad\\x.png"}, "not a path in a dataset"),
    ],
)
def test_errors_in_edited_prompts_name_the_line(
    faces: Artifact, generator: Path, tmp_path: Path, line: str | dict[str, Any], text: str
) -> None:
    if isinstance(line, dict):
        line = json.dumps({k: v for k, v in {**GOOD, **line}.items() if v is not None})
    first = json.dumps({**GOOD, "file": "train/sad/first.png"})
    (tmp_path / "p.jsonl").write_text(f"{first}\n{line}\n")
    with pytest.raises(DataError) as error:
        fercli.balance(faces.path, tmp_path / "out", plan=tmp_path / "p.jsonl", generator=str(generator), **SMALL)
    assert text in str(error.value)
    assert f"{tmp_path / 'p.jsonl'}, line 2" in str(error.value)
    assert not (tmp_path / "out").exists()


def test_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(json.dumps(GOOD) + "\n", encoding="utf-8-sig")
    assert [prompt.text for prompt in read_prompts(tmp_path / "p.jsonl", ["sad"])] == [GOOD["prompt"]]


@pytest.mark.parametrize(("content", "text"), [(b"", "contains no prompts"), (b"\xff\xfe{", "not UTF-8 text")])
def test_files_without_prompts(faces: Artifact, generator: Path, tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "p.jsonl").write_bytes(content)
    with pytest.raises(DataError, match=text):
        fercli.balance(faces.path, tmp_path / "out", plan=tmp_path / "p.jsonl", generator=str(generator), **SMALL)


# --- errors ---


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:100])


def _pickle_only(folder: Path) -> None:
    (folder / "diffusion_pytorch_model.safetensors").rename(folder / "diffusion_pytorch_model.bin")


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda g: (g / "model_index.json").unlink(), r"it has no model_index\.json"),
        (lambda g: (g / "model_index.json").write_text("{"), r"model_index\.json: cannot be read"),
        (lambda g: (g / "model_index.json").write_text('{"_class_name": "Evil"}'), "Evil is not supported"),
        (lambda g: shutil.rmtree(g / "vae"), "incomplete, vae/ is missing"),
        (lambda g: (g / "unet" / "diffusion_pytorch_model.safetensors").unlink(), "unet: has no weights"),
        (lambda g: _pickle_only(g / "unet"), r"unet: contains only pickles \(\.bin\), which can execute code"),
        (lambda g: (g / "unet" / "config.json").unlink(), r"unet/config\.json: missing"),
        (lambda g: (g / "scheduler" / "scheduler_config.json").unlink(), r"scheduler_config\.json: missing"),
        (lambda g: [f.unlink() for f in (g / "tokenizer").iterdir()], r"tokenizer/vocab\.json: missing"),
        (lambda g: _truncate(g / "unet" / "diffusion_pytorch_model.safetensors"), "cannot be loaded"),
        (
            lambda g: (g / "unet" / "config.json").write_text("{}"),
            r"cannot be loaded \(\w+: Cannot load [^;]*\)\); download it again$",
        ),
    ],
)
def test_incomplete_generator_is_a_one_line_error(
    faces: Artifact, generator: Path, tmp_path: Path, damage: Callable[[Path], object], text: str
) -> None:
    broken = Path(shutil.copytree(generator, tmp_path / "broken"))
    damage(broken)
    with pytest.raises(DataError, match=text) as error:
        fercli.balance(faces.path, tmp_path / "out", generator=str(broken), **SMALL)
    assert len(str(error.value).splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_failed_download_gives_advice(faces: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(name: str, **options: Any) -> str:
        assert options == {"revision": "abc", "use_safetensors": True}
        raise ConnectionError("no route")

    monkeypatch.setattr("diffusers.DiffusionPipeline.download", download)
    with pytest.raises(FerError, match=r"some/model at abc: not in the hub's cache .*HF_HOME.*--generator FOLDER"):
        fercli.balance(faces.path, tmp_path / "out", generator="some/model", revision="abc", **SMALL)


@pytest.mark.slow
def test_hub_generator_is_recorded_by_its_commit(
    faces: Artifact, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    shutil.copytree(generator, tmp_path / "hub" / commit)
    monkeypatch.setattr("diffusers.DiffusionPipeline.download", lambda name, **options: str(tmp_path / "hub" / commit))
    done = fercli.balance(faces.path, tmp_path / "out", generator="some/model", **SMALL)
    assert {json.loads(row.made)["revision"] for row in generated(done)} == {commit}
    assert {json.loads(row.made)["model"] for row in generated(done)} == {"some/model"}


def test_missing_diffusers_says_what_to_install(
    faces: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "diffusers", None)
    with pytest.raises(FerError, match=r"pip install 'fercli\[generate\]'"):
        fercli.balance(faces.path, tmp_path / "out", generator="some/model", **SMALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"method": "augment", "steps": 3}, UsageError, "--steps: not used by --method augment"),
        ({"augment_share": 0.3}, UsageError, "--augment-share: not used by --method generate, only by mix"),
        ({"revision": "abc"}, UsageError, "--revision: only applies to models on the hub"),
        ({"generator": "nowhere"}, UsageError, "no such folder, and not the name of a model on the hub"),
        ({"method": "generat"}, UsageError, "no method 'generat'; did you mean generate"),
        ({"image_size": 100}, UsageError, "image-size"),
        ({"tries": 201}, UsageError, "tries"),
        ({"policy": "ratio", "plan": "p.jsonl"}, UsageError, "--policy: the plan's prompts define what is"),
        ({"plan": "none.jsonl"}, DataError, "none.jsonl: no such file of prompts"),
        ({"detector": "nose"}, UsageError, "no detector 'nose'"),
    ],
)
def test_invalid_options_are_one_line_errors(
    faces: Artifact,
    generator: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, Any],
    error: type[FerError],
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.jsonl").write_text(json.dumps(GOOD) + "\n")
    given = {**SMALL, "generator": str(generator), **options}
    if options.get("method") == "augment":
        given = {"method": "augment", **options}
    with pytest.raises(error, match=text):
        fercli.balance(faces.path, tmp_path / "out", **given)
    assert "out" not in names(tmp_path)


def test_plan_without_a_dataset_rejects_options_that_need_images(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--method augment: augments existing images"):
        fercli.balance(out=tmp_path / "plan", method="augment")
    with pytest.raises(UsageError, match="--steps: nothing is generated without a dataset"):
        fercli.balance(out=tmp_path / "plan", steps=3)
    mixed = fercli.balance(out=tmp_path / "plan", method="mix", augment_share=0.5, policy=440)
    assert (mixed.summary["train"]["augment"]["disgust"], mixed.summary["prompts"]) == (2, 2)


def test_images_unlike_faces_are_rejected_but_kept_for_resuming(
    faces: Artifact, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requested = renders(
        monkeypatch, lambda request: np.random.default_rng(request.seed).integers(0, 256, (64, 64, 3), np.uint8)
    )
    with pytest.raises(DataError, match=r"images of sad do not look like the faces of train: .* --keep-anyway"):
        fercli.balance(faces.path, tmp_path / "out", generator=str(generator), **PLAIN)
    assert not (tmp_path / "out").exists()
    rendered = len(requested)
    kept = fercli.balance(faces.path, tmp_path / "out", generator=str(generator), **SMALL)
    assert len(requested) == rendered
    assert kept.summary["generation"]["unlike_any_face"] == ["sad"]


def test_images_like_faces_pass(
    faces: Artifact, generator: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    renders(monkeypatch, lambda request: np.repeat(face(request.seed, 64)[..., None], 3, 2))
    done = fercli.balance(faces.path, tmp_path / "out", generator=str(generator), **PLAIN)
    assert done.summary["generation"]["unlike_any_face"] == []
