"""Predict: the emotions of the faces in photographs, videos and before a webcam."""
