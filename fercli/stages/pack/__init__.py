"""Pack: a data set becomes one file that trains fast."""
