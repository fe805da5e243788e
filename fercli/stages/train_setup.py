"""What a run starts from: the model, its trainer, and the data on the device."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import torch

from fercli.datasets.affect import AFFECT
from fercli.datasets.label_noise import LabelNoise
from fercli.distributed.group import ALONE, Group
from fercli.errors import UsageError
from fercli.models.affect import check_separable
from fercli.models.devices import describe_device, training_type, type_name
from fercli.models.preprocessing import Preprocessing
from fercli.models.pretrained import load_pretrained
from fercli.models.registry import create_model, find_model
from fercli.models.spec import Options
from fercli.packs.affect import read_affect
from fercli.packs.file import PackInfo, read_digests
from fercli.packs.label_noise import with_noise
from fercli.packs.loading import PackDataset, load_pack
from fercli.progress import Progress
from fercli.stages.train_options import TrainOptions
from fercli.training.affect import with_affect
from fercli.training.loop import Trainer


def create_trainer(
    config: TrainOptions,
    options: Options,
    info: PackInfo,
    device: torch.device,
    progress: Progress,
    noise: LabelNoise | None = None,
    group: Group = ALONE,
) -> tuple[Trainer, PackDataset, dict[str, Any]]:
    """Return the trainer, the validation split, and a report of the pretrained weights that were loaded.

    `noise` swaps labels of the train split.
    """
    torch.manual_seed(config.seed)
    spec = find_model(config.model)
    outputs = [*info.emotions, *(AFFECT if config.targets == "both" else ())]
    model = create_model(config.model, len(outputs), **options)
    if len(outputs) > len(info.emotions):
        side = spec.side(config.input_size, reduced=config.reduced)
        check_separable(model, spec, spec.check_options(options), len(info.emotions), side)
    loaded: dict[str, Any] = {}
    if config.weights is not None:
        order = config.weights_emotions.split(",") if config.weights_emotions else None
        report = load_pretrained(model, spec, config.weights, outputs, options, order)
        progress.log(str(report))
        loaded = {name: value for name, value in asdict(report).items() if value != ""} | {"loaded": len(report.loaded)}
    elif "backbone" in config.freeze:
        progress.log(
            "the frozen backbone is randomly initialised; load pretrained weights (--weights "
            f"{'imagenet' if spec.imagenet else 'FILE'}) or train it too (--freeze none)"
        )
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where float32 is computed
    dtype = group.broadcast(training_type(config.precision, device))
    faces = load_pack(info, "train", device, votes=config.targets != "labels", sharing=group.size)
    faces = replace(faces, window=group.broadcast(faces.window))
    if noise and noise.rate and not noise.packed:
        faces = with_noise(faces, read_digests(info, "train"), noise)
    validation = load_pack(info, "validation", device, sharing=group.size)
    if config.targets == "both":
        faces = _with_affect(info, "train", faces)
        validation = _with_affect(info, "validation", validation)
    preprocessing = Preprocessing.of(spec, config.input_size, reduced=config.reduced)
    trainer = Trainer(
        config.phases, model, preprocessing, faces, len(info.emotions), device, dtype,
        seed=config.seed, compile=config.compile, backbone=spec.backbone,
        accumulate=config.accumulate, group=group, sync_batch_norm=not config.local_batch_norm,
    )  # fmt: skip
    parameters = sum(p.numel() for p in model.parameters())
    progress.log(
        f"{config.model}, {parameters:,} parameters, on {len(faces):,} faces; {describe_device(device, group.size)}, "
        f"{type_name(dtype)}, {faces}"
    )
    if faces.votes is not None:
        ambiguous = int(((faces.votes > 0).sum(1) > 1).sum())
        progress.log(
            f"targets: votes, {ambiguous:,} of {len(faces):,} faces with several emotions; training accuracy "
            "counts the strongest, validation the label"
        )
    if faces.affect is not None:
        annotated = int((~faces.affect.isnan()).all(1).sum())
        progress.log(f"second task: valence and arousal, of {annotated:,} of {len(faces):,} faces")
    return trainer, validation, loaded


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
