"""Pack: a dataset becomes one file that trains fast."""
