"""Clean: find duplicates in a dataset, and remove copies that leak between splits."""
