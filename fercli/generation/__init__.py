"""Making faces: prompts and a diffusion model, or a class-conditional GAN, and the checks of what they made."""
