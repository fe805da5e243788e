"""Metrics: confusion matrix, ROC and precision-recall curves, confidence intervals, significance. No torch here."""
