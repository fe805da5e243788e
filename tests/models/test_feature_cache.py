"""The cache of features: each image once, by its pixels, whoever asks."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fercli.artifacts.staging import locked
from fercli.errors import FerError
from fercli.models import feature_cache
from fercli.models.feature_cache import FrozenEncoder, cached_features
from fercli.models.preprocessing import Preprocessing, channels_first
from tests.helpers.progress import Log

CPU = torch.device("cpu")
PREPROCESSING = Preprocessing(input_size=8, mean=(0.5,), std=(0.25,))


class Counting(nn.Module):
    """An encoder that counts the faces that it sees."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(64, 5, generator=generator))
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return x.flatten(1) @ self.weight


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FERCLI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


def faces(count: int = 10, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 8, 8), generator=generator, dtype=torch.uint8)


def encoder(seed: int = 0, name: str = "probe/x") -> tuple[Counting, FrozenEncoder]:
    module = Counting(seed)
    return module, FrozenEncoder(name, module, PREPROCESSING)


def expected(module: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        features: Tensor = module(PREPROCESSING(channels_first(images)))
    return features


def test_features_are_computed_once_for_each_image() -> None:
    module, own = encoder()
    images, log = faces(), Log()
    first = cached_features(own, images, CPU, progress=log)
    torch.testing.assert_close(first, expected(Counting(), images), rtol=0, atol=1e-6)
    assert module.seen == 10
    again, same = encoder()
    torch.testing.assert_close(cached_features(same, images.flip(0), CPU, progress=log), first.flip(0), rtol=0, atol=0)
    more = torch.cat([images[:3], faces(4, seed=1), images[:1]])
    torch.testing.assert_close(cached_features(same, more, CPU), expected(Counting(), more), rtol=0, atol=1e-6)
    assert again.seen == 4
    assert log.lines == [
        "features of 10 faces: 10 computed, the others from the cache",
        "features of 10 faces: 0 computed, the others from the cache",
    ]


def test_gradients_may_depend_on_features() -> None:
    _, own = encoder()
    weight = torch.ones(5, requires_grad=True)
    (cached_features(own, faces(), CPU) * weight).sum().backward()
    assert weight.grad is not None


def test_mirrored_faces_have_features_of_their_own() -> None:
    _, own = encoder()
    images = faces()
    plain, mirrored = cached_features(own, images, CPU), cached_features(own, images, CPU, mirrored=True)
    assert not torch.allclose(plain, mirrored)
    torch.testing.assert_close(mirrored, cached_features(own, images.flip(2), CPU), rtol=0, atol=1e-6)


def test_other_encoders_have_other_features() -> None:
    _, own = encoder()
    others = [
        encoder(seed=1)[1],
        encoder(name="probe/y")[1],
        FrozenEncoder("probe/x", Counting(), PREPROCESSING.model_copy(update={"std": (0.5,)})),
    ]
    assert len({one.identity for one in (own, *others)}) == 4
    assert encoder()[1].identity == own.identity


def test_interrupted_call_keeps_what_it_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "SHARD", 4)
    monkeypatch.setattr(feature_cache, "BATCH_SIZE", 2)
    module, own = encoder()

    def fail(_module: nn.Module, _inputs: object) -> None:
        if module.seen == 6:
            raise KeyboardInterrupt

    module.register_forward_pre_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        cached_features(own, faces(), CPU)
    again, same = encoder()
    cached_features(same, faces(), CPU)
    assert again.seen == 6  # all but the first file


def test_damaged_file_is_computed_again(cache: Path) -> None:
    first = cached_features(encoder()[1], faces(), CPU)
    (file,) = cache.glob("*/*.safetensors")
    file.write_bytes(file.read_bytes()[:100])
    module, own = encoder()
    torch.testing.assert_close(cached_features(own, faces(), CPU), first, rtol=0, atol=0)
    assert module.seen == 10
    assert file.stat().st_size > 100


def test_calls_at_once_compute_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "WAIT", 0.01)
    module, own = encoder()
    log, found = Log(), []
    thread = threading.Thread(target=lambda: found.append(cached_features(own, faces(), CPU, progress=log)))
    with locked(cache / own.identity):
        thread.start()
        while not log.lines:
            thread.join(0.01)
        first, other = encoder()
        with monkeypatch.context() as patch:  # the holder of the lock computes
            patch.setattr(feature_cache, "locked", lambda _folder: threading.Lock())
            cached_features(other, faces(), CPU)
    thread.join()
    assert (first.seen, module.seen) == (10, 0)
    torch.testing.assert_close(found[0], expected(Counting(), faces()), rtol=0, atol=1e-6)
    assert log.lines[0] == "waiting for another call that computes features of this encoder"


def test_cache_that_cannot_be_written(cache: Path) -> None:
    cache.parent.mkdir(parents=True)
    cache.write_text("a file")
    module, own = encoder()
    log = Log()
    torch.testing.assert_close(
        cached_features(own, faces(), CPU, progress=log), expected(Counting(), faces()), rtol=0, atol=1e-6
    )
    assert module.seen == 10
    assert "features are not kept" in log.lines[0]
    assert os.path.isfile(cache)


def test_features_must_be_finite() -> None:
    module, own = encoder()
    with torch.no_grad():
        module.weight.fill_(torch.inf)
    with pytest.raises(FerError, match="probe/x: its features are not finite"):
        cached_features(own, faces(), CPU)
