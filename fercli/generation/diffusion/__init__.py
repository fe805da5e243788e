"""Generation by a diffusion model: its source, the pipeline, and the faces cropped from its images."""
