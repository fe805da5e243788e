"""The tune stage: search for hyperparameters."""
