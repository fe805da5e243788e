"""Make a trained run one of fercli's own models, in half precision and calibrated.

    python benchmarks/pretrained.py RUN PACK NAME [--out fercli/pretrained]

RUN is a run of `fer train` on PACK. Its best checkpoint is written to OUT/NAME: the convolutions in float16, all other
values as they are, with the temperature fitted on PACK's validation split to the weights as rounded, and the digests of
the images that it was trained on. benchmarks/pretrained.sh does this for all models, and writes their cards by
benchmarks/model_cards.py.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch

from fercli.artifacts import artifact_input, open_artifact
from fercli.models.checkpoints import TRAINING_DIGESTS, load_checkpoint, save_checkpoint
from fercli.packs.loading import load_pack
from fercli.packs.opening import open_pack
from fercli.training.loop import validate

HALVED = 4
"""Dimensions of the tensors that are rounded: the convolutions, nearly all of the size."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("pack", type=Path)
    parser.add_argument("name")
    parser.add_argument("--out", type=Path, default=Path("fercli/pretrained"))
    given = parser.parse_args()
    checkpoint, pack = load_checkpoint(given.run), open_artifact(given.pack, "pack")
    info = open_pack(pack)
    if checkpoint.metadata.training_data != info.digest:
        raise SystemExit(f"{given.run} was not trained on {given.pack}")
    model = checkpoint.model
    state = {name: t.half() if t.ndim == HALVED else t for name, t in model.state_dict().items()}
    model.load_state_dict(state)
    metadata, validation = checkpoint.metadata, load_pack(info, "validation", torch.device("cpu"))
    metrics = validate(model, validation, metadata.preprocessing, len(metadata.emotions))
    temperature = metrics.pop("temperature")
    metadata = metadata.model_copy(update={"temperature": temperature, "validation": metrics})
    source = artifact_input("pack", pack)
    inputs = [source.model_copy(update={"path": Path(source.path).name})]
    folder = given.out / given.name
    digest = save_checkpoint(folder, state, metadata, "train", inputs)
    shutil.copyfile(checkpoint.path.parent / TRAINING_DIGESTS, folder / TRAINING_DIGESTS)
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {size / 1e6:.2f} MB, epoch {metadata.epoch}, temperature {temperature:.3f}, digest {digest}")
    print(f"validation: {metrics['validation_accuracy']:.2%}, macro F1 {metrics['validation_macro_f1']:.3f}")


if __name__ == "__main__":
    main()
