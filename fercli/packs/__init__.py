"""Packs: a dataset as one HDF5 file of equal, small, never normalised pictures, made for training."""
