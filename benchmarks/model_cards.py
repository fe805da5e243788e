"""Write figures.json and CARD.md of fercli's own models from their evaluations.

    python benchmarks/model_cards.py FIGURES PRETRAINED

FIGURES has the evaluations of benchmarks/pretrained.sh, PRETRAINED the models.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fercli.artifacts.digests import digest_file
from fercli.evaluation.card import NOT_FOR, classes_table
from fercli.evaluation.summary import ClassSummary
from fercli.pretrained import CARD, FIGURES, Figure

FERPLUS_TEST = "FER+ test, majority"
DATA = {
    "ferplus": {
        "ferplus-majority-8": (FERPLUS_TEST, True),
        "ferplus-soft-8": ("FER+ test, strongest vote", True),
        "fer2013": ("FER2013 PrivateTest", False),
        "drawn": ("drawn faces of fer sample", False),
    },
    "fer2013": {
        "fer2013": ("FER2013 PrivateTest", True),
        "ferplus-majority-7": ("FER+ test, majority, without contempt", False),
        "drawn": ("drawn faces of fer sample", False),
    },
}
"""By model, the evaluations in the order of the card: the name of the data, and whether it has the model's labels."""
TEXTS = {
    "ferplus": {
        "what": "8 emotions as people see them: trained on the distribution of ten annotators' votes for each face",
        "trained": "the training faces of FER2013 with the votes of FER+ as soft targets",
        "command": "fer train ferplus-soft-8-pack ferplus-run --model small --label-smoothing 0",
        "selected": "FER+'s validation split (PublicTest), by accuracy on the strongest vote",
    },
    "fer2013": {
        "what": "7 emotions as labelled in the 2013 challenge: for comparisons on FER2013",
        "trained": "the training faces of FER2013 with their labels of 2013, starting from the weights of `ferplus`,\n"
        "whose training used FER+'s votes for the same faces",
        "command": "fer train fer2013-pack fer2013-run --model small --weights ferplus-run --epochs 14 --lr 0.02 "
        "--warmup 0.1 --progressive-sizes 44=1",
        "selected": "FER2013's PublicTest, by accuracy",
    },
}


def figure(folder: Path, data: str, trained_for: bool) -> tuple[Figure, dict[str, Any]]:
    """Return an evaluation's figure and its whole summary."""
    s = json.loads((folder / "metrics.json").read_text("utf-8"))
    calibration, interval = s["calibration"], tuple(s["accuracy_interval"])
    found = Figure(
        data, s["n"], s["accuracy"], (interval[0], interval[1]), s["macro_f1"], calibration["error"],
        calibration["raw_error"], s["tta"], trained_for,
    )  # fmt: skip
    return found, s


def card(name: str, folder: Path, figures: list[Figure], first: dict[str, Any]) -> str:
    """Return a model's card, in Markdown."""
    metadata, text = json.loads((folder / "model.json").read_text("utf-8")), TEXTS[name]
    rows = "\n".join(
        f"| {f.data} | {f.n:,} | {f.accuracy:.1%} | {f.interval[0]:.1%} to {f.interval[1]:.1%} | {f.macro_f1:.3f} "
        f"| {f.error:.3f} ({f.raw_error:.3f}) |"
        for f in figures
    )
    per_class = {emotion: ClassSummary(**values) for emotion, values in first["per_class"].items()}
    classes = "\n".join(list(classes_table(per_class))[2:])
    rare = [emotion for emotion in ("disgust", "fear", "contempt") if emotion in metadata["emotions"]]
    size = (folder / "model.safetensors").stat().st_size / 1e6
    return f"""# {name}

{text["what"][0].upper()}{text["what"][1:]}.

    fer predict {name} photo.jpg
    fercli.load("{name}").predict("photo.jpg")

- Architecture: `{metadata["architecture"]}`, grey faces of {metadata["face_size"]} px; half precision, {size:.1f} MB.
- Emotions, in order: {", ".join(metadata["emotions"])}.
- Probabilities are calibrated: logits are divided by {metadata["temperature"]:.3f}, fitted on validation.
- SHA-256 of the weights: `{digest_file(folder / "model.safetensors")}`.

## Figures

All with flip averaging. Test images were read only after all choices had been made. ECE: expected calibration error
with 15 bins, in brackets before calibration. Rows on data that the model was not trained for show the effect of other
annotators or other faces.

| data | n | accuracy | 95 % interval | macro F1 | ECE |
|---|---|---|---|---|---|
{rows}

By emotion, on {figures[0].data}:

| emotion | n | precision | recall | F1 |
|---|---|---|---|---|
{classes}

How high a figure can be: on FER2013's PrivateTest, one of ten fresh annotators (FER+) agrees with the label of 2013 on
64.2 % of the faces, and the best guess from all their votes is right on 68.2 %. A model that has learnt the habits of
the annotators of 2013 can be above that.

## How it was made

Trained on {text["trained"]}.
Exact and near copies of test and validation images were removed from training first (`fer clean`). The file
`training_sha256.npy` lists the images that were used, so that `fer evaluate --without-leaks` can leave them out of
other data. The epoch was chosen on {text["selected"]}.

    {text["command"]}

`benchmarks/pretrained.sh` makes it again from FER2013's file and FER+'s votes. Training is deterministic on one kind of
processor with one version of torch: a second run of the whole script gave every file again, byte for byte.

## Terms

FER2013's images were collected from the web for the ICML 2013 challenge and are for research; FER+'s votes are under
the MIT licence. No image is part of this model's files. The weights are licensed like fercli, under Apache-2.0; whether
the terms of the data that they were trained on cover a use is for the user to judge.

## Not for

{NOT_FOR}

## Known limits

- FER2013 was collected by a web image search for emotion words: many faces are posed or acted. Age, gender and origin
  are not labelled, so differences between groups were not measured; assume that there are some.
- Rare emotions are weak: see {", ".join(rare)} above.
- It was trained on faces of 48 px from a web search, where full profiles, hands in front of the face, masks and strong
  shadows are rare.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path)
    parser.add_argument("pretrained", type=Path)
    given = parser.parse_args()
    for name, evaluations in DATA.items():
        found = [figure(given.figures / f"{name}-on-{data}", *what) for data, what in evaluations.items()]
        folder = given.pretrained / name
        figures = [one for one, _ in found]
        (folder / FIGURES).write_text(json.dumps([asdict(one) for one in figures], indent=1) + "\n", "utf-8")
        (folder / CARD).write_text(card(name, folder, figures, found[0][1]), "utf-8")
        print(f"{folder / CARD}: {figures[0].data}, {figures[0].accuracy:.2%}")


if __name__ == "__main__":
    main()
