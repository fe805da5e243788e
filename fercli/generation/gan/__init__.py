"""The class-conditional GAN: its networks, losses, training, sampling and checkpoint."""
