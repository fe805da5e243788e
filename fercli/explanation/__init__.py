"""How a model decides: Grad-CAM and the action units' regions, weight analysis, and the figures of both."""
