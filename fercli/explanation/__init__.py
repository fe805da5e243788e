"""Explanations of a model: Grad-CAM with action unit regions, weight analysis, and plots of both."""
