"""Faces in photographs: detectors, one a file, and what is done with a face that was found."""
