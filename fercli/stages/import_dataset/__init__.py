"""Import: a published dataset, or folders of pictures, becomes a dataset."""
