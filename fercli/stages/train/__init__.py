"""Train: train a model on a pack; the run has its best and last checkpoints."""
