"""The prompts of images to be generated, their vocabulary, and reading them from a file."""
