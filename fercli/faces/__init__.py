"""Faces: finding them, cropping them, and drawing them."""
