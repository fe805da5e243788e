"""Architectures, one file per family; the registry; checkpoints; inference."""
