"""Optimizers, by the names that recipes give them."""
