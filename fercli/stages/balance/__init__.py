"""Balance: the small classes of a dataset are filled up, or a plan says with what to fill them."""
