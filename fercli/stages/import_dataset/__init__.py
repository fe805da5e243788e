"""Import: a published data set, or folders of pictures, becomes a data set."""
