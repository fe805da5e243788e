"""A common suite for all registered models: full sizes on the meta device, small variants in full."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from functools import partial
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fercli.emotions import EMOTIONS
from fercli.errors import UsageError
from fercli.models.affect import check_separable
from fercli.models.attention import SqueezeExcitation
from fercli.models.checkpoints import CheckpointMetadata, load_checkpoint, save_checkpoint
from fercli.models.inference import predict
from fercli.models.mixed_feature_net import MixedBottleneck
from fercli.models.naming import BACKBONES
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import MODELS, create_model, emotion_axes, find_model
from fercli.models.spec import ModelSpec
from fercli.models.table import TABLE
from fercli.recipes import load_recipe, recipe_settings
from fercli.stages.train.config import TrainConfig
from tests.helpers.models import MEMBERS, Member, each_family, each_member

CPU = torch.device("cpu")
CLASSES = len(EMOTIONS)

each_model = pytest.mark.parametrize("spec", MODELS, ids=lambda spec: spec.name)
WHOLE = [*TABLE, *(find_model(backbone.name + form) for backbone in BACKBONES for form in ("", "-elu"))]
each_whole = pytest.mark.parametrize("spec", WHOLE, ids=lambda spec: spec.name)


def lively(model: nn.Module) -> nn.Module:
    """Randomise the scales, shifts and running statistics of a newly initialised model."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
            elif not parameter.any():
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.weight.mul_(2)  # otherwise deep classifiers hardly distinguish faces
            if isinstance(module, SqueezeExcitation) and module.reduce.bias is not None:
                module.reduce.bias.abs_()  # few channels: with negative biases the ReLU could block all of them
            if isinstance(module, MixedBottleneck):
                module.project.conv.weight.mul_(8)  # untrained attention passes a quarter of the features
            if isinstance(module, nn.BatchNorm2d):
                module.weight.add_(0.5)  # some models initialise a branch with zero, which would hide it
                module.running_mean.add_(0.1 * torch.randn(module.num_features, generator=generator))
                module.running_var.mul_(1 + 0.2 * torch.rand(module.num_features, generator=generator))
    return model.eval()


@pytest.fixture
def model(member: Member) -> nn.Module:
    torch.manual_seed(0)
    return lively(member.build(CLASSES))


def random_faces(count: int, side: int = 48, channels: int = 1) -> Tensor:
    """Smooth random faces, uint8 (count, channels, side, side), that differ clearly from each other."""
    generator = torch.Generator().manual_seed(side)
    coarse = torch.rand(count, channels, 6, 6, generator=generator)
    return F.interpolate(coarse, (side, side), mode="bicubic").clamp(0, 1).mul(255).to(torch.uint8)


# --- the table ---


def test_names_are_unique_and_every_recipe_is_used() -> None:
    names = [spec.name for spec in MODELS]
    assert len(set(names)) == len(names)
    files = {file.name for file in resources.files("fercli.recipes").iterdir() if file.name.endswith(".toml")}
    assert files == {f"{spec.recipe_file}.toml" for spec in [*MODELS, find_model("timm/test_resnet")]}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(spec, id=spec.name, marks=pytest.mark.slow if spec in WHOLE else pytest.mark.long)
        for spec in MODELS
    ],
)
def test_number_of_parameters(spec: ModelSpec) -> None:
    with torch.device("meta"):
        model = create_model(spec.name, CLASSES)
    assert sum(p.numel() for p in model.parameters()) == spec.parameters
    names = [name for name, _ in model.named_parameters()]
    for prefix in spec.backbone:
        assert any(name.startswith(prefix) for name in names), prefix
    assert any(not name.startswith(spec.backbone) for name in names)


@pytest.mark.slow
@each_whole
def test_models_with_any_option_return_logits(spec: ModelSpec) -> None:
    with torch.device("meta"):
        for values in itertools.product(*spec.options.values()):
            model = create_model(spec.name, 5, **dict(zip(spec.options, values, strict=True))).eval()
            assert model(torch.empty(2, spec.channels, spec.input_size, spec.input_size)).shape == (2, 5)


@each_model
def test_wrong_options_are_rejected(spec: ModelSpec) -> None:
    with pytest.raises(UsageError, match=f"model {spec.name} has no option 'no-such-option'"):
        create_model(spec.name, CLASSES, no_such_option="x")
    for option, allowed in spec.options.items():
        with pytest.raises(UsageError, match=f"{option.replace('_', '-')} 'nowhere'.*{allowed[0]}"):
            create_model(spec.name, CLASSES, **{option: "nowhere"})


@each_model
def test_recipe_trains_and_papers_have_claims(spec: ModelSpec) -> None:
    recipe = load_recipe(spec.recipe_file)
    assert recipe.source
    for claim in recipe.claims_of(spec.name):
        assert 0 < claim.accuracy <= 100
        assert claim.protocol
    config = TrainConfig.of(model=spec.name)
    for name in recipe_settings(spec.recipe_file):
        assert getattr(config, name) == getattr(recipe.train, name), name


