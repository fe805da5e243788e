"""The training loop and its parts: augmentation, losses, schedules, freezing, selection, optimisers."""
