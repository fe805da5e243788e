"""Packs: a dataset as one HDF5 file of small uint8 images of equal size, for training."""