def test_claims_are_for_existing_models() -> None:
    for file in {spec.recipe_file for spec in MODELS}:
        recipe = load_recipe(file)
        for name in {*recipe.claims, *(model for table in recipe.tables for model in table.accuracy)}:
            assert find_model(name).recipe_file == file
        if recipe.claim:
            assert [spec.name for spec in MODELS if spec.recipe_file == file] == [file]


def test_wrong_name_suggests_similar_ones() -> None:
    with pytest.raises(UsageError, match=r"no model 'resmotenet'; did you mean resemotenet.*\? fer models lists all"):
        find_model("resmotenet")


@pytest.mark.slow
@each_model
def test_every_model_has_a_small_variant(spec: ModelSpec) -> None:
    options = TrainConfig.of(model=spec.name, reduced=True).model_options()
    assert options["reduced"] is True
    with torch.device("meta"):
        small = create_model(spec.name, CLASSES, **options)
    assert sum(p.numel() for p in small.parameters()) < spec.parameters / 2
    assert Preprocessing.of(spec, reduced=True).input_size >= spec.smallest


def test_model_without_a_small_variant_rejects_reduced() -> None:
    with pytest.raises(UsageError, match="model timm/test_resnet has no small variant; omit --reduced"):
        TrainConfig.of(model="timm/test_resnet", reduced=True).model_options()


def test_too_small_inputs_are_rejected_with_a_reason() -> None:
    with pytest.raises(
        UsageError, match=r"model inception-v3: an input size of 74 px is too small; the minimum is 75 .*\("
    ):
        Preprocessing.of(find_model("inception-v3"), 74)
    for spec in MODELS:
        assert spec.smallest <= spec.input_size
        with pytest.raises(UsageError, match=f"the minimum is {spec.smallest} px"):
            Preprocessing.of(spec, spec.smallest - 1)


# --- small variants ---


@each_member
def test_small_variants_are_small(member: Member) -> None:
    assert sum(p.numel() for p in member.build().parameters()) < 2_000_000
    assert member.spec.smallest <= member.preprocessing.input_size <= 112


@pytest.mark.slow
@each_member
def test_packs_of_any_size_and_color_work(member: Member, model: nn.Module) -> None:
    spec, preprocessing = member.spec, member.preprocessing
    for side, channels in ((48, 1), (80, 3), (224, 1)):
        faces = random_faces(2, side, channels)
        x = preprocessing(faces)
        assert x.shape == (2, spec.channels, preprocessing.input_size, preprocessing.input_size)
        assert x.dtype == torch.float32
        # Within the normalised range of 0..1, so 0..255 was scaled exactly once.
        for channel, mean, std in zip(x.unbind(1), spec.mean, spec.std, strict=True):
            assert channel.min() >= -mean / std - 1e-4
            assert channel.max() <= (1 - mean) / std + 1e-4
            assert channel.std() > 0.1 / std
        found = predict(model, faces, preprocessing, device=CPU)
        torch.testing.assert_close(found.sum(1), torch.ones(2))


@pytest.mark.slow
@each_member
def test_any_input_size_works(member: Member, model: nn.Module) -> None:
    for side in (member.spec.smallest, member.spec.smallest + 13, 2 * member.preprocessing.input_size):
        x = Preprocessing.of(member.spec, side)(random_faces(2))
        with torch.inference_mode():
            logits = model(x)
        assert logits.shape == (2, CLASSES)
        assert logits.isfinite().all()


@pytest.mark.slow
@each_member
def test_gradient_reaches_every_parameter(member: Member, model: nn.Module) -> None:
    found: list[Tensor] = []
    handle = model.get_submodule(member.spec.gradcam).register_forward_hook(lambda *a: found.append(a[2]))
    try:
        logits = model(member.preprocessing(random_faces(6)))
    finally:
        handle.remove()
    assert logits.shape == (6, CLASSES)
    if member.spec.gradcam:
        (maps,) = found  # the output that Grad-CAM explains, (B, C, h, w)
        assert maps.ndim == 4
        assert maps.shape[0] == 6
        assert maps.shape[2] == maps.shape[3] >= 1
        maps.retain_grad()
    F.cross_entropy(logits, torch.arange(6)).backward()
    if member.spec.gradcam:
        assert maps.grad is not None
        assert maps.grad.abs().sum() > 0
    unreached = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    excused = tuple(member.spec.unreached)
    assert [name for name in unreached if not name.startswith(excused)] == []
    assert all(any(name.startswith(prefix) for name in unreached) for prefix in excused)
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.slow
@each_member
@pytest.mark.parametrize("tta", ["none", "flip", "ten-crop"])
def test_prediction_does_not_depend_on_the_batch(member: Member, model: nn.Module, tta: str) -> None:
    faces, preprocessing = random_faces(3), member.preprocessing

    def run(images: Tensor, batch_size: int) -> Tensor:
        return predict(model, images, preprocessing, device=CPU, tta=tta, batch_size=batch_size)

    together = run(faces, 3)
    torch.testing.assert_close(together.sum(1), torch.ones(3))
    # Predictions must differ, or swapped faces would go unnoticed.
    assert min((together[a] - together[b]).abs().max() for a, b in ((0, 1), (0, 2), (1, 2))) > 1e-4
    order = torch.tensor([2, 0, 1])  # in batches of two and one
    torch.testing.assert_close(run(faces[order], 2), together[order], rtol=0, atol=1e-5)


