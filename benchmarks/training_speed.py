"""Training and evaluation speed against the plain way, in one run, alternating sides.

    python benchmarks/training_speed.py DATASET PACK [--model quick] [--size 48] [--steps 60] [--rounds 5]

DATASET and PACK are fercli artifacts of the same images. Prints images per second of both sides (median of the rounds)
and the ratio. `--recipe` trains our side at the recipe's own sizes in turn, as `fer train` does; without it both sides
train at the same size.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median
from time import perf_counter

import plain
import torch

from fercli.artifacts import open_artifact
from fercli.models.devices import find_device, training_type
from fercli.models.inference import predict
from fercli.models.preprocessing import Preprocessing
from fercli.models.registry import create_model, find_model
from fercli.packs.loading import PackDataset, load_pack
from fercli.packs.opening import open_pack
from fercli.stages.train.config import TrainConfig
from fercli.training.loop import Trainer


def first(faces: PackDataset, count: int) -> PackDataset:
    """Return the first faces, held as all are."""
    return PackDataset(faces.images[:count], faces.labels[:count], faces.device, faces.resident)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--model", default="quick")
    parser.add_argument("--size", type=int, default=48)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--recipe", action="store_true", help="train our side at the recipe's sizes")
    args = parser.parse_args()

    device = find_device(args.device)
    spec = find_model(args.model)
    augmentation = TrainConfig.of(model="quick")
    changes = {name: getattr(augmentation, name) for name in ("flip", "rotation", "scale", "shift", "contrast")}
    options = {"batch_size": args.batch_size} if args.batch_size else {}
    sizes = {} if args.recipe else {"input_size": args.size}
    config = TrainConfig.of(model=args.model, epochs=args.rounds + 1, **changes, **options, **sizes)
    preprocessing = Preprocessing.of(spec, args.size)
    info = open_pack(open_artifact(args.pack, "pack"))
    count = args.steps * config.batch_size
    faces = first(load_pack(info, "train", device), count)
    trainer = Trainer(
        config.phases,
        create_model(args.model, 7),
        preprocessing,
        faces,
        7,
        device,
        training_type("auto", device),
        backbone=spec.backbone,
    )
    theirs = create_model(args.model, 7)
    batches = plain.loader(args.dataset / "train", preprocessing, config.batch_size, config, count)
    held_out = plain.loader(args.dataset / "test", preprocessing, 256, None, 10_000)
    test = first(load_pack(info, "test", device), len(held_out) * 256)

    rows: dict[str, list[float]] = {"train ours": [], "train plain": [], "evaluate ours": [], "evaluate plain": []}
    for number in range(args.rounds + 1):
        found = {
            "train ours": trainer.train_epoch(lambda *_: None)["images_per_second"],
            "train plain": plain.train(theirs, batches, str(device)),
            "evaluate ours": evaluate(trainer, test, device),
            "evaluate plain": plain.evaluate(theirs, held_out, str(device)),
        }
        if number:  # the first round warms up
            for name, value in found.items():
                rows[name].append(value)
    print(f"{args.model}, {args.size} px, batch {config.batch_size}, {device}, {torch.get_num_threads()} threads")
    for what in ("train", "evaluate"):
        ours, theirs_ = median(rows[f"{what} ours"]), median(rows[f"{what} plain"])
        print(f"{what:9s} ours {ours:8.0f} images/s, plain {theirs_:8.0f} images/s, ratio {ours / theirs_:.2f}")


def evaluate(trainer: Trainer, faces: PackDataset, device: torch.device) -> float:
    """Return the images per second of `predict`."""
    images = torch.cat([batch for batch, _ in faces.batches(torch.arange(len(faces)), 4096)])
    started = perf_counter()
    predict(trainer.model, images, trainer.preprocessing, device=device)
    return len(images) / (perf_counter() - started)


if __name__ == "__main__":
    main()
