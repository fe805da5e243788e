"""Datasets: the index, the readers of published layouts, splitting, and duplicates."""
