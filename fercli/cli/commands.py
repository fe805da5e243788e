"""The table of commands. To add one: a file here, and a line in `COMMANDS`."""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "sample": ("sample", "Draw photographs with faces, for those who have no data."),
    "import": ("import_dataset", "Make a data set of a published one or of folders of pictures."),
    "detect": ("detect", "Find the faces in photographs and cut them out."),
    "clean": ("clean", "Find duplicates and conflicts; take leaking copies out."),
    "balance": ("balance", "Fill small classes up, or plan what to generate for them."),
    "pack": ("pack", "Write a data set as one file that trains fast."),
    "train": ("train", "Train a model by its recipe, chosen on validation alone."),
    "evaluate": ("evaluate", "Measure a checkpoint on a split: figures, intervals, a page."),
    "ensemble": ("ensemble", "Measure several checkpoints together, beside the best of them."),
    "explain": ("explain", "Show where a model looks: heat maps, weights."),
    "predict": ("predict", "Tell the emotions in photographs, videos or before a webcam."),
    "show": ("show", "Tell what an artifact is, its counts and its lineage."),
    "models": ("models", "List the models: size, input, paper, claim."),
    "weights": ("weights", "List and fetch the weights of the detectors."),
}
"""Name of each command, its module in fercli.cli, and its line in `fer --help`."""
