"""Sampling faces: no duplicates, no copies of real faces, and correlations with them."""

import numpy as np
import pytest
import torch

from fercli.datasets.perceptual import COMPARE_SIDE
from fercli.errors import DataError
from fercli.generation.correlation_index import CorrelationIndex, comparison_thumbnail, summarize
from fercli.generation.gan import sampling
from fercli.generation.gan.checkpoint import GanMetadata, save_generator
from fercli.generation.gan.networks import NOISE_SIZE, GanGenerator
from fercli.generation.gan.sampling import GanSampler, generate_faces, sample_noise
from fercli.images import Pixels
from tests.helpers.datasets import face
from tests.helpers.datasets import noise as pixels_of_noise
from tests.helpers.generators import load_generator

CPU = torch.device("cpu")


def index(pictures: list[Pixels], capacity: int = 5000) -> CorrelationIndex:
    result = CorrelationIndex(capacity, CPU)
    if pictures:
        result.add(np.stack([comparison_thumbnail(picture) for picture in pictures]))
    return result


def sampler(train: list[Pixels] = (), others: list[Pixels] = ()) -> GanSampler:  # type: ignore[assignment]
    torch.manual_seed(0)
    return GanSampler(GanGenerator(2, 32, 1, 4).eval(), 0, None, index(list(train)), index(list(others)), index([]))


def mock_generator(monkeypatch: pytest.MonkeyPatch, faces: list[Pixels]) -> None:
    """Make the generator return these faces, cyclically."""
    numbers = iter(range(10**6))
    monkeypatch.setattr(
        sampling, "generate_faces", lambda g, z, label: np.stack([faces[next(numbers) % len(faces)] for _ in z])
    )


def test_correlations_match_numpy() -> None:
    pictures = [face(k) for k in range(9)] + [face(k)[:, ::-1].copy() for k in range(3)]
    queries = np.stack([comparison_thumbnail(face(k)) for k in (1, 20, 21)])
    values, numbers = index(pictures).nearest(queries)
    known = [comparison_thumbnail(picture) for picture in pictures]
    for query, value, number in zip(queries, values, numbers, strict=True):
        both = [
            max(
                np.corrcoef(query.ravel(), other.ravel())[0, 1],
                np.corrcoef(query[:, ::-1].ravel(), other.ravel())[0, 1],
            )
            for other in known
        ]
        assert value == pytest.approx(max(both), abs=1e-5)
        assert both[number] == pytest.approx(max(both), abs=1e-5)
    assert values[0] == pytest.approx(1, abs=1e-5)
    among = index([]).pairwise(queries)
    assert among[1, 2] == pytest.approx(
        max(np.corrcoef(q.ravel(), queries[2].ravel())[0, 1] for q in (queries[1], queries[1][:, ::-1])), abs=1e-5
    )


def test_chunked_comparison_gives_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = [face(k) for k in range(50)]
    queries = np.stack([comparison_thumbnail(face(k)) for k in range(45, 60)])
    unchunked = index(pictures).nearest(queries)
    monkeypatch.setattr("fercli.generation.correlation_index.CHUNK", 7)
    parts = index(pictures).nearest(queries)
    np.testing.assert_allclose(parts[0], unchunked[0], atol=1e-6)
    assert parts[1].tolist() == unchunked[1].tolist()
    assert parts[1][:5].tolist() == [45, 46, 47, 48, 49]


def test_empty_index_and_constant_images() -> None:
    flat = np.full((2, COMPARE_SIDE, COMPARE_SIDE), 7, np.uint8)
    assert index([]).nearest(flat)[0].tolist() == [-1, -1]
    assert index([face(0)]).nearest(flat)[0].tolist() == [0, 0]
    assert summarize(np.empty(0, np.float32), 0.97) == {"n": 0}
    assert summarize(np.array([0.5, 0.6, 0.97, 0.99], np.float32), 0.97)["at least 0.97"] == 2


