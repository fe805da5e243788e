"""One suite that runs over every model of the table: a model is covered by being registered."""

from __future__ import annotations

import itertools
from importlib import resources
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.errors import UsageError
from fercli.models.checkpoints import Card, load_checkpoint, save_checkpoint
from fercli.models.inference import predict
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import MODELS, ModelSpec, create_model, find_model
from fercli.recipes import load_recipe
from fercli.stages.train.config import TrainConfig

CPU = torch.device("cpu")
CLASSES = len(EMOTIONS)
CHEAP = 20_000_000
"""Parameters up to which a model is trained here."""

SMALL = 2_000_000
"""Parameters up to which each value of a model's options is tested as the model itself is."""

each_model = pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
MAKES: list[tuple[ModelSpec, dict[str, str]]] = [
    (spec, options)
    for spec in MODELS
    for options in (
        {},
        *({name: value} for name, allowed in spec.options.items() for value in allowed[1:] if spec.parameters < SMALL),
    )
]
each_make = pytest.mark.parametrize(
    ("spec", "options"), MAKES, ids=["-".join([spec.name, *options.values()]) for spec, options in MAKES]
)


def lively(model: nn.Module) -> nn.Module:
    """Give a fresh model scales, shifts and running statistics that are not all ones and zeros."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.mul_(2)  # fresh deep classifiers hardly tell one face from another
            if isinstance(module, nn.BatchNorm2d):
                module.weight.add_(0.5)  # some models start a branch at zero, which hides what lies behind it
                module.running_mean.add_(0.1 * torch.randn(module.num_features, generator=generator))
                module.running_var.mul_(1 + 0.2 * torch.rand(module.num_features, generator=generator))
    return model.eval()


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    """The models built so far, kept since the large ones take a second each."""
    return {}


@pytest.fixture
def model(spec: ModelSpec, options: dict[str, str], models: dict[str, nn.Module]) -> nn.Module:
    key = f"{spec.name} {options}"
    if key not in models:
        models.clear()
        torch.manual_seed(0)
        models[key] = lively(create_model(spec.name, CLASSES, **options))
    models[key].zero_grad()
    return models[key].eval()


def random_faces(count: int, side: int = 48, channels: int = 1) -> Tensor:
    """Smooth random faces, uint8 (count, channels, side, side), that differ much from each other."""
    generator = torch.Generator().manual_seed(side)
    coarse = torch.rand(count, channels, 6, 6, generator=generator)
    return F.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1).mul(255).to(torch.uint8)


def test_names_are_unique_and_every_recipe_is_a_models() -> None:
    names = [spec.name for spec in MODELS]
    assert len(set(names)) == len(names)
    files = {file.name for file in resources.files("fercli.recipes").iterdir() if file.name.endswith(".toml")}
    assert files == {f"{name}.toml" for name in names}


@each_model
def test_number_of_parameters(spec: ModelSpec) -> None:
    with torch.device("meta"):
        for values in itertools.product(*spec.options.values()):
            options = dict(zip(spec.options, values, strict=True))
            model = create_model(spec.name, CLASSES, **options)
            if options == spec.check_options({}):
                assert sum(p.numel() for p in model.parameters()) == spec.parameters


@each_model
def test_every_option_gives_logits(spec: ModelSpec) -> None:
    with torch.device("meta"):
        for values in itertools.product(*spec.options.values()):
            options = dict(zip(spec.options, values, strict=True))
            model = create_model(spec.name, 5, **options).eval()
            assert model(torch.empty(2, spec.channels, spec.input_size, spec.input_size)).shape == (2, 5)


@each_model
def test_wrong_options_are_refused(spec: ModelSpec) -> None:
    with pytest.raises(UsageError, match=f"model {spec.name} has no option 'no-such-option'"):
        create_model(spec.name, CLASSES, no_such_option="x")
    for option, allowed in spec.options.items():
        with pytest.raises(UsageError, match=f"{option.replace('_', '-')} 'nowhere'.*{allowed[0]}"):
            create_model(spec.name, CLASSES, **{option: "nowhere"})


def test_wrong_name_lists_near_ones() -> None:
    with pytest.raises(UsageError, match=r"no model 'resnet81'; did you mean resnet18.*\? fer models lists all"):
        find_model("resnet81")


@each_model
@pytest.mark.parametrize("channels", [1, 3], ids=["gray", "rgb"])
@pytest.mark.parametrize("side", [48, 80, 224])
def test_packs_of_any_size_and_colour_fit(spec: ModelSpec, side: int, channels: int) -> None:
    x = Preprocessing.of(spec)(random_faces(2, side, channels))
    assert x.shape == (2, spec.channels, spec.input_size, spec.input_size)
    assert x.dtype == torch.float32
    # What was 0..255 lies within what the normalisation makes of 0..1: it was done, and once.
    for channel, mean, std in zip(x.unbind(1), spec.mean, spec.std, strict=True):
        assert channel.min() >= -mean / std - 1e-4
        assert channel.max() <= (1 - mean) / std + 1e-4
        assert channel.std() > 0.1 / std


@each_make
def test_gradient_reaches_every_parameter(spec: ModelSpec, options: dict[str, str], model: nn.Module) -> None:
    found: list[Tensor] = []
    handle = model.get_submodule(spec.gradcam).register_forward_hook(lambda *a: found.append(a[2]))
    try:
        logits = model(Preprocessing.of(spec)(random_faces(2)))
    finally:
        handle.remove()
    assert logits.shape == (2, CLASSES)
    (maps,) = found  # what Grad-CAM explains: (B, C, h, w) on the way to the logits
    assert maps.ndim == 4
    assert maps.shape[0] == 2
    assert maps.shape[2] == maps.shape[3] >= 1
    maps.retain_grad()
    F.cross_entropy(logits, torch.tensor([0, 3])).backward()
    assert maps.grad is not None
    assert maps.grad.abs().sum() > 0
    unreached = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert unreached == []
    assert all(p.requires_grad for p in model.parameters())


@each_make
@pytest.mark.parametrize("tta", ["none", "flip", "ten-crop"])
def test_prediction_does_not_depend_on_the_batch(
    spec: ModelSpec, options: dict[str, str], model: nn.Module, tta: str
) -> None:
    faces, preprocessing = random_faces(3), Preprocessing.of(spec)

    def run(images: Tensor, batch_size: int) -> Tensor:
        return predict(model, images, preprocessing, device=CPU, tta=tta, batch_size=batch_size)

    together = run(faces, 3)
    torch.testing.assert_close(together.sum(1), torch.ones(3))
    # Faces must be told apart, or nothing could be mixed up.
    assert min((together[a] - together[b]).abs().max() for a, b in ((0, 1), (0, 2), (1, 2))) > 1e-4
    order = torch.tensor([2, 0, 1])  # two in another order and company, and one alone
    torch.testing.assert_close(run(faces[order], 2), together[order], rtol=0, atol=1e-5)


@each_make
def test_checkpoint_gives_the_same_logits(
    spec: ModelSpec, options: dict[str, str], model: nn.Module, tmp_path: Path
) -> None:
    x = Preprocessing.of(spec)(random_faces(2))
    with torch.inference_mode():
        logits = model(x)
        assert torch.equal(model(x), logits)
    card = Card(
        architecture=spec.name,
        options=spec.check_options(options),
        emotions=list(EMOTIONS),
        preprocessing=Preprocessing.of(spec),
    )
    digest = save_checkpoint(tmp_path / "checkpoint", model.state_dict(), card, "train")
    loaded = load_checkpoint(tmp_path / "checkpoint")
    assert loaded.card == card
    assert loaded.digest == digest
    assert not loaded.model.training
    with torch.inference_mode():
        assert torch.equal(loaded.model(x), logits)


@each_model
def test_seed_decides_the_weights(spec: ModelSpec) -> None:
    if spec.parameters > CHEAP:
        pytest.skip("drawing so many weights again takes long")
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        states.append(torch.cat([p.detach().flatten() for p in create_model(spec.name, CLASSES).parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@each_make
def test_random_faces_are_learnt_by_heart(spec: ModelSpec, options: dict[str, str]) -> None:
    if spec.parameters > CHEAP:
        pytest.skip("too large to train here")
    torch.manual_seed(0)
    model = create_model(spec.name, CLASSES, **options).train()
    x = Preprocessing.of(spec, 32)(random_faces(32, 32))
    labels = torch.arange(32) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(40):
        logits = model(x)
        if (logits.argmax(1) == labels).all():
            return
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    pytest.fail(f"{int((logits.argmax(1) == labels).sum())} of 32 after 40 steps")


@each_model
def test_recipe_trains_and_papers_have_claims(spec: ModelSpec) -> None:
    recipe = load_recipe(spec.name)
    assert recipe.source
    assert (recipe.claim is None) == (spec.paper == "fercli")
    if recipe.claim:
        assert 0 < recipe.claim.accuracy <= 100
        assert recipe.claim.protocol
    config = TrainConfig.of(model=spec.name)
    for name, value in recipe.train:
        assert getattr(config, name) == value, name


@each_model
def test_imagenet_weights_fit_by_name(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    from fercli.weights import imagenet_state

    if not spec.imagenet:
        with pytest.raises(UsageError, match=f"there are none for {spec.name}; there are for resnet18"):
            imagenet_state(spec)
        return
    create = timm.create_model
    asked: list[tuple[str, bool]] = []

    def without_network(name: str, pretrained: bool = False, **options: object) -> nn.Module:
        asked.append((name, pretrained))
        return create(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", without_network)
    state = imagenet_state(spec)
    assert asked == [(spec.imagenet, True)]
    with torch.device("meta"):
        own = create_model(spec.name, CLASSES).state_dict()
    unused = [name for name in state if name not in own]
    assert unused == []
    other_shape = [name for name in state if own[name].shape != state[name].shape]
    assert len(other_shape) == 2  # the head's weight and bias: 1000 classes
