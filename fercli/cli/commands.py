"""The table of commands. To add one: a file here, and a line in `COMMANDS`."""

from __future__ import annotations

COMMANDS: dict[str, tuple[str, str]] = {
    "sample": ("sample", "Generate synthetic photographs of faces to try fer without data."),
    "import": ("import_dataset", "Import a published dataset or folders of images."),
    "detect": ("detect", "Detect and crop the faces in photographs and videos."),
    "clean": ("clean", "Find duplicates and conflicts; remove copies that leak between splits."),
    "balance": ("balance", "Balance classes with new images, or plan what to generate."),
    "pack": ("pack", "Pack a dataset into one HDF5 file for fast training."),
    "train": ("train", "Train a model by its recipe; select it on validation only."),
    "tune": ("tune", "Search for a model's hyperparameters, chosen on validation only."),
    "crossvalidate": ("crossvalidate", "Train and test a model on every fold of a dataset."),
    "evaluate": ("evaluate", "Evaluate a checkpoint on a split: metrics, intervals, HTML report."),
    "matrix": ("matrix", "Evaluate several models on several packs (cross-dataset)."),
    "ensemble": ("ensemble", "Evaluate an ensemble of checkpoints against its best member."),
    "compare": ("compare", "Compare models or recipes by the test that fits: differences, intervals, p."),
    "explain": ("explain", "Explain a model by heat maps or by its weights."),
    "predict": ("predict", "Predict the emotions in photographs, videos or a webcam stream."),
    "export": ("export", "Export a model to ONNX or torch.export, checked against the checkpoint."),
    "serve": ("serve", "Serve a page and an API that recognise emotions in pictures, films, cameras."),
    "show": ("show", "Show an artifact: metrics, counts and lineage."),
    "models": ("models", "List the models: parameters, input size, paper, claimed accuracy."),
    "claims": ("claims", "List what the papers claim, and what was measured here."),
    "card": ("card", "Write a model's card: figures, training, terms, limits."),
    "push": ("push", "Publish a model on the Hugging Face hub, with its card and figures."),
    "weights": ("weights", "List and download the weights of the detectors."),
}
"""Command names, their modules in fercli.cli, and their lines in `fer --help`."""
