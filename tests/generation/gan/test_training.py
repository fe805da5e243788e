"""GAN training: losses by hand, balanced batches, learning, and bit-identical resuming."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fercli.errors import FerError
from fercli.generation.gan.data import TrainingFaces
from fercli.generation.gan.losses import discriminator_loss, generator_loss
from fercli.generation.gan.sampling import generate_faces, sample_noise
from fercli.generation.gan.training import DECAY, STATE, GanTrainer


def two_classes(each: tuple[int, int] = (60, 20), side: int = 32, channels: int = 1) -> TrainingFaces:
    """Noisy images with a bright upper half, and with a bright lower half; flipping keeps the class."""
    torch.manual_seed(0)
    count = sum(each)
    images = torch.full((count, channels, side, side), 60.0)
    images[: each[0], :, : side // 2] = 200
    images[each[0] :, :, side // 2 :] = 200
    images += 15 * torch.randn_like(images)
    return TrainingFaces(images.clamp(0, 255).to(torch.uint8), {"happy": each[0], "disgust": each[1]})


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_hinge_losses_by_hand() -> None:
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-2.0, 0.25, 1.0])
    assert discriminator_loss(real, fake).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1.25 + 2) / 3)
    assert generator_loss(fake).item() == pytest.approx(0.25)
    assert discriminator_loss(torch.tensor([1.0]), torch.tensor([-1.0])) == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_batches_are_balanced_and_cover_each_class(channels: int) -> None:
    real = TrainingFaces(
        torch.arange(40, dtype=torch.uint8)[:, None, None, None].expand(40, channels, 32, 32), {"a": 37, "b": 3}
    )
    generator = torch.Generator().manual_seed(0)
    seen: dict[int, set[int]] = {0: set(), 1: set()}
    for _ in range(100):
        faces, labels = real.batch(9, generator)
        assert faces.shape == (9, channels, 32, 32)
        assert sorted(torch.bincount(labels).tolist()) == [4, 5]
        for face, label in zip(faces, labels.tolist(), strict=True):
            seen[label].add(round((face[0, 0, 0].item() + 1) * 127.5))
    assert seen[1] == {37, 38, 39}
    assert seen[0] == set(range(37))


def test_half_of_the_faces_are_flipped() -> None:
    ramp = torch.arange(32, dtype=torch.uint8).expand(1, 1, 32, 32).contiguous()
    faces, _ = TrainingFaces(ramp, {"a": 1}).batch(1000, torch.Generator().manual_seed(0))
    rising = (faces[:, 0, 0, 0] < faces[:, 0, 0, -1]).sum().item()
    assert 430 < rising < 570
    torch.testing.assert_close(faces.amin((1, 2, 3)), torch.full((1000,), -1.0))


def test_a_step_updates_both_networks_and_the_ema() -> None:
    gan = GanTrainer(two_classes(), 4, 8, 0)
    before = {n: p.detach().clone() for n, p in gan.generator.named_parameters()}
    discriminator_before = [p.detach().clone() for p in gan.discriminator.parameters()]
    average = {n: p.clone() for n, p in gan.average.model.named_parameters()}
    gan.step()
    decay = min(DECAY, (1 + 1) / (10 + 1))
    for name, now in gan.generator.named_parameters():
        assert not torch.equal(now, before[name]), name
        expected = decay * average[name] + (1 - decay) * now.detach()
        torch.testing.assert_close(gan.average.model.get_parameter(name), expected)
    assert any(
        not torch.equal(old, new) for old, new in zip(discriminator_before, gan.discriminator.parameters(), strict=True)
    )
    assert all(p.requires_grad for p in gan.discriminator.parameters())


@pytest.mark.slow
def test_generator_learns_the_classes(tmp_path: Path) -> None:
    real = two_classes()
    means = [part.float().mean(0) for part in real.images.split(list(real.counts.values()))]
    torch.manual_seed(1)
    gan = GanTrainer(real, 8, 16, 3)
    untrained = share_nearer_to_own_mean(gan, means)
    gan.train(200, tmp_path)
    assert share_nearer_to_own_mean(gan, means) > 0.95
    assert untrained < 0.75


def share_nearer_to_own_mean(gan: GanTrainer, means: list[torch.Tensor]) -> float:
    """Return the share of generated faces that are nearer to the mean of their own class."""
    right = []
    for label in (0, 1):
        faces = generate_faces(gan.average.model, torch.stack([sample_noise(9, label, k) for k in range(64)]), label)
        distances = [np.abs(faces.astype(np.float32) - mean.numpy()).mean((1, 2)) for mean in means]
        right.append((distances[label] < distances[1 - label]).mean())
    return float(np.mean(right))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [3, 5])
def test_resumed_training_is_bit_identical(steps: int, tmp_path: Path) -> None:
    uninterrupted = GanTrainer(two_classes(), 4, 8, 5)
    uninterrupted.train(7, tmp_path / "uninterrupted")
    first = GanTrainer(two_classes(), 4, 8, 5)
    first.train(steps, tmp_path / "cut")
    second = GanTrainer(two_classes(), 4, 8, 5)
    torch.manual_seed(999)  # the state of torch's global generator does not matter
    second.restore(tmp_path / "cut" / STATE)
    assert second.steps == steps
    second.train(7, tmp_path / "cut")
    for mine, theirs in (
        (uninterrupted.generator, second.generator),
        (uninterrupted.discriminator, second.discriminator),
    ):
        for (name, one), other in zip(mine.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(one, other), name
    for one, other in zip(uninterrupted.average.model.parameters(), second.average.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert second.history == uninterrupted.history


def test_corrupt_state_is_an_error(tmp_path: Path) -> None:
    gan = GanTrainer(two_classes(), 4, 8, 0)
    (tmp_path / "resume").mkdir()
    (tmp_path / STATE).write_bytes(b"PK")
    with pytest.raises(FerError, match=r"gan\.pt: cannot be read; remove the folder .* to start over"):
        gan.restore(tmp_path / STATE)
    GanTrainer(two_classes(), 8, 8, 0).save(tmp_path / STATE)
    with pytest.raises(FerError, match="cannot be read"):
        gan.restore(tmp_path / STATE)


def test_non_finite_loss_is_an_error(tmp_path: Path) -> None:
    gan = GanTrainer(two_classes(), 4, 8, 0)
    with torch.no_grad():
        gan.generator.project.weight.fill_(float("nan"))
    with pytest.raises(FerError, match=r"the GAN's loss is not finite within 1 steps of step 1; try another --seed"):
        gan.train(5, tmp_path)
    assert not (tmp_path / STATE).exists()


def test_out_of_memory_is_a_one_line_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: GanTrainer) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\n2.00 GiB")

    monkeypatch.setattr(GanTrainer, "step", full)
    with pytest.raises(
        FerError, match="does not have enough memory for a step of 8 faces; use a smaller --gan-batch"
    ) as raised:
        GanTrainer(two_classes(), 4, 8, 0).train(5, tmp_path)
    assert "\n" not in str(raised.value)
