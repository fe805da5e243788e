"""The networks: shapes, and each layer against its formula."""

import pytest
import torch
from torch import nn

from fercli.generation.gan.networks import (
    NOISE_SIZE,
    ConditionalBatchNorm,
    GanDiscriminator,
    GanGenerator,
    SpectralNorm,
    is_valid_side,
)

SIDES = (32, 48, 64, 80, 96, 112, 128)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("channels", "classes"), [(1, 7), (3, 8)])
def test_every_supported_size_and_colour(side: int, channels: int, classes: int) -> None:
    assert is_valid_side(side)
    labels = torch.arange(3) % classes
    faces = GanGenerator(classes, side, channels, 4)(torch.randn(3, NOISE_SIZE), labels)
    assert faces.shape == (3, channels, side, side)
    assert faces.abs().max() <= 1
    assert GanDiscriminator(classes, side, channels, 4)(faces, labels).shape == (3,)


@pytest.mark.parametrize("side", [16, 40, 47, 144, 224, 0])
def test_other_sizes_are_invalid(side: int) -> None:
    assert not is_valid_side(side)


@pytest.mark.slow
def test_layer_sizes_match_dcgan() -> None:
    """Radford et al. 2016, figure 1: 1024, 512, 256, 128 channels at 4, 8, 16, 32 px for faces of 64 px."""
    generator = GanGenerator(7, 64, 3, 128)
    shapes = [tuple(up.weight.shape[:2]) for up in generator.ups]
    assert shapes == [(1024, 512), (512, 256), (256, 128), (128, 3)]
    assert generator.project.weight.shape == (1024 * 4 * 4, 2 * NOISE_SIZE)
    seen: list[int] = []
    for up in generator.ups:
        up.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[-1]))
    with torch.no_grad():
        generator(torch.randn(1, NOISE_SIZE).expand(2, -1), torch.zeros(2, dtype=torch.int64))
    assert seen == [4, 8, 16, 32]


def test_conditional_batch_norm_matches_a_loop() -> None:
    torch.manual_seed(0)
    layer = ConditionalBatchNorm(3, 4)
    nn.init.normal_(layer.gain.weight)
    nn.init.normal_(layer.bias.weight)
    x, labels = torch.randn(5, 3, 6, 6), torch.tensor([0, 3, 1, 3, 2])
    found = layer(x, labels)
    for k in range(5):
        for c in range(3):
            mean, variance = x[:, c].mean(), x[:, c].var(unbiased=False)
            normed = (x[k, c] - mean) / (variance + layer.norm.eps).sqrt()
            expected = layer.gain.weight[labels[k], c] * normed + layer.bias.weight[labels[k], c]
            torch.testing.assert_close(found[k, c], expected)


def test_conditional_batch_norm_starts_as_plain_batch_norm() -> None:
    x = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(ConditionalBatchNorm(3, 2)(x, torch.tensor([0, 1, 1, 0])), nn.BatchNorm2d(3)(x))


def test_eval_mode_does_not_depend_on_the_batch() -> None:
    torch.manual_seed(0)
    generator = GanGenerator(7, 32, 1, 4)
    noise, labels = torch.randn(8, NOISE_SIZE), torch.arange(8) % 7
    generator(noise, labels)
    generator.eval()
    torch.testing.assert_close(generator(noise, labels)[3:4], generator(noise[3:4], labels[3:4]), rtol=0, atol=1e-6)


def test_projection_matches_its_formula() -> None:
    """Miyato and Koyama 2018, equation 3, with the flattened maps as phi."""
    torch.manual_seed(0)
    discriminator = GanDiscriminator(3, 32, 1, 4).eval()
    faces, labels = torch.randn(4, 1, 32, 32), torch.tensor([2, 0, 1, 2])
    x = faces
    for down in discriminator.downs:
        x = nn.functional.leaky_relu(nn.functional.conv2d(x, down.weight, down.bias, 2, 1), 0.2)
    found = discriminator(faces, labels)
    for k in range(4):
        phi = x[k].reshape(-1)
        expected = (
            discriminator.embed.weight[labels[k]] @ phi
            + discriminator.linear.weight[0] @ phi
            + discriminator.linear.bias[0]
        )
        torch.testing.assert_close(found[k], expected)
    other = discriminator(faces, torch.tensor([1, 0, 1, 2]))
    assert other[0] != found[0]
    assert torch.equal(other[1:], found[1:])


def test_all_discriminator_weights_have_unit_spectral_norm() -> None:
    torch.manual_seed(0)
    discriminator = GanDiscriminator(7, 32, 3, 8)
    for layer in (*discriminator.downs, discriminator.linear, discriminator.embed):
        with torch.no_grad():
            layer.parametrizations.weight.original.mul_(3).add_(0.05)
    faces, labels = torch.randn(2, 3, 32, 32), torch.zeros(2, dtype=torch.int64)
    for _ in range(60):
        discriminator(faces, labels)
    discriminator.eval()
    for layer in (*discriminator.downs, discriminator.linear, discriminator.embed):
        largest = torch.linalg.matrix_norm(layer.weight.flatten(1), ord=2).item()
        assert largest == pytest.approx(1, abs=0.02)


def test_spectral_norm_gradient_matches_torch() -> None:
    torch.manual_seed(0)
    weight = torch.randn(6, 10, dtype=torch.float32, requires_grad=True)
    norm = SpectralNorm(weight)
    for _ in range(1000):
        norm(weight)
    norm.eval()
    other = torch.randn(6, 10)
    (norm(weight) * other).sum().backward()
    exact = weight.detach().clone().requires_grad_()
    (exact / torch.linalg.matrix_norm(exact, ord=2) * other).sum().backward()
    torch.testing.assert_close(weight.grad, exact.grad, rtol=1e-3, atol=1e-4)
