"""Plots and HTML reports of metrics. Nothing here imports torch."""
