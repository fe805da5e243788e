"""Evaluate: a checkpoint on a split of a pack, with every figure told as it was got."""
