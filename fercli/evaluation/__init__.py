"""Evaluation on a split of a pack: predictions, metrics and files, for one checkpoint or several."""
