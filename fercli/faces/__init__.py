"""Faces in photographs: found by detectors, cut out, drawn."""
