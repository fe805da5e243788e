"""The architectures, one file a family; the registry; checkpoints; inference."""
