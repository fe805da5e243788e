"""Figures: the confusion matrix and what follows from it, curves over the threshold, intervals. No torch here."""
