"""`fer balance --method generate`: images of a diffusion model, cut to faces in the data set's format."""
