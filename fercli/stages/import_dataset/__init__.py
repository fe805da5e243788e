"""Import: create a dataset from a published one, or from folders of images."""
