"""Pack: write a dataset as one file for fast training."""