def test_noise_is_reproducible_and_can_be_truncated() -> None:
    assert torch.equal(sample_noise(1, 2, 3), sample_noise(1, 2, 3))
    others = [sample_noise(*key) for key in ((1, 2, 3), (0, 2, 3), (1, 3, 2), (1, 2, 4))]
    assert len({tuple(one.tolist()) for one in others}) == 4
    many = torch.cat([sample_noise(0, 0, k) for k in range(200)])
    assert many.mean().item() == pytest.approx(0, abs=0.03)
    assert many.std().item() == pytest.approx(1, abs=0.03)
    bounded = torch.cat([sample_noise(0, 0, k, 0.5) for k in range(200)])
    assert bounded.abs().max() <= 0.5
    assert bounded.abs().max() > 0.45
    assert bounded.mean().item() == pytest.approx(0, abs=0.02)


def test_generated_faces_match_the_network_output() -> None:
    torch.manual_seed(0)
    generator = GanGenerator(2, 32, 3, 4)
    generator(torch.randn(16, NOISE_SIZE), torch.arange(16) % 2)
    generator.eval()
    noises = torch.stack([sample_noise(0, 1, k) for k in range(3)])
    faces = generate_faces(generator, noises, 1)
    assert faces.shape == (3, 32, 32, 3)
    assert faces.dtype == np.uint8
    exact = (generator(noises, torch.ones(3, dtype=torch.int64)).detach().permute(0, 2, 3, 1) + 1) * 127.5
    np.testing.assert_allclose(faces, exact.numpy(), atol=0.51)


def test_yields_the_requested_number_of_numbered_faces(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = [face(k, 32) for k in range(1200)]
    mock_generator(monkeypatch, faces)
    generated = sampler()
    first = list(generated.sample(0, 300, "train/happy"))
    second = list(generated.sample(0, 100, "test/happy"))
    assert [number for number, _ in first + second] == list(range(400))
    assert all((one == faces[number]).all() for number, one in first + second)
    assert generated.generated[0] == 512
    assert generated.rejected == {}
    assert list(generated.sample(1, 0, "none")) == []


def test_copies_of_real_and_generated_faces_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    real, other = [face(k, 32) for k in range(5)], [face(10, 32)]
    near = np.clip(real[1].astype(int) + pixels_of_noise(0, 32, 32) % 3, 0, 255).astype(np.uint8)
    blank = np.full((32, 32), 9, np.uint8)
    mock_generator(
        monkeypatch, [real[0], near, real[2][:, ::-1].copy(), other[0], blank, *(face(k, 32) for k in range(20, 271))]
    )
    generated = sampler(real, other)
    accepted = list(generated.sample(0, 251, "train/happy"))
    assert [number for number, _ in accepted] == list(range(5, 256))
    assert generated.rejected == {sampling.NEAR_REAL: 4, sampling.BLANK: 1}
    nearest = np.concatenate([generated.nearest_of(label) for label in generated.nearest])
    assert (nearest >= 0.97).sum() == 3  # the copy of another split is not one of a training face
    assert generated.closest[0][0] == max(value for value in nearest if value < 0.97)
    with pytest.raises(
        DataError, match=r"the GAN repeats itself: 512 faces generated for test/sad gave 0 of 10 .*--gan-st"
    ):
        list(generated.sample(1, 10, "test/sad"))
    assert generated.rejected[sampling.NEAR_GENERATED] > 0


def test_copies_within_a_chunk_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    mock_generator(monkeypatch, [face(1, 32), face(2, 32)])
    generated = sampler()
    assert len(list(generated.sample(0, 2, "train/happy"))) == 2
    assert generated.rejected == {sampling.NEAR_GENERATED: 254}


def test_saved_generator_generates_the_same_faces(tmp_path) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    generator = GanGenerator(2, 48, 1, 4)
    generator(torch.randn(8, NOISE_SIZE), torch.arange(8) % 2)
    metadata = GanMetadata(
        emotions=["happy", "sad"], counts={"happy": 3, "sad": 2}, side=48, color="gray", width=4, noise_seed=0,
        truncation=None, steps=1, batch=8, training_data="0" * 64,
    )  # fmt: skip
    kept = save_generator(tmp_path / "gan", generator.eval(), metadata)
    assert len(kept.sha256) == 64
    loaded, read = load_generator(tmp_path / "gan")
    assert read == kept
    noises = torch.randn(4, NOISE_SIZE)
    assert (generate_faces(loaded, noises, 1) == generate_faces(generator, noises, 1)).all()
