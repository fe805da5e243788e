"""Measuring on a split of a pack, for one checkpoint or several: predictions, their figures, the evaluation's files."""
