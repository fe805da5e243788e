"""Explain: where a model looks (Grad-CAM), and which features its last layers weigh (weight analysis)."""
