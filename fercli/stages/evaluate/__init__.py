"""Evaluate: metrics of a checkpoint on a split of a pack."""