@pytest.mark.slow
@each_member
def test_checkpoint_round_trip_preserves_logits(member: Member, model: nn.Module, tmp_path: Path) -> None:
    x = member.preprocessing(random_faces(2))
    with torch.inference_mode():
        logits = model(x)
        assert torch.equal(model(x), logits)
    metadata = CheckpointMetadata(
        architecture=member.spec.name,
        options=member.spec.check_options(member.options),
        emotions=list(EMOTIONS),
        preprocessing=member.preprocessing,
    )
    digest = save_checkpoint(tmp_path / "checkpoint", model.state_dict(), metadata, "train")
    loaded = load_checkpoint(tmp_path / "checkpoint")
    assert loaded.metadata == metadata
    assert loaded.digest == digest
    assert not loaded.model.training
    with torch.inference_mode():
        assert torch.equal(loaded.model(x), logits)


@pytest.mark.slow
@each_member
def test_seed_determines_the_weights(member: Member) -> None:
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        states.append(torch.cat([p.detach().flatten() for p in member.build().parameters()]))
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


@pytest.mark.slow
@each_member
def test_models_can_overfit(member: Member) -> None:
    torch.manual_seed(0)
    model = member.build().train()
    x = member.preprocessing(random_faces(16, 32))
    labels = torch.arange(16) % CLASSES
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0  # it prevents overfitting
    right = 0
    for _ in range(80):
        logits = model(x)
        right = int((logits.argmax(1) == labels).sum())
        if right == len(labels):
            break
        F.cross_entropy(logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert right == len(labels)


@pytest.mark.slow
@each_member
def test_two_more_outputs_leave_the_emotions_alone(member: Member) -> None:
    torch.manual_seed(0)
    both = lively(member.build(CLASSES + 2))
    check = partial(check_separable, both, member.spec, member.options, CLASSES, member.preprocessing.input_size)
    if member.spec.family == "arbex":  # its logits are logarithms of a distribution
        with pytest.raises(UsageError, match="targets both: model arbex cannot predict valence and arousal"):
            check()
    else:
        check()


@pytest.mark.slow
@each_member
def test_backbone_has_no_emotion_axis(member: Member) -> None:
    axes = emotion_axes(member.spec, member.options)
    assert axes
    assert not any(name.startswith(member.spec.backbone) for name in axes if member.spec.backbone)


@pytest.mark.slow
@each_whole
def test_imagenet_weights_fit_by_name(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    import timm

    from fercli.models.pretrained import imagenet_state
    from fercli.models.registry import rename_state

    if not spec.imagenet:
        with pytest.raises(UsageError, match=f"not available for {spec.name}; available for .*resnet18"):
            imagenet_state(spec)
        return
    create = timm.create_model
    calls: list[tuple[str, bool]] = []

    def without_network(name: str, pretrained: bool = False, **options: object) -> nn.Module:
        calls.append((name, pretrained))
        with torch.device("meta"):
            return create(name, pretrained=False, **options)

    monkeypatch.setattr(timm, "create_model", without_network)
    state = rename_state(spec, imagenet_state(spec))
    assert [call for call in calls if call[1]] == [(spec.imagenet, True)]
    monkeypatch.undo()
    with torch.device("meta"):
        own = create_model(spec.name, CLASSES).state_dict()
    backbone = [name for name in own if name.startswith(spec.backbone)]
    fitting = [name for name in backbone if name in state and state[name].shape == own[name].shape]
    assert len(fitting) > 0.9 * len(backbone)


# --- compilation and export ---


@pytest.mark.long
@each_family
def test_compiled_model_gives_the_same_logits(member: Member, model: nn.Module) -> None:
    x = member.preprocessing(random_faces(2))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x), rtol=0, atol=1e-5)


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.long
@pytest.mark.usefixtures("quiet")
@each_family
def test_onnx_export_gives_the_same_logits(member: Member, model: nn.Module) -> None:
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    x = member.preprocessing(random_faces(3)).contiguous()
    file = io.BytesIO()
    program = torch.onnx.export(
        model, (x,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch", min=2)},), verbose=False
    )
    program.save(file)
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for images in (x, x[:2]):
        (logits,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
        with torch.inference_mode():
            np.testing.assert_allclose(logits, model(images).numpy(), atol=1e-4, rtol=0)


def test_members_cover_every_family() -> None:
    assert {member.spec.family for member in MEMBERS} >= {spec.family for spec in MODELS}
