"""Ensemble: combined metrics of several checkpoints, with weights and members selected on validation only."""
