"""Crossvalidate: train and test a model on every fold of a dataset."""
