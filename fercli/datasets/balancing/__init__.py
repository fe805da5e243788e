"""Filling up the small classes of a split by altered copies of their images."""
