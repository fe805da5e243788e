"""Predict: the emotions of faces in photographs, videos and webcam streams."""
