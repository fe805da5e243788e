"""What a run starts from: the model, its trainer, and the data on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from fercli.datasets.affect import AFFECT
from fercli.datasets.label_noise import LabelNoise
from fercli.distributed.group import ALONE, Group
from fercli.errors import DataError, UsageError
from fercli.models.affect import check_separable
from fercli.models.devices import describe_device, training_type, type_name
from fercli.models.feature_cache import FrozenEncoder
from fercli.models.preprocessing import Preprocessing
from fercli.models.pretrained import LoadReport, load_pretrained
from fercli.models.probe import Probe
from fercli.models.registry import create_model, find_model
from fercli.models.spec import ModelSpec, Options
from fercli.packs.affect import read_affect
from fercli.packs.file import PackInfo, read_digests
from fercli.packs.label_noise import with_noise
from fercli.packs.loading import PackDataset, load_pack
from fercli.progress import Progress
from fercli.stages.train_options import TrainOptions
from fercli.training.affect import with_affect
from fercli.training.augment import augment, choose_view
from fercli.training.loop import Trainer
from fercli.training.probing import head_training


@dataclass(frozen=True)
class Setup:
    """What a run starts from.

    Attributes:
        trainer: The trainer.
        validation: The validation split.
        loaded: A report of the pretrained weights that were loaded.
        parameters: Number of parameters of the whole model.
        frozen: Tensors of the whole model that the trainer's does not have, those of a probe's encoder.
    """

    trainer: Trainer
    validation: PackDataset
    loaded: dict[str, Any]
    parameters: int
    frozen: Mapping[str, Tensor] = field(default_factory=dict)


def create_trainer(
    config: TrainOptions,
    options: Options,
    info: PackInfo,
    device: torch.device,
    progress: Progress,
    noise: LabelNoise | None = None,
    group: Group = ALONE,
) -> Setup:
    """Return what a run starts from. `noise` swaps labels of the train split.

    Raises:
        DataError: the weights of a probe's encoder are not complete.
    """
    torch.manual_seed(config.seed)
    spec = find_model(config.model)
    outputs = [*info.emotions, *(AFFECT if config.targets == "both" else ())]
    model = create_model(config.model, len(outputs), **options)
    if len(outputs) > len(info.emotions):
        side = spec.side(config.input_size, reduced=config.reduced)
        check_separable(model, spec, spec.check_options(options), len(info.emotions), side)
    loaded = _load_weights(config, model, spec, outputs, options, progress)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where float32 is computed
    dtype = group.broadcast(training_type(config.precision, device))
    parameters = sum(p.numel() for p in model.parameters())
    preprocessing = Preprocessing.of(spec, config.input_size, reduced=config.reduced)
    # The faces of a probe are read once, by the encoder; its features are what stays on the device.
    at = torch.device("cpu") if isinstance(model, Probe) else device
    faces = load_pack(info, "train", at, votes=config.targets != "labels", sharing=group.size)
    faces = replace(faces, window=group.broadcast(faces.window))
    validation = load_pack(info, "validation", at, sharing=group.size)
    view: Callable[..., Tensor] = augment
    frozen: dict[str, Tensor] = {}
    if isinstance(model, Probe):
        encoder = FrozenEncoder(config.model, model.encoder, preprocessing)
        own = head_training(model, encoder, faces, validation, config.phases, device, progress=progress)
        model, preprocessing, faces, validation = own.model, own.preprocessing, own.train, own.validation
        view, frozen = choose_view, own.frozen
    if noise and noise.rate and not noise.packed:
        faces = with_noise(faces, read_digests(info, "train"), noise)
    if config.targets == "both":
        faces = _with_affect(info, "train", faces)
        validation = _with_affect(info, "validation", validation)
    trainer = Trainer(
        config.phases, model, preprocessing, faces, len(info.emotions), device, dtype,
        seed=config.seed, compile=config.compile, backbone=spec.backbone,
        accumulate=config.accumulate, group=group, sync_batch_norm=not config.local_batch_norm, augment=view,
    )  # fmt: skip
    progress.log(
        f"{config.model}, {parameters:,} parameters, on {len(faces):,} faces; {describe_device(device, group.size)}, "
        f"{type_name(dtype)}, {faces}"
    )
    _log_targets(faces, progress)
    return Setup(trainer, validation, loaded, parameters, frozen)


def _load_weights(
    config: TrainOptions, model: nn.Module, spec: ModelSpec, outputs: list[str], options: Options, progress: Progress
) -> dict[str, Any]:
    """Load the pretrained weights, if any are given, and return the report of it for the manifest.

    Raises:
        DataError: the weights of a probe's encoder are not complete.
    """
    if config.weights is not None:
        order = config.weights_emotions.split(",") if config.weights_emotions else None
        report = load_pretrained(model, spec, config.weights, outputs, options, order)
        progress.log(str(report))
        if spec.on_features:
            _check_complete(spec, config.weights, report)
        return {name: value for name, value in asdict(report).items() if value != ""} | {"loaded": len(report.loaded)}
    if spec.on_features or "backbone" in config.freeze:
        part, remedy = ("encoder", "") if spec.on_features else ("backbone", " or train it too (--freeze none)")
        progress.log(
            f"the frozen {part} is randomly initialised; load pretrained weights (--weights "
            f"{'imagenet' if spec.imagenet else 'FILE'}){remedy}"
        )
    return {}


def _log_targets(faces: PackDataset, progress: Progress) -> None:
    """Log what is trained on besides labels."""
    if faces.votes is not None:
        ambiguous = int(((faces.votes > 0).sum(1) > 1).sum())
        progress.log(
            f"targets: votes, {ambiguous:,} of {len(faces):,} faces with several emotions; training accuracy "
            "counts the strongest, validation the label"
        )
    if faces.affect is not None:
        annotated = int((~faces.affect.isnan()).all(1).sum())
        progress.log(f"second task: valence and arousal, of {annotated:,} of {len(faces):,} faces")


def _with_affect(info: PackInfo, split: str, faces: PackDataset) -> PackDataset:
    """Return a split's faces with their valence and arousal.

    Raises:
        UsageError: none of them has any.
    """
    affect = read_affect(info, split)
    if affect is None:
        raise UsageError(
            f"targets both: the {split} split of {info.file.parent} has no valence and arousal; import AffectNet, "
            "which has them, or train on the emotions alone"
        )
    return with_affect(faces, affect, len(info.emotions))


def _check_complete(spec: ModelSpec, weights: str, report: LoadReport) -> None:
    """Raise DataError if tensors of an encoder stayed random: nothing would ever train them."""
    missing = [name for name in report.new if name.startswith(spec.backbone)]
    if missing:
        raise DataError(
            f"--weights {weights}: not the weights of {spec.name}: {len(missing)} tensors of the encoder are missing "
            f"or of another shape, such as {missing[0].removeprefix(spec.backbone[0])}; choose another encoder"
        )
