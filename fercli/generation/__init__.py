"""Generation of faces by a prompted diffusion model or a class-conditional GAN, and checks of the results."""
