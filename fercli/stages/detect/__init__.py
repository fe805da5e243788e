"""`fer detect`: photographs become a dataset of faces."""
