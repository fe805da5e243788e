"""Generation by a diffusion model: finding it, running its pipeline, and cropping faces from its images."""
