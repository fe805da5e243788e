"""Filling a class up by a class-conditional GAN that is trained on the data set's own train split."""
