"""Ensemble: several checkpoints on a split of a pack together, weights and members chosen on validation alone."""
