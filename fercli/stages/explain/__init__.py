"""Explain: where a model looks (Grad-CAM), or which features its last layers weight most (weight analysis)."""
