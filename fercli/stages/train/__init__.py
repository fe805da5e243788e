"""Train: a pack becomes a run, with its best and last checkpoints."""
