"""Prompts for image generation: sampling, vocabulary, and file format."""
