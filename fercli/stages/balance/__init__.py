"""Balance: fill up the small classes of a dataset, or plan the images to generate."""
