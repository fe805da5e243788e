"""Synthetic photographs with drawn faces, for use without a dataset."""
