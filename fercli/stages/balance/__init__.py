"""Balance: the small classes of a data set are filled up, or a plan says with what to fill them."""
