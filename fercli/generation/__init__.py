"""Generating faces by a diffusion model with prompts or by a class-conditional GAN, and checking the results."""
