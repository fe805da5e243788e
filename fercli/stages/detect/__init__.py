"""`fer detect`: photographs become a data set of faces."""
