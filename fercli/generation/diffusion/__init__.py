"""The diffusion model: its source, the pipeline, and the faces cut from its images."""
